//! `texts`: a translator's verbs. Neither needs the configuration.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;

use super::Done;
use crate::text::{ENGLISH, read};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Check a language's file against the English one.
    Check { file: PathBuf },
    /// Print the English texts, to be translated into TAG.toml.
    Export {
        #[arg(value_parser = ["en"], default_value = "en")]
        language: String,
    },
}

pub(super) fn carry_out(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Check { file } => check(&file)?,
        Verb::Export { .. } => print!("{ENGLISH}"),
    }
    Ok(Done::All)
}

fn check(file: &Path) -> Result<()> {
    read(file)?;
    println!("{}: complete", file.display());
    Ok(())
}
