//! `exception`: add, list, end. Each says who, which service, from where, why, who approved it, and
//! until when; none of these can be left out.

use agent_api::AuditKind;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    Done,
    desk::Desk,
    output::{exact, time},
};
use crate::{
    audit::{clean, draft},
    config::Length,
    exceptions::{self, Sources},
    notices::{Kind, Person},
    random,
    store::ExceptionRow,
};

/// What `--for` takes; how long an exception may last is the configuration's.
type AnyLength = Length<1, { 3_650 * 24 * 3_600 }>;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Let somebody open one service with the password alone, for a while.
    Add {
        #[arg(long)]
        user: String,
        #[arg(long)]
        service: String,
        /// A network such as 192.0.2.0/24; may be given several times. "any" for everywhere.
        #[arg(long = "from", required = true)]
        from: Vec<String>,
        /// For how long, e.g. 8h or 3d.
        #[arg(
            long = "for",
            required_unless_present = "until",
            conflicts_with = "until",
            value_parser = AnyLength::parse
        )]
        length: Option<AnyLength>,
        /// Until when, e.g. 2030-01-31T18:00Z.
        #[arg(long)]
        until: Option<Timestamp>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Who allowed it.
        #[arg(long)]
        approver: String,
    },
    /// List exceptions that are in force.
    List {
        #[arg(long)]
        user: Option<String>,
        /// Those that are over, too.
        #[arg(long)]
        all: bool,
    },
    /// End an exception before its time, and close what it may have opened.
    End { id: String },
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::Add {
            user,
            service,
            from,
            length,
            until,
            reason,
            approver,
        } => {
            let asked = Asked {
                user,
                service,
                from,
                length,
                until,
                reason,
                approver,
            };
            add(desk, asked).await.map(|()| Done::All)
        }
        Verb::List { user, all } => list(desk, user.as_deref(), all).await.map(|()| Done::All),
        Verb::End { id } => end(desk, &id).await,
    };
    desk.close().await;
    done
}

struct Asked {
    user: String,
    service: String,
    from: Vec<String>,
    length: Option<AnyLength>,
    until: Option<Timestamp>,
    reason: String,
    approver: String,
}

impl Asked {
    fn sources(&self) -> Result<Sources> {
        if self.from.iter().any(|word| word == "any") {
            if self.from.len() > 1 {
                bail!("--from any stands alone");
            }
            return Ok(Sources::any());
        }
        self.from.join(" ").parse().map_err(anyhow::Error::msg)
    }

    fn ends(&self, desk: &Desk) -> Result<i64> {
        let now = desk.now().as_second();
        let longest = desk.config.exceptions.longest.seconds();
        let ends = match (self.length, self.until) {
            (_, Some(until)) => until.as_second(),
            (Some(length), None) => now + length.seconds(),
            (None, None) => bail!("an exception has an end: --for or --until"),
        };
        if ends <= now {
            bail!("this end is over already");
        }
        if ends - now > longest {
            bail!(
                "an exception lasts at most {} here ([exceptions] longest)",
                SignedDuration::from_secs(longest)
            );
        }
        Ok(ends)
    }
}

/// A text somebody must have written.
fn said(what: &str, text: &str) -> Result<String> {
    match clean(text).trim() {
        "" => bail!("--{what} must not be empty; it is what auditors ask for first"),
        text => Ok(text.to_owned()),
    }
}

async fn add(desk: &Desk, asked: Asked) -> Result<()> {
    let (sources, ends) = (asked.sources()?, asked.ends(desk)?);
    let (reason, approver) = (
        said("reason", &asked.reason)?,
        said("approver", &asked.approver)?,
    );
    let account = desk.account(&asked.user).await?;
    if approver.eq_ignore_ascii_case(&account.name) {
        bail!("nobody approves an exception for themselves");
    }
    let services = desk.grants.services().await;
    let services =
        services.context("the services are asked of the agent, which does not answer")?;
    let service = services
        .iter()
        .find(|service| service.name == asked.service);
    let service = service.with_context(|| {
        format!(
            "the agent has no service {:?}; see `sekisho services`",
            asked.service
        )
    })?;
    if !account.is_in_any(&service.groups) {
        bail!(
            "{} is in none of the groups of {}; an exception replaces the second factor, not the group",
            account.name,
            service.name
        );
    }
    let row = ExceptionRow {
        id: random::id('e'),
        user_id: account.id.clone(),
        user_name: account.name.clone(),
        service: service.name.clone(),
        sources: sources.to_string(),
        reason,
        approver,
        made: desk.now().as_second(),
        made_by: desk.actor.clone(),
        ends,
        ended: None,
        ended_by: None,
    };
    desk.store.add_exception(&row).await?;
    record(
        desk,
        &row,
        "exception-made",
        &format!("{}; approved by {}", row.reason, row.approver),
    )
    .await?;
    let until = desk.notices.moment(row.ends);
    let values = [("service", row.service.as_str()), ("until", &until)];
    desk.notices
        .tell(Person::from(&account), Kind::ExceptionGranted, &values)
        .await;
    let sentence = format!(
        "Exception {}: {} may open {} from {} with the password alone until {}.",
        row.id,
        row.user_name,
        row.service,
        row.sources,
        time(row.ends)
    );
    desk.out.say(&Listed::of(row, desk), &sentence)
}

async fn record(desk: &Desk, row: &ExceptionRow, outcome: &str, why: &str) -> Result<()> {
    let mut entry = draft(AuditKind::User, outcome);
    entry.user = Some(row.user_name.clone());
    entry.token = Some(row.id.clone());
    let until = time(row.ends);
    entry.reason = Some(format!(
        "{} from {} until {until}: {why}",
        row.service, row.sources
    ));
    desk.record(entry).await
}

#[derive(Serialize)]
struct Listed {
    id: String,
    user: String,
    service: String,
    sources: String,
    reason: String,
    approver: String,
    made: Timestamp,
    made_by: String,
    ends: Timestamp,
    live: bool,
    ended: Option<Timestamp>,
    ended_by: Option<String>,
}

impl Listed {
    fn of(row: ExceptionRow, desk: &Desk) -> Self {
        Self {
            live: row.is_live(desk.now().as_second()),
            id: row.id,
            user: row.user_name,
            service: row.service,
            sources: row.sources,
            reason: row.reason,
            approver: row.approver,
            made: exact(row.made),
            made_by: row.made_by,
            ends: exact(row.ends),
            ended: row.ended.map(exact),
            ended_by: row.ended_by,
        }
    }
}

async fn list(desk: &Desk, user: Option<&str>, all: bool) -> Result<()> {
    let rows = desk.store.exceptions(user).await?.into_iter();
    let rows: Vec<Listed> = rows
        .map(|row| Listed::of(row, desk))
        .filter(|row| all || row.live)
        .collect();
    let head = [
        "id",
        "user",
        "service",
        "from",
        "until",
        "why",
        "approved by",
        "state",
    ];
    desk.out.list(&rows, &head, "no exceptions", |row| {
        let state = match (&row.ended_by, row.live) {
            (Some(by), _) => format!("ended by {by}"),
            (None, true) => "in force".into(),
            (None, false) => "over".into(),
        };
        vec![
            row.id.clone(),
            row.user.clone(),
            row.service.clone(),
            row.sources.clone(),
            time(row.ends.as_second()),
            row.reason.clone(),
            row.approver.clone(),
            state,
        ]
    })
}

async fn end(desk: &Desk, id: &str) -> Result<Done> {
    let now = desk.now().as_second();
    let ended = desk.store.end_exception(id, &desk.actor, now).await?;
    let row = ended.with_context(|| {
        format!("there is no exception {id:?} in force; see `exception list --all`")
    })?;
    let closed = desk
        .grants
        .close(&exceptions::closing(&row, "by an operator"))
        .await;
    record(desk, &row, "exception-ended", "ended by an operator").await?;
    let count = closed.as_ref().map(|closed| closed.count);
    let json =
        serde_json::json!({ "id": row.id, "user": row.user_name, "grants": count.as_ref().ok() });
    match count {
        Ok(count) => {
            let sentence = format!("Exception {id} is ended; grants closed: {count}.");
            desk.out.say(&json, &sentence)?;
            Ok(Done::All)
        }
        Err(failure) => {
            desk.out.say(&json, &format!("Exception {id} is ended."))?;
            desk.out.warn(&format!(
                "WHAT IT OPENED STAYS OPEN until its deadline: {failure}\n\
                 Run `sekisho revoke --user {} --service {}` as soon as the agent answers.",
                row.user_name, row.service
            ));
            Ok(Done::Partly)
        }
    }
}
