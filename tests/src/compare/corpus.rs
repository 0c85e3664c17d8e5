//! What was once judged wrong, or might be, in files that are played again by every run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::generate::Episode;

/// Where the files lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Writes an episode under a name and returns the path.
pub fn keep(name: &str, episode: &Episode) -> Result<PathBuf> {
    let path = folder().join(format!("{name}.steps"));
    fs::create_dir_all(folder())?;
    fs::write(&path, episode.to_string())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// All files, by name.
pub fn load() -> Result<Vec<(String, Episode)>> {
    let mut episodes = Vec::new();
    for entry in fs::read_dir(folder()).context("the corpus is gone")? {
        let path = entry?.path();
        if path.extension().is_none_or(|kind| kind != "steps") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let episode = fs::read_to_string(&path)?
            .parse()
            .with_context(|| path.display().to_string())?;
        episodes.push((name.into_owned(), episode));
    }
    episodes.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(episodes)
}
