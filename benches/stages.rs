//! Each stage of ingest alone, and the whole, in bytes of uncompressed JSON per second.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use trailhound::batch::{RowGroup, identify};
use trailhound::decode::{DEFAULT_LIMIT, decode};
use trailhound::demo::corpus::{self, CorpusOptions};
use trailhound::encode::EventEncoder;
use trailhound::event::Reject;
use trailhound::ingest::{IngestOptions, Stop, ingest};
use trailhound::lake::{Lake, LakeOptions};
use trailhound::parse::{Chunk, Parser, Visitor};
use trailhound::source::{Source, SourceOptions};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The shape of the corpus that the documentation quotes (272 objects, a million events), a hundredth of it.
const OBJECTS: usize = 3;
const EVENTS_IN_ALL: usize = 11_000;

struct Corpus {
    folder: TempDir,
    objects: Vec<Vec<u8>>,
    texts: Vec<Vec<u8>>,
    bytes: u64,
}

impl Corpus {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = CorpusOptions { objects: OBJECTS, events: EVENTS_IN_ALL, days: 0..10, seed: 1 };
        corpus::write(folder.path(), &options).expect("the corpus");
        let mut objects = Vec::new();
        read(folder.path(), &mut objects);
        let texts: Vec<Vec<u8>> = objects.iter().map(|object| text(object)).collect();
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        Self { folder, objects, texts, bytes }
    }
}

fn read(folder: &Path, objects: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, objects);
        } else {
            objects.push(std::fs::read(path).expect("an object"));
        }
    }
}

fn text(object: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    decode(object, DEFAULT_LIMIT, &mut text).expect("the corpus is whole");
    text
}

/// Counts records and does nothing with them.
#[derive(Default)]
struct Count(usize);

impl Visitor for Count {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        self.0 += chunk.records().len();
    }

    fn reject(&mut self, reject: Reject) {
        panic!("the corpus is whole: {reject:?}");
    }
}

/// Makes rows of all records.
#[derive(Default)]
struct Rows(RowGroup);

impl Visitor for Rows {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        for record in chunk.records() {
            let identified = identify(&record).expect("the corpus is whole");
            self.0.append(&record, &identified, "s3://bucket/key");
        }
    }

    fn reject(&mut self, reject: Reject) {
        panic!("the corpus is whole: {reject:?}");
    }
}

/// Rows of all texts, made anew by each call.
fn row_group(texts: &[Vec<u8>]) -> RowGroup {
    let (mut parser, mut rows) = (Parser::default(), Rows::default());
    texts.iter().for_each(|text| parser.parse(text, &mut rows));
    rows.0
}

fn stages(criterion: &mut Criterion) {
    let corpus = Corpus::make();
    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::Bytes(corpus.bytes)).sample_size(20);
    let mut buffer = Vec::new();
    group.bench_function("decode", |bench| {
        bench.iter(|| {
            for object in &corpus.objects {
                decode(black_box(object), DEFAULT_LIMIT, &mut buffer).expect("the corpus is whole");
            }
        });
    });
    let mut parser = Parser::default();
    group.bench_function("parse", |bench| {
        bench.iter(|| {
            let mut count = Count::default();
            corpus.texts.iter().for_each(|text| parser.parse(black_box(text), &mut count));
            assert_eq!(count.0, EVENTS_IN_ALL);
        });
    });
    let mut rows = Rows::default();
    group.bench_function("parse+batch", |bench| {
        bench.iter(|| {
            for text in &corpus.texts {
                parser.parse(black_box(text), &mut rows);
                black_box(&rows.0);
                rows.0.clear();
            }
        });
    });
    let mut encoder = EventEncoder::new().expect("memory");
    group.bench_function("encode", |bench| {
        let rows = || row_group(&corpus.texts);
        bench.iter_batched(
            rows,
            |mut rows| {
                let mut file = encoder.start(32 << 20).expect("a file");
                encoder.write(&mut file, &mut rows).expect("a row group");
                black_box(file.finish().expect("a file"));
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A folder into a new lake.
async fn take_in(source: &Path, lake: &Path) -> u64 {
    let location = |path: &Path| path.to_string_lossy().into_owned();
    let source = SourceOptions { location: location(source), ..SourceOptions::default() };
    let lake = LakeOptions { location: location(lake), ..LakeOptions::default() };
    let source = Source::open(&source).await.expect("the corpus");
    let lake = Lake::open_or_create(&lake).await.expect("a lake");
    let now = chrono::DateTime::UNIX_EPOCH;
    let report = ingest(&source, &lake, &IngestOptions::default(), now, &Stop::default(), &|_| {}).await;
    report.expect("an ingest").rows
}

fn whole(criterion: &mut Criterion) {
    let corpus = Corpus::make();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("whole");
    group.throughput(Throughput::Bytes(corpus.bytes)).sample_size(10);
    group.bench_function("ingest", |bench| {
        bench.iter(|| {
            let lake = tempfile::tempdir().expect("a temporary folder");
            assert_eq!(runtime.block_on(take_in(corpus.folder.path(), lake.path())), EVENTS_IN_ALL as u64);
        });
    });
    group.finish();
}

criterion_group!(benches, stages, whole);
criterion_main!(benches);
