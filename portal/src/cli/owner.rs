//! `token owner`: whose device a token is on. It is for lists and for policies on paper; nothing
//! opens by it.

use agent_api::AuditKind;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::desk::Desk;
use crate::{audit::draft, store::Owner};

/// What is said of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Said {
    /// The person's own.
    Private,
    /// The company's.
    Company,
    /// Nobody knows; takes back what was said.
    Unsaid,
}

impl Said {
    fn owner(self) -> Option<Owner> {
        match self {
            Self::Private => Some(Owner::Private),
            Self::Company => Some(Owner::Company),
            Self::Unsaid => None,
        }
    }
}

/// As lists print it.
pub(super) fn word(owner: Option<Owner>) -> String {
    owner.map_or(String::new(), |owner| owner.word().to_owned())
}

pub(super) async fn carry_out(desk: &Desk, id: &str, said: Said) -> Result<()> {
    let token = desk.store.token(id).await?;
    let token = token.with_context(|| format!("there is no token {id:?}; see `token list`"))?;
    let owner = said.owner();
    if !desk.store.set_owner(id, owner).await? {
        bail!("token {id} is revoked; whose device it was on stays as it is");
    }
    let named = Owner::told(owner);
    let mut entry = draft(AuditKind::Token, "owner-said");
    entry.user = Some(token.user_name.clone());
    entry.token = Some(id.to_owned());
    entry.reason = Some(named.to_owned());
    desk.record(entry).await?;
    desk.out.say(
        &serde_json::json!({ "id": id, "user": token.user_name, "owner": owner }),
        &format!("The owner of {}'s token {id}: {named}.", token.user_name),
    )
}
