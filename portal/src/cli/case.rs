//! `case`: the help desk's guided cases from a shell. Whoever runs it needs no role and no second
//! person, the machine is theirs; evidence is asked for all the same, and the uid is recorded.

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Done,
    desk::Desk,
    output::{exact, time},
    ticket::address,
};
use crate::{
    codes::Codes,
    desk::{By, Came, CaseKind, Made, Refused, Tools, Wish},
    directory::Directory,
    store::{CaseRow, Decision},
    text::{Language, Texts},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List cases, newest first.
    List {
        #[arg(long)]
        user: Option<String>,
        /// Only those that wait for a second person, or for being carried out.
        #[arg(long)]
        open: bool,
    },
    /// Show everything about a case.
    Show { id: String },
    /// Open a case and carry it out.
    Open {
        kind: CaseKind,
        #[arg(long)]
        user: String,
        /// How it was made sure who the person is: one of `[desk] evidence`.
        #[arg(long)]
        evidence: String,
        #[arg(long)]
        note: String,
        /// resume: the token; hardware: the serial.
        #[arg(long, default_value = "")]
        subject: String,
    },
    /// Approve what somebody of the desk asked for.
    Approve {
        id: String,
        #[arg(long)]
        note: String,
    },
    /// Refuse it.
    Refuse {
        id: String,
        #[arg(long)]
        note: String,
    },
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::List { user, open } => list(desk, user.as_deref(), open).await,
        Verb::Show { id } => show(desk, &id).await,
        Verb::Open {
            kind,
            user,
            evidence,
            note,
            subject,
        } => open(desk, kind, &user, [&evidence, &note, &subject]).await,
        Verb::Approve { id, note } => decide(desk, &id, Decision::Approve, &note).await,
        Verb::Refuse { id, note } => decide(desk, &id, Decision::Refuse, &note).await,
    };
    desk.close().await;
    done
}

/// What cases work with, opened for one verb.
struct Opened {
    codes: Codes,
    texts: Texts,
    directory: std::sync::Arc<dyn Directory>,
}

impl Opened {
    async fn of(desk: &Desk) -> Result<Self> {
        Ok(Self {
            codes: desk.codes().await?,
            texts: Texts::load(desk.config.look.languages.as_deref())?,
            directory: desk.directory()?,
        })
    }

    fn tools<'a>(&'a self, desk: &'a Desk) -> Tools<'a> {
        Tools {
            config: &desk.config,
            means: desk.means(),
            notices: &desk.notices,
            codes: &self.codes,
            texts: &self.texts,
            directory: self.directory.as_ref(),
        }
    }

    /// An error that says why.
    fn refused(&self, refused: Refused) -> anyhow::Error {
        let words = &self.texts.of(Language::En).desk;
        anyhow::Error::msg(refused.sentence(words).to_owned())
    }
}

async fn open(
    desk: &Desk,
    kind: CaseKind,
    user: &str,
    [evidence, note, subject]: [&str; 3],
) -> Result<Done> {
    let opened = Opened::of(desk).await?;
    let tools = opened.tools(desk);
    let Some(configured) = tools.desk() else {
        return Err(opened.refused(Refused::NoDesk));
    };
    if !configured.evidence.iter().any(|word| word == evidence) {
        let listed = configured.evidence.join("\", \"");
        bail!("{evidence:?} is none of the kinds of evidence: \"{listed}\"");
    }
    let whom = tools.whom(user).await?;
    let whom = whom.with_context(|| {
        format!("neither the directory nor the portal knows anybody called {user:?}")
    })?;
    let wish = Wish {
        kind,
        whom: &whom,
        subject,
        evidence,
        note,
    };
    match tools.open(&By::operator(&desk.actor), wish).await? {
        Ok(came) => came_of(desk, &whom.name, came),
        Err(refused) => Err(opened.refused(refused)),
    }
}

async fn decide(desk: &Desk, id: &str, decision: Decision, note: &str) -> Result<Done> {
    let opened = Opened::of(desk).await?;
    let tools = opened.tools(desk);
    let by = By::operator(&desk.actor);
    let name = match desk.store.case(id).await? {
        Some(row) => row.user_name,
        None => bail!("there is no case {id:?}; see `case list`"),
    };
    match tools.decide(&by, (id, decision), note).await? {
        Ok(came) => came_of(desk, &name, came),
        Err(refused) => Err(opened.refused(refused)),
    }
}

#[derive(Serialize)]
struct Said<'a> {
    case: &'a str,
    user: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<SaidTicket<'a>>,
}

#[derive(Serialize)]
struct SaidTicket<'a> {
    id: &'a str,
    url: String,
    code: &'a str,
    expires: Timestamp,
}

fn came_of(desk: &Desk, user: &str, came: Came) -> Result<Done> {
    let (case, outcome, ticket) = match &came {
        Came::Waits { case } => (case, "waits", None),
        Came::Decided { case } => (case, "decided", None),
        Came::Done {
            case,
            ticket,
            outcome,
        } => (case, *outcome, ticket.as_ref()),
    };
    let said = Said {
        case,
        user,
        outcome,
        ticket: ticket.map(|made: &Made| SaidTicket {
            id: &made.id,
            url: address(desk),
            code: &made.code,
            expires: exact(made.expires),
        }),
    };
    let mut sentence = format!("Case {case} of {user}: {outcome}.");
    if let Some(ticket) = &said.ticket {
        sentence.push_str(&format!(
            "\n\n  ticket   {}\n  address  {}\n  code     {}\n\nIt is shown only now, works once, and \
             needs the person's directory password.",
            ticket.id, ticket.url, ticket.code
        ));
    }
    desk.out.say(&said, &sentence)?;
    if outcome == "grants-not-closed" {
        desk.out.warn(&format!(
            "OPEN GRANTS OF {user} STAY OPEN until their deadline; run `sekisho revoke --user {user}` \
             as soon as the agent answers."
        ));
        return Ok(Done::Partly);
    }
    Ok(Done::All)
}

#[derive(Serialize)]
struct Listed {
    id: String,
    kind: String,
    user: String,
    state: &'static str,
    opened: Timestamp,
    opened_by: String,
    evidence: String,
    note: String,
    subject: Option<String>,
    expires: Timestamp,
    decided: Option<Timestamp>,
    decided_by: Option<String>,
    decision: Option<String>,
    carried_out: Option<Timestamp>,
    outcome: Option<String>,
    ticket: Option<String>,
    stopped: Option<Timestamp>,
    enrolled: Option<Timestamp>,
}

impl Listed {
    fn of(row: CaseRow, now: i64) -> Self {
        Self {
            state: row.state(now).name(),
            id: row.id,
            kind: row.kind,
            user: row.user_name,
            opened: exact(row.opened),
            opened_by: row.opened_by,
            evidence: row.evidence,
            note: row.note,
            subject: row.subject,
            expires: exact(row.expires),
            decided: row.decided.map(exact),
            decided_by: row.decided_by,
            decision: row.decision,
            carried_out: row.carried_out.map(exact),
            outcome: row.outcome,
            ticket: row.ticket,
            stopped: row.stopped.map(exact),
            enrolled: row.enrolled.map(exact),
        }
    }
}

async fn list(desk: &Desk, user: Option<&str>, open: bool) -> Result<Done> {
    let now = desk.now().as_second();
    let rows = match (open, user) {
        (true, _) => desk.store.open_cases(now).await?,
        (false, user) => {
            let user = user.map(|name| (None, name));
            desk.store.cases(user, 1000).await?
        }
    };
    let is_theirs =
        |row: &CaseRow| user.is_none_or(|name| row.user_name.eq_ignore_ascii_case(name));
    let cases: Vec<Listed> = rows
        .into_iter()
        .filter(is_theirs)
        .map(|row| Listed::of(row, now))
        .collect();
    let head = [
        "id", "kind", "user", "state", "opened", "by", "outcome", "evidence",
    ];
    desk.out.list(&cases, &head, "no cases", |case| {
        vec![
            case.id.clone(),
            case.kind.clone(),
            case.user.clone(),
            case.state.into(),
            time(case.opened.as_second()),
            case.opened_by.clone(),
            case.outcome.clone().unwrap_or_default(),
            case.evidence.clone(),
        ]
    })?;
    Ok(Done::All)
}

async fn show(desk: &Desk, id: &str) -> Result<Done> {
    let row = desk.store.case(id).await?;
    let row = row.with_context(|| format!("there is no case {id:?}; see `case list`"))?;
    let case = Listed::of(row, desk.now().as_second());
    let whole = serde_json::to_value(&case)?;
    let lines: Vec<String> = whole
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name:<12} {text}"),
            None => format!("{name:<12} {value}"),
        })
        .collect();
    desk.out.say(&case, &lines.join("\n"))?;
    Ok(Done::All)
}
