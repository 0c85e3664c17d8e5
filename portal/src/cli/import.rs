//! `import people`: tickets for everybody in a list whom the directory knows and who has no token
//! yet. It only says what it would do unless told to do it, and codes go to a file, not to the
//! screen. Where there is a help desk, each ticket wants evidence here, too.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use serde::Serialize;

use super::{
    Done,
    desk::Desk,
    output::exact,
    people::{self, Judged, Status},
    ticket::{self, Asked, TicketLength},
};
use crate::{
    bulk::{self, Format},
    reports,
    store::Owner,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Issue a ticket to each person of a CSV or LDIF file who has no token. CSV: the first line
    /// names the columns: `user`, and if wanted `group` (the person must be in it) and `note`.
    People {
        file: PathBuf,
        /// By the file's name if absent.
        #[arg(long)]
        format: Option<Format>,
        /// Issue the tickets; without it the verb only says what it would do.
        #[arg(long, requires = "out")]
        apply: bool,
        /// A new file for the codes, readable by its owner only; `-` prints them.
        #[arg(long)]
        out: Option<PathBuf>,
        /// How long the tickets may be used, e.g. 24h.
        #[arg(long = "for", value_parser = TicketLength::parse)]
        length: Option<TicketLength>,
        /// How it was made sure who the people are: one of `[desk] evidence`.
        #[arg(long)]
        evidence: Option<String>,
        /// Who vouched for the people, and how; a line's own note counts before it.
        #[arg(long, default_value = "")]
        note: String,
        /// Whose devices they are for; the people are not asked then.
        #[arg(long)]
        owner: Option<Owner>,
    },
}

#[derive(Serialize)]
struct Report<'a> {
    applied: bool,
    tickets: usize,
    /// Lines that get none.
    others: usize,
    lines: &'a [Judged],
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let Verb::People {
        file,
        format,
        apply,
        out,
        length,
        evidence,
        note,
        owner,
    } = verb;
    let length = length.unwrap_or(desk.config.limits.ticket);
    let done = async {
        let mut judged = people::judge(desk, bulk::read(&file, format)?).await?;
        let vouched = vouch(desk, &mut judged, evidence.as_deref(), &note);
        match (apply, out) {
            (true, Some(out)) => {
                // Nothing is issued where one of them would be without evidence.
                vouched?;
                let mut codes = Codes::create(out)?;
                issue(desk, &judged, (length, owner), &mut codes).await?;
                report(desk, &judged, Some(&codes))
            }
            _ => {
                if let Err(missing) = vouched {
                    desk.out
                        .warn(&format!("--apply would be refused: {missing:#}"));
                }
                report(desk, &judged, None)
            }
        }
    }
    .await;
    desk.close().await;
    done
}

/// Gives each line that gets a ticket the note that is recorded with it: who vouched, and how.
fn vouch(desk: &Desk, judged: &mut [Judged], evidence: Option<&str>, note: &str) -> Result<()> {
    for line in judged.iter_mut().filter(|line| line.status == Status::Ok) {
        let own = if line.note.trim().is_empty() {
            note
        } else {
            &line.note
        };
        line.note = ticket::vouched(desk, evidence, own)
            .with_context(|| format!("line {}, {}", line.line, line.user))?;
    }
    Ok(())
}

/// Where codes are written, and whether the report may share that place.
struct Codes {
    to: Box<dyn std::io::Write + Send>,
    file: Option<(PathBuf, File)>,
}

impl Codes {
    fn create(path: PathBuf) -> Result<Self> {
        if path.as_os_str() == "-" {
            let to = Box::new(std::io::stdout());
            return Ok(Self { to, file: None });
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| {
                let path = path.display();
                format!("cannot make {path}; name a file that is not there yet; nothing was issued")
            })?;
        let to = Box::new(file.try_clone()?);
        Ok(Self {
            to,
            file: Some((path, file)),
        })
    }

    /// On the disk when this returns: a code that is lost is a person who cannot enrol.
    fn write(&mut self, row: &[&str]) -> Result<()> {
        self.to.write_all(reports::csv::line(row).as_bytes())?;
        self.to.flush()?;
        if let Some((_, file)) = &self.file {
            file.sync_data()?;
        }
        Ok(())
    }
}

async fn issue(
    desk: &Desk,
    judged: &[Judged],
    (length, owner): (TicketLength, Option<Owner>),
    codes: &mut Codes,
) -> Result<()> {
    let address = ticket::address(desk);
    codes.write(&["user", "ticket", "code", "url", "expires"])?;
    for line in judged.iter().filter(|line| line.status == Status::Ok) {
        let Some(account) = &line.account else {
            continue;
        };
        let asked = Asked {
            account,
            length,
            note: &line.note,
            replaces: None,
            owner,
        };
        let made = ticket::make(desk, asked).await?;
        let expires = exact(made.expires).to_string();
        let row = [
            account.name.as_str(),
            &made.id,
            &made.code,
            &address,
            &expires,
        ];
        if let Err(failure) = codes.write(&row) {
            // Nobody knows its code.
            desk.store
                .void_ticket(&made.id, desk.now().as_second())
                .await?;
            bail!(
                "the code of {} cannot be written: {failure:#}; that ticket is void, those before \
                 it are issued and in the file",
                account.name
            );
        }
    }
    Ok(())
}

fn report(desk: &Desk, judged: &[Judged], codes: Option<&Codes>) -> Result<Done> {
    let tickets = judged
        .iter()
        .filter(|line| line.status == Status::Ok)
        .count();
    let others = judged.len() - tickets;
    let said = Report {
        applied: codes.is_some(),
        tickets,
        others,
        lines: judged,
    };
    let printed = codes.is_some_and(|codes| codes.file.is_none());
    if !printed {
        lines(desk, &said)?;
    }
    let what = match codes {
        None => format!(
            "{tickets} would get a ticket, {others} lines would not. Nothing was done; add --apply --out FILE."
        ),
        Some(Codes {
            file: Some((path, _)),
            ..
        }) => {
            format!(
                "{tickets} tickets are issued, their codes are in {}; {others} lines got none.",
                path.display()
            )
        }
        Some(_) => format!("{tickets} tickets are issued; {others} lines got none."),
    };
    desk.out.note(&what);
    Ok(if others == 0 { Done::All } else { Done::Partly })
}

fn lines(desk: &Desk, said: &Report<'_>) -> Result<()> {
    let word = |status: &Status| {
        serde_json::to_value(status)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let head = ["line", "user", "result", "why"];
    desk.out
        .whole(said, said.lines, &head, "no people", |line| {
            vec![
                line.line.to_string(),
                line.user.clone(),
                word(&line.status),
                line.why.clone().unwrap_or_default(),
            ]
        })
}
