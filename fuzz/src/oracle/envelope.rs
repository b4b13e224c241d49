//! Records in CloudTrail's envelopes, whole and damaged in places.
//!
//! Owns: the claim that damage is local: a record that is not damaged itself is read, or its text is kept in rejects, with
//! what could not be separated from it.

use std::io::Write;
use std::ops::Range;

use arbitrary::Arbitrary;

use super::generate::{Json, Name, Style, object, time};
use super::object::check_text;
use super::reading::Reading;
use crate::decode;

/// Records of a text; more make it long, not interesting.
const MAX_RECORDS: usize = 8;

/// A text to be read.
#[derive(Debug, Arbitrary)]
pub struct Envelope {
    shape: Shape,
    style: Style,
    records: Vec<Entry>,
    damage: Vec<Damage>,
    /// Where the text is cut into members of a gzip file.
    cuts: Option<Vec<u16>>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Shape {
    Records,
    RecordsFirst,
    RecordsLast,
    Array,
    Lines,
    EventBridge,
    Joined,
}

/// A record: its usual beginning, or none, and more members.
#[derive(Debug, Arbitrary)]
struct Entry {
    usual: bool,
    time: u32,
    members: Vec<(Name, Json)>,
}

/// What happens to the text: at a place (of 65,536), some bytes are taken out and others put in.
#[derive(Debug, Arbitrary)]
struct Damage {
    place: u16,
    taken: u8,
    put: Option<u8>,
}

/// A text, and where the records stand in it that nothing has happened to.
#[derive(Default)]
struct Built {
    text: String,
    records: Vec<Range<usize>>,
}

impl Envelope {
    fn build(&self) -> Built {
        let mut built = Built::default();
        match self.shape {
            Shape::Records => self.wrapped("", "", &mut built),
            Shape::RecordsFirst => self.wrapped("", r#","after":[{"Records":[{}]}]"#, &mut built),
            Shape::RecordsLast => self.wrapped(r#""before":{"a":"]}"},"#, "", &mut built),
            Shape::Array => self.array(&mut built),
            Shape::Lines => self.each("\n", &mut built, |_, record, built| record(built)),
            Shape::Joined => self.each("", &mut built, |_, record, built| record(built)),
            Shape::EventBridge => self.each("\n", &mut built, |style, record, built| {
                built.text.push_str(r#"{"version":"0","#);
                style.text("detail", &mut built.text);
                built.text.push(':');
                record(built);
                built.text.push('}');
            }),
        }
        built
    }

    fn wrapped(&self, before: &str, after: &str, built: &mut Built) {
        built.text.push('{');
        built.text.push_str(before);
        self.style.text("Records", &mut built.text);
        built.text.push(':');
        self.array(built);
        built.text.push_str(after);
        built.text.push('}');
    }

    fn array(&self, built: &mut Built) {
        built.text.push('[');
        self.each(",", built, |_, record, built| record(built));
        built.text.push(']');
    }

    fn each(&self, between: &str, built: &mut Built, mut wrap: impl FnMut(Style, &dyn Fn(&mut Built), &mut Built)) {
        for (index, entry) in self.records.iter().take(MAX_RECORDS).enumerate() {
            if index > 0 {
                built.text.push_str(between);
            }
            built.text.push_str(self.style.space());
            wrap(self.style, &|built| entry.write(index, self.style, built), built);
            built.text.push_str(self.style.space());
        }
    }
}

impl Entry {
    fn write(&self, index: usize, style: Style, built: &mut Built) {
        let start = built.text.len();
        object(&self.members, style, &mut built.text);
        if self.usual {
            let mut head = String::from("{");
            for (name, value) in [
                ("eventVersion", "1.09".to_owned()),
                ("eventTime", time(self.time)),
                ("eventID", format!("00000000-0000-4000-8000-{index:012x}")),
            ] {
                head.push_str(if head.len() > 1 { "," } else { "" });
                head.push_str(style.space());
                style.member(name, &mut head, |out| style.text(&value, out));
            }
            head.push_str(if self.members.is_empty() { "" } else { "," });
            built.text.replace_range(start..=start, &head);
        }
        // such a record is an envelope itself where it stands alone
        if !self.members.iter().any(|(name, _)| matches!(name.as_str(), "Records" | "detail")) {
            built.records.push(start..built.text.len());
        }
    }
}

impl Damage {
    /// Does it, and forgets the records that it touches.
    fn hurt(&self, text: &mut Vec<u8>, records: &mut Vec<Range<usize>>) {
        let at = text.len() * usize::from(self.place) / (usize::from(u16::MAX) + 1);
        // most damage is small; some takes the rest of the text
        let taken = if self.taken == u8::MAX { text.len() } else { usize::from(self.taken % 8) };
        let taken = at..(at + taken).min(text.len());
        records.retain(|record| record.end <= taken.start || record.start >= taken.end.max(at + 1));
        let put = usize::from(self.put.is_some());
        let moved = |place: usize| if place >= taken.end { place - taken.len() + put } else { place };
        for record in records.iter_mut() {
            *record = moved(record.start)..moved(record.end - 1) + 1;
        }
        text.splice(taken, self.put);
    }
}

/// Builds the text, hurts it, reads it.
pub fn check(envelope: &Envelope) {
    let built = envelope.build();
    let (mut text, mut records) = (built.text.into_bytes(), built.records);
    for damage in &envelope.damage {
        damage.hurt(&mut text, &mut records);
    }
    if let Some(cuts) = &envelope.cuts {
        check_gzip(&text, cuts);
    }
    let reading = check_text(&text);
    for record in records {
        check_kept(&text[record], &text, &reading);
    }
}

fn check_kept(record: &[u8], text: &[u8], reading: &Reading) {
    // broken text may be rejected in pieces, between which separators fall away, and brackets that seem to end the array
    let bare = |text: &[u8]| -> Vec<u8> { text.iter().copied().filter(|byte| !b",]} \t\r\n".contains(byte)).collect() };
    let wholes = reading.whole.iter().map(|reject| reject.raw.as_bytes());
    let fates: Vec<u8> = reading.fates.iter().flat_map(|fate| bare(fate.raw())).collect();
    let record_bare = bare(record);
    let holds = |kept: &[u8]| kept.windows(record_bare.len()).any(|window| window == record_bare);
    assert!(
        holds(&fates) || wholes.into_iter().any(|raw| holds(&bare(raw))),
        "lost: {}\nof: {}\nread as: {:#?}",
        String::from_utf8_lossy(record),
        String::from_utf8_lossy(text),
        reading.fates
    );
}

fn check_gzip(text: &[u8], cuts: &[u16]) {
    let mut cuts: Vec<usize> = cuts.iter().take(4).map(|cut| usize::from(*cut) % (text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    let object: Vec<u8> = cuts.windows(2).flat_map(|pair| gzip(&text[pair[0]..pair[1]])).collect();
    let mut decoded = Vec::new();
    decode::decode(&object, text.len() as u64, &mut decoded).expect("whole members are decoded");
    assert!(decoded == text, "members come back");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}
