//! `cargo xtask tidy`: the rules of the house that no compiler checks. Each finding names file
//! and line and says what to do. The checks are pure functions over text.

mod dependencies;
mod fences;
mod files;

use std::{fmt, fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    place: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(place: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place, self.line, self.what)
    }
}

pub fn run() -> Result<()> {
    let mut findings = dependencies::check(&command::root().join("Cargo.toml"))?;
    let sources = sources()?;
    for (path, text) in &sources {
        findings.extend(files::check(path, text));
        findings.extend(fences::check(path, text));
    }
    findings.extend(fences::stale(&sources));
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    println!("tidy: {} files, nothing to do", sources.len());
    Ok(())
}

/// Every Rust file of ours, as (path from the root, text), in order.
fn sources() -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(command::root()).context("cannot read the repository's root")?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if entry.path().is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            walk(&entry.path(), &mut found)?;
        }
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
            let name = path.strip_prefix(command::root()).unwrap_or(&path);
            found.push((name.to_string_lossy().into_owned(), text));
        }
    }
    Ok(())
}
