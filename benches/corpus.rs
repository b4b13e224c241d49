//! Writes the corpus that the benchmarks read.
//!
//! `cargo bench --bench corpus -- --out DIR [--objects 272] [--events 1000000] [--seed 1]`

use std::path::PathBuf;
use std::process::ExitCode;

use trailhound::demo::corpus;

const USAGE: &str = "usage: cargo bench --bench corpus -- --out DIR [--objects 272] [--events 1000000] [--seed 1]";

struct Arguments {
    out: Option<PathBuf>,
    objects: usize,
    events: usize,
    seed: u64,
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} is not a number: {value}\n{USAGE}"))
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { out: None, objects: 272, events: 1_000_000, seed: 1 };
    while let Some(name) = words.next() {
        if name == "--bench" {
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--out" => arguments.out = Some(value.into()),
            "--objects" => arguments.objects = number(&name, &value)?,
            "--events" => arguments.events = number(&name, &value)?,
            "--seed" => arguments.seed = number(&name, &value)?,
            _ => return Err(format!("unknown argument {name}\n{USAGE}")),
        }
    }
    Ok(arguments)
}

fn run() -> Result<(), String> {
    let Arguments { out, objects, events, seed } = arguments(std::env::args().skip(1))?;
    // `cargo bench` without arguments runs every benchmark; a gigabyte is written only where it was asked for.
    let Some(out) = out else {
        println!("corpus: nothing written, no --out given");
        return Ok(());
    };
    let summary = corpus::write(&out, objects, events, seed).map_err(|error| error.to_string())?;
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
