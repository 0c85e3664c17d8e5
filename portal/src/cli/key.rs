//! `key`: make the key file, and rotate the key: every sealed secret is opened and sealed anew in
//! one transaction. A cut-off rotation leaves a database and key file that still fit together.

use std::path::{Path, PathBuf};

use agent_api::AuditKind;
use anyhow::{Context as _, Result};
use clap::Subcommand;

use super::{Done, desk::Desk};
use crate::{
    audit::draft,
    key::Key,
    portal::{next_key_file, open_codes},
    vault,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a new key to a file that does not exist yet.
    New {
        #[arg(long)]
        out: PathBuf,
    },
    /// Seal every stored secret with a new key and replace the key file.
    Rotate,
}

pub(super) fn new(out: &Path) -> Result<Done> {
    let key = Key::random();
    key.write_new(out, None)?;
    println!(
        "{}: key {} written; keep it out of the database's backup",
        out.display(),
        key.id()
    );
    Ok(Done::All)
}

pub(super) async fn rotate(desk: &Desk) -> Result<Done> {
    // Finishes a rotation that was cut off before.
    open_codes(&desk.config, &desk.store).await?;
    let file = &desk.config.portal.key_file;
    let aside = next_key_file(file);
    let old = Key::read(file)?;
    let new = Key::random();
    // Left by a rotation that never reached the database, so nothing is sealed with it.
    let _ = std::fs::remove_file(&aside);
    new.write_new(&aside, Some(file))?;
    let count = match reseal(desk, &old, &new).await {
        Ok(count) => count,
        Err(failure) => {
            let _ = std::fs::remove_file(&aside);
            return Err(failure);
        }
    };
    std::fs::rename(&aside, file).with_context(|| {
        format!(
            "the database is sealed anew, but {} cannot be renamed; rename it to {}",
            aside.display(),
            file.display()
        )
    })?;
    let mut entry = draft(AuditKind::Key, "rotated");
    entry.reason = Some(format!("{} to {}, {count} secrets", old.id(), new.id()));
    desk.record(entry).await?;
    let said = serde_json::json!({ "old": old.id(), "new": new.id(), "secrets": count });
    let sentence = format!(
        "Key {} replaces {}; {count} secrets sealed anew.",
        new.id(),
        old.id()
    );
    desk.out.say(&said, &sentence)?;
    desk.close().await;
    Ok(Done::All)
}

async fn reseal(desk: &Desk, old: &Key, new: &Key) -> Result<usize> {
    desk.store
        .reseal(old.id(), new.id(), |place, sealed| {
            let secret = vault::open(old, place, sealed)?;
            vault::seal(new, place, &secret)
        })
        .await
        .context("nothing was changed")
}
