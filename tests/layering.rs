//! Holds the layers of ARCHITECTURE.md: a file imports `crate::` items only from a lower layer.

use std::fs;
use std::path::{Path, PathBuf};

/// Layer of a module by its path under `src`, the longest match first; the edge is not part of the library.
const LAYERS: &[(&str, u8)] = &[
    ("detect/mod", 3),
    ("detect/baseline", 3),
    ("detect/day", 3),
    ("detect/day_set", 1),
    ("detect/hits", 3),
    ("detect/keys", 3),
    ("detect/store", 3),
    ("detect/walk", 3),
    ("detect/workspace", 3),
    ("detect/tests", 3),
    ("detect", 1),
    ("sink/guardduty", 1),
    ("sink/pack", 1),
    ("error", 0),
    ("event", 0),
    ("schema", 0),
    ("table", 0),
    ("finding", 0),
    ("decode", 1),
    ("parse", 1),
    ("batch", 1),
    ("encode", 1),
    ("identity", 1),
    ("session", 1),
    ("network", 1),
    ("agent", 1),
    ("inert", 1),
    ("page", 1),
    ("digest", 1),
    ("outcome", 1),
    ("aws", 2),
    ("cloudtrail", 2),
    ("source/key", 1),
    ("source/layout", 1),
    ("source/notice", 1),
    ("source/select", 1),
    ("source", 2),
    ("lake", 2),
    ("query", 2),
    ("sink", 2),
    ("ingest", 3),
    ("verify", 3),
    ("train", 3),
    ("publish", 3),
    ("govern", 3),
    ("maintain", 3),
    ("investigate", 3),
    ("policy/action", 1),
    ("policy/document", 1),
    ("policy", 3),
    ("run", 3),
    ("demo", 3),
];

/// What a module may import from its own layer: an L1 stage may name the output of the stage before it, an adapter
/// the AWS configuration that all share, a pipeline the pipelines it joins.
const SAME_LAYER: &[(&str, &str)] = &[
    ("parse", "decode"),
    ("batch", "parse"),
    ("batch", "identity"),
    ("batch", "outcome"),
    // an agent's habit is a feature; texts of a day are numbered as those of a row group
    ("detect", "agent"),
    ("detect", "batch"),
    ("session", "identity"),
    // both ask who an identity is; names of operations without the versions in them
    ("policy", "investigate"),
    ("policy", "detect"),
    // text of a log is made harmless in every format
    ("page", "inert"),
    ("encode", "batch"),
    // its tests make their rows from text
    ("encode", "parse"),
    ("source", "aws"),
    ("cloudtrail", "aws"),
    ("lake", "aws"),
    ("sink", "aws"),
    // the word by which a run is asked to end
    ("verify", "ingest"),
    ("run", "ingest"),
    ("run", "verify"),
    ("run", "train"),
    ("run", "detect"),
    ("run", "publish"),
    ("run", "maintain"),
    // a run that is asked to end asks all of its steps
    ("maintain", "ingest"),
    ("detect", "train"),
    ("detect", "govern"),
    ("publish", "govern"),
    // both count the same features in the same session
    ("train", "detect"),
    ("demo", "ingest"),
    ("demo", "train"),
    ("demo", "detect"),
];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().filter(|(name, _)| is_under(module, name)).max_by_key(|(name, _)| name.len()).map(|(_, layer)| *layer)
}

fn is_under(module: &str, name: &str) -> bool {
    module == name || module.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Modules that a file names after `crate::`, as paths (`detect/model`).
fn imports(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    code.match_indices("crate::")
        .map(|(at, _)| {
            let path: String =
                code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            path.trim_end_matches(':').replace("::", "/")
        })
        .collect()
}

#[test]
fn files_import_from_lower_layers_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20);
    let mut wrong = Vec::new();
    for file in files {
        let module = file.strip_prefix(&root).unwrap().with_extension("").to_string_lossy().into_owned();
        if module == "main" || module == "lib" || is_under(&module, "cli") {
            continue;
        }
        let Some(own) = layer(&module) else {
            wrong.push(format!("{module} has no layer; add it to tests/layering.rs"));
            continue;
        };
        let top = module.split('/').next().unwrap();
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            let other = import.split('/').next().unwrap();
            let allowed = other == top || SAME_LAYER.contains(&(top, other));
            if layer(&import).is_none_or(|layer| layer >= own && !allowed) {
                wrong.push(format!("{module} imports crate::{import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_edge_reads_the_clock_the_environment_and_the_standard_streams() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let module = file.strip_prefix(&root).unwrap().with_extension("").to_string_lossy().into_owned();
        if module == "main" || is_under(&module, "cli") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for banned in ["Utc::now", "SystemTime::now", "env::var", "println!", "print!(", "anyhow::", "clap::"] {
            // a file's modification time in Delta's log is the moment it is written, whatever the run's `now`
            if module == "lake/commit" && banned == "Utc::now" {
                continue;
            }
            if code.lines().any(|line| line.contains(banned) && !line.trim_start().starts_with("//")) {
                wrong.push(format!("{module} uses {banned}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
