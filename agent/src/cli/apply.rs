//! `sekisho apply`, `confirm` and `rollback`: another configuration, with a way back.

use std::path::PathBuf;

use agent_api::{ConfigRequest, ConfigSettled, Difference};
use anyhow::{Context as _, bail};
use clap::Args;

use super::{
    Ask, connection,
    print::{self, Output},
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::{parse_seconds, seconds_text},
};

/// Holders that are listed by name; the rest is a number.
const NAMED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The configuration to put in force
    file: PathBuf,
    /// Roll back by itself unless `sekisho confirm` comes within this time, for example 2m
    #[arg(long, value_parser = parse_seconds, value_name = "LENGTH")]
    confirm_within: Option<u64>,
    /// Apply although it cuts your own connection
    #[arg(long)]
    force: bool,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    pub(super) async fn execute(self, ask: &Ask) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("reading {}", self.file.display()))?;
        let request = ConfigRequest {
            text,
            name: self.file.display().to_string(),
            connection: connection::own(),
            force: self.force,
            confirm_within_seconds: self.confirm_within,
        };
        let difference = ask.client.check_config(&request).await?;
        match (ask.output, self.dry_run) {
            (Output::Json, true) => print::json(&difference)?,
            (Output::Json, false) => {}
            (Output::Text, _) => show(&difference),
        }
        if let Some(cuts) = difference.cuts.as_ref().filter(|_| !self.force) {
            bail!("{cuts}. Nothing was changed; say --force to do it all the same");
        }
        if self.dry_run {
            return Ok(());
        }
        let applied = ask.client.apply_config(&request).await?;
        if ask.output == Output::Json {
            return print::json(&applied);
        }
        if applied.closed > 0 {
            print::line(format!("holders closed: {}", applied.closed));
        }
        match (&applied.trial, &applied.written) {
            (Some(trial), _) => print::line(format!(
                "in force on trial; rolls back at {} unless you say `sekisho confirm` within {}",
                print::clock_time(trial.rolls_back, SystemClock.now().wall),
                seconds_text(trial.remaining_seconds)
            )),
            (None, Some(file)) => print::line(format!("in force, and written to {file}")),
            (None, None) => print::line("in force"),
        }
        Ok(())
    }
}

fn show(difference: &Difference) {
    for (sign, names) in [("+", &difference.added), ("-", &difference.removed)] {
        for name in names {
            print::line(format!("{sign} service {name}"));
        }
    }
    for change in &difference.changed {
        let holders = match change.holders {
            0 => String::new(),
            holders => format!(" ({holders} open, not closed)"),
        };
        print::line(format!("~ service {}{holders}", change.service));
        for what in &change.changes {
            print::line(format!("    {what}"));
        }
    }
    for setting in &difference.settings {
        print::line(format!("~ {setting}"));
    }
    for lost in difference.closing.iter().take(NAMED) {
        print::line(format!(
            "! {} at {} loses {}",
            lost.user, lost.source, lost.service
        ));
    }
    let named = difference.closing.len().min(NAMED) as u64;
    if difference.would_close > named {
        print::line(format!("! and {} more", difference.would_close - named));
    }
    if !difference.needs_restart.is_empty() {
        let keys = difference.needs_restart.join(", ");
        print::line(format!("needs a restart to take effect: {keys}"));
    }
    for note in &difference.notes {
        print::line(format!("note: {note}"));
    }
    let same = Difference {
        notes: Vec::new(),
        cuts: None,
        ..difference.clone()
    };
    if same == Difference::default() {
        print::line("nothing changes");
    }
}

pub(super) async fn confirm(ask: &Ask) -> anyhow::Result<()> {
    told(ask, &ask.client.confirm_config().await?)
}

pub(super) async fn rollback(ask: &Ask) -> anyhow::Result<()> {
    told(ask, &ask.client.roll_config_back().await?)
}

fn told(ask: &Ask, settled: &ConfigSettled) -> anyhow::Result<()> {
    if ask.output == Output::Json {
        return print::json(settled);
    }
    for note in &settled.notes {
        print::line(note);
    }
    if settled.written {
        print::line(format!("{} is written", settled.file));
    }
    Ok(())
}
