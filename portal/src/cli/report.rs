//! `report`: who has no second factor, who fails, what nobody uses, and the like.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use super::{Done, desk::Desk, unused::Days};
use crate::{
    directory::Account,
    reports::{self, Cell, PEOPLE_MAX, Report},
};

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// People of the groups that services admit who have no token.
    NoSecondFactor,
    /// People with one token and nothing to fall back on.
    NoSecondMeans,
    /// Failed log-ins by person, source and reason; see --within and --at-least.
    Failures,
    /// Tokens that were not used for so long; see --for.
    Unused,
    /// People with more tokens than --more-than.
    ManyTokens,
    /// Of each group that services admit: people, enrolled, share.
    Enrolment,
    /// Cases of the help desk: how long until stopped, ticket, another token; see --within.
    Recoveries,
    /// Exceptions with who approved them and when they end, those that are over, too.
    Exceptions,
    /// Every token with whose device it is on: private, company, or not said.
    Tokens,
}

/// How it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    /// RFC 4180; no field is taken for a formula.
    Csv,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Asked {
    kind: Kind,
    #[arg(long, default_value = "table")]
    format: Format,
    /// Write to a file, readable by its owner only, instead of the screen.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Begin CSV with a mark by which spreadsheet programs know UTF-8.
    #[arg(long)]
    bom: bool,
    /// unused: for how long, e.g. 90d or 12w.
    #[arg(long = "for", default_value = "90d", value_parser = Days::parse)]
    unused: Days,
    /// failures, recoveries: within how long, e.g. 7d.
    #[arg(long, default_value = "7d", value_parser = Days::parse)]
    within: Days,
    /// failures: only those that happened so often.
    #[arg(long, default_value_t = 5)]
    at_least: u32,
    /// many-tokens: only people with more than that.
    #[arg(long, default_value_t = 2)]
    more_than: u32,
}

pub(super) async fn carry_out(desk: &Desk, asked: Asked) -> Result<Done> {
    let done = async {
        let report = make(desk, &asked).await?;
        show(desk, &asked, &report)
    }
    .await;
    desk.close().await;
    done.map(|()| Done::All)
}

async fn make(desk: &Desk, asked: &Asked) -> Result<Report> {
    let (store, now) = (&desk.store, desk.now().as_second());
    Ok(match asked.kind {
        Kind::NoSecondFactor => {
            let services = desk.grants.services().await?;
            reports::no_second_factor(store, &people(desk).await?, &services).await?
        }
        Kind::Enrolment => {
            let services = desk.grants.services().await?;
            reports::enrolment(store, &people(desk).await?, &services).await?
        }
        Kind::NoSecondMeans => reports::no_second_means(store).await?,
        Kind::Failures => {
            let since = now - asked.within.seconds();
            reports::failures(store, since, i64::from(asked.at_least)).await?
        }
        Kind::Unused => reports::unused(store, now - asked.unused.seconds()).await?,
        Kind::Exceptions => reports::exceptions(store, now).await?,
        Kind::Tokens => reports::tokens(store).await?,
        Kind::ManyTokens => reports::many_tokens(store, i64::from(asked.more_than)).await?,
        Kind::Recoveries => crate::desk::recoveries(store, now - asked.within.seconds()).await?,
    })
}

async fn people(desk: &Desk) -> Result<Vec<Account>> {
    let listed = desk.directory()?.list(PEOPLE_MAX).await?;
    listed.context("this directory cannot list its people, so this report cannot be made")
}

fn show(desk: &Desk, asked: &Asked, report: &Report) -> Result<()> {
    let format = match desk.out.is_json() {
        true => Format::Json,
        false => asked.format,
    };
    let text = match format {
        Format::Table => desk.out.table(report.columns, &report.rows, |row| {
            row.iter().map(Cell::text).collect()
        }),
        Format::Csv if asked.bom => format!("\u{feff}{}", report.csv()),
        Format::Csv => report.csv(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&report.json())?),
    };
    match &asked.out {
        None => {
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(())
        }
        Some(path) => write(path, &text)
            .with_context(|| format!("cannot write the report to {}", path.display())),
    }
}

/// In one step: whoever reads the old report meanwhile reads it to its end.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let aside = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    Ok(written?)
}
