//! Writes the corpus that the benchmarks read.
//!
//! `cargo bench --bench corpus -- --out DIR [--objects 272] [--events 1000000] [--first-day 0] [--days 10] [--seed 1]`

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use trailhound::demo::corpus::{self, CorpusOptions};

const USAGE: &str = "usage: cargo bench --bench corpus -- --out DIR [--objects 272] [--events 1000000] [--first-day 0] [--days 10] \
                     [--seed 1]";

struct Arguments {
    out: Option<PathBuf>,
    corpus: CorpusOptions,
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} is not a number: {value}\n{USAGE}"))
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut out = None;
    let (mut objects, mut events, mut first_day, mut days, mut seed) = (272, 1_000_000, 0, 10, 1);
    while let Some(name) = words.next() {
        if name == "--bench" {
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--out" => out = Some(value.into()),
            "--objects" => objects = number(&name, &value)?,
            "--events" => events = number(&name, &value)?,
            "--first-day" => first_day = number(&name, &value)?,
            "--days" => days = number(&name, &value)?,
            "--seed" => seed = number(&name, &value)?,
            _ => return Err(format!("unknown argument {name}\n{USAGE}")),
        }
    }
    let days: Range<usize> = first_day..first_day.saturating_add(days);
    Ok(Arguments { out, corpus: CorpusOptions { objects, events, days, seed } })
}

fn run() -> Result<(), String> {
    let Arguments { out, corpus: options } = arguments(std::env::args().skip(1))?;
    // `cargo bench` without arguments runs every benchmark; a gigabyte is written only where it was asked for.
    let Some(out) = out else {
        println!("corpus: nothing written, no --out given");
        return Ok(());
    };
    let summary = corpus::write(&out, &options).map_err(|error| error.to_string())?;
    println!(
        "corpus: {} objects, {} events, {} bytes of JSON, {} bytes of gzip in {}",
        summary.objects,
        summary.events,
        summary.json_bytes,
        summary.bytes,
        out.display()
    );
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("corpus: {message}");
            ExitCode::from(2)
        }
    }
}
