//! What a list of people means here: who gets a ticket, and who does not and why.

use std::collections::HashSet;

use anyhow::Result;
use serde::Serialize;

use super::desk::Desk;
use crate::{
    bulk::Entry,
    directory::{Account, AccountState, Directory, UserName},
    store::TokenState,
};

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// Gets a ticket.
    Ok,
    UnknownPerson,
    Duplicate,
    HasToken,
    HasTicket,
    NotActive,
    NotInGroup,
    BadLine,
}

/// One line's report.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) line: usize,
    pub(super) user: String,
    pub(super) status: Status,
    pub(super) why: Option<String>,
    #[serde(skip)]
    pub(super) account: Option<Account>,
    #[serde(skip)]
    pub(super) note: String,
}

/// Judges all lines; asks the directory once for each name.
pub(super) async fn judge(desk: &Desk, entries: Vec<Entry>) -> Result<Vec<Judged>> {
    let directory = desk.directory()?;
    let mut seen = HashSet::new();
    let mut judged = Vec::with_capacity(entries.len());
    for entry in entries {
        judged.push(one(desk, directory.as_ref(), &mut seen, entry).await?);
    }
    Ok(judged)
}

async fn one(
    desk: &Desk,
    directory: &dyn Directory,
    seen: &mut HashSet<String>,
    entry: Entry,
) -> Result<Judged> {
    let mut judged = Judged {
        line: entry.line,
        user: String::new(),
        status: Status::BadLine,
        why: None,
        account: None,
        note: String::new(),
    };
    let wish = match entry.read {
        Ok(wish) => wish,
        Err(why) => {
            judged.why = Some(why);
            return Ok(judged);
        }
    };
    let Some(name) = UserName::parse(&wish.user) else {
        judged.why = Some("it has no usable user name".into());
        return Ok(judged);
    };
    name.as_str().clone_into(&mut judged.user);
    let Some(account) = directory.find(&name).await? else {
        judged.status = Status::UnknownPerson;
        return Ok(judged);
    };
    judged.status = if !seen.insert(account.id.clone()) {
        Status::Duplicate
    } else if account.state != AccountState::Active {
        Status::NotActive
    } else if wish.group.is_some_and(|group| !account.is_in(&group)) {
        Status::NotInGroup
    } else if has_token(desk, &account.id).await? {
        Status::HasToken
    } else if desk
        .store
        .has_open_ticket(&account.id, desk.now().as_second())
        .await?
    {
        Status::HasTicket
    } else {
        Status::Ok
    };
    judged.note = wish.note.unwrap_or_default();
    judged.account = Some(account);
    Ok(judged)
}

/// A suspended one counts: it is resumed or reissued, not doubled.
async fn has_token(desk: &Desk, user_id: &str) -> Result<bool> {
    let tokens = desk.store.tokens_of(user_id).await?;
    Ok(tokens
        .iter()
        .any(|token| token.is(TokenState::Active) || token.is(TokenState::Suspended)))
}
