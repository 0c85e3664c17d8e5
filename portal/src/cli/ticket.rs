//! `ticket`: issue, list, void. The code has 120 bits, is printed once, and only its hash is kept.

use agent_api::AuditKind;
use anyhow::{Result, bail};
use clap::Subcommand;
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Done,
    desk::Desk,
    output::{exact, time},
};
use crate::{
    audit::{clean, draft},
    config::Length,
    directory::Account,
    notices::Kind,
    random,
    store::NewTicket,
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
        /// Who vouched for the person, and how.
        #[arg(long, default_value = "")]
        note: String,
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
        Verb::Issue { user, length, note } => {
            let length = length.unwrap_or(desk.config.limits.ticket);
            match desk.account(&user).await {
                Ok(account) => issue(desk, &account, length, &note, None).await,
                Err(failure) => Err(failure),
            }
        }
        Verb::List { user } => list(desk, user.as_deref()).await,
        Verb::Void { id } => void(desk, &id).await,
    };
    desk.close().await;
    done.map(|()| Done::All)
}

#[derive(Serialize)]
struct Issued<'a> {
    id: &'a str,
    user: &'a str,
    url: String,
    code: &'a str,
    expires: Timestamp,
}

/// A ticket that was made, with the code that is never seen again.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) code: Zeroizing<String>,
    pub(super) expires: i64,
}

/// Where tickets are redeemed.
pub(super) fn address(desk: &Desk) -> String {
    format!("{}/ticket", desk.config.portal.url())
}

/// Makes a ticket, audits it and tells the person.
pub(super) async fn make(
    desk: &Desk,
    account: &Account,
    length: TicketLength,
    note: &str,
    replaces: Option<&str>,
) -> Result<Made> {
    let letters = Zeroizing::new(BASE32_NOPAD.encode(&random::bytes::<15>()));
    let now = desk.now().as_second();
    let expires = now + length.seconds();
    let id = random::id('k');
    let note = clean(note);
    let new = NewTicket {
        id: &id,
        user_id: &account.id,
        user_name: &account.name,
        code: random::digest(&letters),
        replaces,
        issued: now,
        expires,
        issued_by: &desk.actor,
        note: &note,
    };
    desk.store.add_ticket(&new).await?;
    let mut entry = draft(AuditKind::Ticket, "issued");
    entry.user = Some(account.name.clone());
    entry.token = replaces.map(str::to_owned);
    entry.reason = Some(format!("{id}: {note}"));
    desk.record(entry).await?;
    let until = desk.notices.moment(expires);
    desk.notices
        .tell(account.into(), Kind::TicketIssued, &[("until", &until)])
        .await;
    let code = grouped(&letters);
    Ok(Made { id, code, expires })
}

pub(super) async fn issue(
    desk: &Desk,
    account: &Account,
    length: TicketLength,
    note: &str,
    replaces: Option<&str>,
) -> Result<()> {
    let Made { id, code, expires } = make(desk, account, length, note, replaces).await?;
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

/// `ABCD-EFGH-…`.
fn grouped(letters: &str) -> Zeroizing<String> {
    let mut out = String::with_capacity(letters.len() * 5 / 4);
    for (index, letter) in letters.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            out.push('-');
        }
        out.push(letter);
    }
    Zeroizing::new(out)
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
