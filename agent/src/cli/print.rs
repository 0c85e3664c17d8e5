//! How verbs speak: tables that fit a terminal, times for people and exact, JSON, failures.

use std::{io::Write as _, process::ExitCode};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::config::{ConfigError, seconds_text};

/// Chosen by `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Text,
    Json,
}

/// Width when nobody says: output into a file or pipe.
const WIDTH: u16 = 80;

/// Prints a line; a reader that has gone away is no failure.
pub(super) fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints JSON on one line.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?);
    Ok(())
}

/// A table without frames, as wide as the terminal.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !table.is_tty() {
        table.set_width(WIDTH);
    }
    table.set_header(header.iter().map(|name| (*name).to_owned()));
    table
}

pub(super) fn print_table(table: &Table) {
    for row in table.to_string().lines() {
        line(row.trim_end());
    }
}

/// The local time of day, with the date when it is not today's.
pub(super) fn clock_time(at: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    if at.date() == now.date() {
        at.strftime("%H:%M:%S").to_string()
    } else {
        at.strftime("%m-%d %H:%M").to_string()
    }
}

/// Time that is left and when it ends: `7h 59m (17:40:12)`.
pub(super) fn remaining(seconds: u64, deadline: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", seconds_text(seconds), clock_time(deadline, now))
}

/// How long ago: `3s ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second());
    format!("{} ago", seconds_text(u64::try_from(seconds).unwrap_or(0)))
}

/// The error and its causes, each said once: some of ours name their cause themselves.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Prints a failure and gives its exit code.
pub(super) fn failure(error: &anyhow::Error, output: Output) -> ExitCode {
    let text = one_line(error);
    match output {
        Output::Text => {
            let _ = writeln!(std::io::stderr(), "sekisho: {text}");
        }
        Output::Json => {
            let value = serde_json::json!({ "error": text });
            let _ = writeln!(std::io::stderr(), "{value}");
        }
    }
    if error.downcast_ref::<ConfigError>().is_some() {
        return ExitCode::from(super::EXIT_CONFIG);
    }
    ExitCode::FAILURE
}
