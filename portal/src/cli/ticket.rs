//! `ticket`: issue, list, void. The code is printed once. Where there is a help desk, a ticket wants
//! evidence here, too.

use agent_api::AuditKind;
use anyhow::{Result, bail};
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Done,
    desk::Desk,
    output::{exact, time},
};
use crate::{
    audit::draft,
    config::Length,
    desk::{Issue, Made},
    directory::Account,
    store::Owner,
};

/// One minute to 24 hours.
pub(super) type TicketLength = Length<60, 86_400>;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Issue a ticket: prints the address and the code, once.
    Issue {
        #[arg(long)]
        user: String,
        /// How long it may be used, e.g. 60m; at most 24h.
        #[arg(long = "for", value_parser = TicketLength::parse)]
        length: Option<TicketLength>,
        /// How it was made sure who the person is: one of `[desk] evidence`.
        #[arg(long)]
        evidence: Option<String>,
        /// Who vouched for the person, and how.
        #[arg(long, default_value = "")]
        note: String,
        /// Whose device it is for; the person is not asked then.
        #[arg(long)]
        owner: Option<Owner>,
    },
    /// List tickets.
    List {
        #[arg(long)]
        user: Option<String>,
    },
    /// Make an open ticket useless.
    Void { id: String },
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::Issue {
            user,
            length,
            evidence,
            note,
            owner,
        } => {
            let made = async {
                let note = vouched(desk, evidence.as_deref(), &note)?;
                let asked = Asked {
                    account: &desk.account(&user).await?,
                    length: length.unwrap_or(desk.config.limits.ticket),
                    note: &note,
                    replaces: None,
                    owner,
                };
                issue(desk, asked).await
            };
            made.await
        }
        Verb::List { user } => list(desk, user.as_deref()).await,
        Verb::Void { id } => void(desk, &id).await,
    };
    desk.close().await;
    done.map(|()| Done::All)
}

/// The note with the evidence, which is of the list and not left out where there is a help desk.
pub(super) fn vouched(desk: &Desk, evidence: Option<&str>, note: &str) -> Result<String> {
    let listed = desk.config.desk.as_ref().map(|desk| &desk.evidence);
    match (evidence, listed) {
        (None, None) => Ok(note.to_owned()),
        (Some(evidence), None) => Ok(format!("{evidence}: {note}")),
        (Some(evidence), Some(listed)) if listed.iter().any(|word| word == evidence) => {
            if note.trim().is_empty() {
                bail!("say who vouched for the person: --note TEXT");
            }
            Ok(format!("{evidence}: {note}"))
        }
        (_, Some(listed)) => bail!(
            "a ticket wants evidence: --evidence {:?}",
            listed.join(" | ")
        ),
    }
}

#[derive(Serialize)]
struct Issued<'a> {
    id: &'a str,
    user: &'a str,
    url: String,
    code: &'a str,
    expires: Timestamp,
}

/// Where tickets are redeemed.
pub(super) fn address(desk: &Desk) -> String {
    format!("{}/ticket", desk.config.portal.url())
}

/// What a new ticket is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) account: &'a Account,
    pub(super) length: TicketLength,
    /// With the evidence.
    pub(super) note: &'a str,
    pub(super) replaces: Option<&'a str>,
    pub(super) owner: Option<Owner>,
}

/// Makes a ticket, audits it and tells the person.
pub(super) async fn make(desk: &Desk, asked: Asked<'_>) -> Result<Made> {
    let asked = Issue {
        account: asked.account,
        seconds: asked.length.seconds(),
        note: asked.note,
        replaces: asked.replaces,
        owner: asked.owner,
        by: &desk.actor,
        request_id: None,
    };
    let made = crate::desk::issue(desk.means(), &desk.notices, asked).await?;
    desk.say_where(&made.record);
    Ok(made)
}

pub(super) async fn issue(desk: &Desk, asked: Asked<'_>) -> Result<()> {
    let Made {
        id, code, expires, ..
    } = make(desk, asked).await?;
    let account = asked.account;
    let said = Issued {
        id: &id,
        user: &account.name,
        url: address(desk),
        code: &code,
        expires: exact(expires),
    };
    let sentence = format!(
        "Ticket {id} for {}, until {}:\n\n  address  {}\n  code     {}\n\n\
         It is shown only now, works once, and needs the person's directory password.",
        account.name,
        time(expires),
        said.url,
        code.as_str(),
    );
    desk.out.say(&said, &sentence)
}

#[derive(Serialize)]
struct Listed {
    id: String,
    user: String,
    state: &'static str,
    issued: Timestamp,
    expires: Timestamp,
    issued_by: String,
    note: String,
    replaces: Option<String>,
    owner: Option<Owner>,
}

async fn list(desk: &Desk, user: Option<&str>) -> Result<()> {
    let now = desk.now().as_second();
    let tickets: Vec<Listed> = desk
        .store
        .tickets(user)
        .await?
        .into_iter()
        .map(|row| Listed {
            state: row.state(now).name(),
            owner: row.owner(),
            id: row.id,
            user: row.user_name,
            issued: exact(row.issued),
            expires: exact(row.expires),
            issued_by: row.issued_by,
            note: row.note,
            replaces: row.replaces,
        })
        .collect();
    let head = ["id", "user", "state", "issued", "until", "by", "note"];
    desk.out.list(&tickets, &head, "no tickets", |ticket| {
        vec![
            ticket.id.clone(),
            ticket.user.clone(),
            ticket.state.into(),
            time(ticket.issued.as_second()),
            time(ticket.expires.as_second()),
            ticket.issued_by.clone(),
            ticket.note.clone(),
        ]
    })
}

async fn void(desk: &Desk, id: &str) -> Result<()> {
    let Some(user) = desk.store.void_ticket(id, desk.now().as_second()).await? else {
        bail!("there is no open ticket {id:?}; see `ticket list`");
    };
    let mut entry = draft(AuditKind::Ticket, "void");
    entry.user = Some(user.clone());
    entry.reason = Some(id.to_owned());
    desk.record(entry).await?;
    desk.out.say(
        &serde_json::json!({ "id": id, "user": user, "state": "void" }),
        &format!("Ticket {id} of {user} is void."),
    )
}
