//! `token`: list, import, suspend, resume, revoke, reissue, owner. No verb ever prints a secret again.

use agent_api::AuditKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Done,
    desk::Desk,
    input,
    output::{exact, time},
    owner, ticket, unused,
};
use crate::{
    audit::draft,
    otp::{Code, Seed},
    random,
    store::{Kind, NewToken, Owner, SuspendedBy, TokenRow, TokenState},
    tokenfile,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List tokens.
    List {
        /// Of this person only.
        #[arg(long)]
        user: Option<String>,
    },
    /// Take over a token of another system: its Base32 secret is read from standard input or asked
    /// for (SHA-1, 6 digits, 30 s).
    Import {
        #[arg(long)]
        user: String,
        #[arg(long)]
        name: String,
        /// A google-authenticator file, instead of a typed secret.
        #[arg(long)]
        google_authenticator: Option<PathBuf>,
        /// Whose device it is on.
        #[arg(long)]
        owner: Option<Owner>,
    },
    /// Bring a token back into step by two codes that follow each other, read from standard input
    /// or asked for.
    Resync { id: String },
    /// Make a token's codes count no more until it is resumed by an operator.
    Suspend { id: String },
    /// Make a suspended token's codes count again.
    Resume { id: String },
    /// End a token for good.
    Revoke { id: String },
    /// Issue a ticket for a new token; the old one is revoked when the new one is confirmed.
    Reissue {
        id: String,
        /// How it was made sure who the person is: one of `[desk] evidence`.
        #[arg(long)]
        evidence: Option<String>,
        /// Who vouched for the person, and how.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Suspend tokens that nobody used for long.
    SuspendUnused(unused::Asked),
    /// Say whose device a token is on.
    Owner { id: String, owner: owner::Said },
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::List { user } => list(desk, user.as_deref()).await,
        Verb::Import {
            user,
            name,
            google_authenticator,
            owner,
        } => import(desk, &user, (&name, owner), google_authenticator.as_deref()).await,
        Verb::Resync { id } => resync(desk, &id).await,
        Verb::Suspend { id } => change(desk, &id, Change::Suspend).await,
        Verb::Resume { id } => change(desk, &id, Change::Resume).await,
        Verb::Revoke { id } => change(desk, &id, Change::Revoke).await,
        Verb::Reissue { id, evidence, note } => {
            match ticket::vouched(desk, evidence.as_deref(), &note) {
                Ok(note) => reissue(desk, &id, &note).await,
                Err(failure) => Err(failure),
            }
        }
        Verb::SuspendUnused(asked) => unused::carry_out(desk, asked).await,
        Verb::Owner { id, owner } => owner::carry_out(desk, &id, owner).await,
    };
    desk.close().await;
    done.map(|()| Done::All)
}

#[derive(Serialize)]
struct Listed {
    id: String,
    user: String,
    name: String,
    state: &'static str,
    kind: String,
    serial: Option<String>,
    owner: Option<Owner>,
    weak: bool,
    origin: String,
    created: Timestamp,
    last_used: Option<Timestamp>,
}

async fn list(desk: &Desk, user: Option<&str>) -> Result<()> {
    let tokens = desk
        .store
        .tokens(user)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Listed {
                state: row.state()?.name(),
                kind: row.kind_word().to_owned(),
                owner: row.owner(),
                serial: row.serial.clone(),
                id: row.id,
                user: row.user_name,
                name: row.name,
                weak: row.weak,
                origin: row.origin,
                created: exact(row.created),
                last_used: row.last_used.map(exact),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let head = [
        "id",
        "user",
        "name",
        "kind",
        "owner",
        "state",
        "added",
        "last used",
        "by",
    ];
    desk.out.list(&tokens, &head, "no tokens", |token| {
        let weak = if token.weak { " (weak)" } else { "" };
        vec![
            token.id.clone(),
            token.user.clone(),
            token.name.clone(),
            token.kind.clone(),
            owner::word(token.owner),
            format!("{}{weak}", token.state),
            time(token.created.as_second()),
            token
                .last_used
                .map_or("never".into(), |at| time(at.as_second())),
            token.origin.clone(),
        ]
    })
}

async fn import(
    desk: &Desk,
    user: &str,
    (name, owner): (&str, Option<Owner>),
    file: Option<&Path>,
) -> Result<()> {
    if name.trim().is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
        bail!("a token's name has 1 to 40 characters");
    }
    let account = desk.account(user).await?;
    let (seed, kind, left) = match file {
        None => {
            let typed = input::secret("Base32 secret", input::Typed::Once)?;
            (Seed::from_base32(&typed)?, Kind::App, 0)
        }
        Some(file) => {
            let text = Zeroizing::new(
                std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?,
            );
            let read = tokenfile::google(&text);
            let (token, left) = read.with_context(|| file.display().to_string())?;
            let kind = Kind::Imported {
                recipe: token.recipe,
                last: token.last,
                serial: None,
            };
            (token.seed, kind, left)
        }
    };
    if left > 0 {
        desk.out.warn(&format!(
            "its {left} emergency codes are not taken over: eight digits are too few to be kept \
             safe; the person makes recovery codes in the portal"
        ));
    }
    let codes = desk.codes().await?;
    let id = random::id('t');
    let (sealed, key_id) = codes.seal(&id, &seed)?;
    let new = NewToken {
        id: &id,
        user_id: &account.id,
        user_name: &account.name,
        name: name.trim(),
        state: TokenState::Active,
        secret: &sealed,
        key_id: &key_id,
        weak: seed.is_weak(),
        origin: "import",
        handle: None,
        replaces: None,
        created: desk.now().as_second(),
        expires: None,
        owner,
        kind,
    };
    if !desk.store.add_token(&new).await? {
        bail!("the key was rotated at this moment; run the verb again");
    }
    let mut entry = draft(AuditKind::Token, "imported");
    entry.user = Some(account.name.clone());
    entry.token = Some(id.clone());
    entry.reason = seed.is_weak().then(|| "weak secret".to_owned());
    desk.record(entry).await?;
    if let Some(token) = desk.store.token(&id).await? {
        desk.notices.token(&token, &token.name, "imported").await;
    }
    if seed.is_weak() {
        let bits = seed.bytes().len() * 8;
        desk.out.warn(&format!(
            "the secret has only {bits} bits; the token is marked weak"
        ));
    }
    let said = serde_json::json!({ "id": id, "user": account.name, "weak": seed.is_weak() });
    desk.out.say(
        &said,
        &format!("Token {id} of {} is imported and active.", account.name),
    )
}

async fn resync(desk: &Desk, id: &str) -> Result<()> {
    let token = row(desk, id).await?;
    if token.is_passkey() || !token.is(TokenState::Active) {
        bail!("token {id} is no active token that makes codes");
    }
    let first = input::secret("first code", input::Typed::Once)?;
    let second = input::secret("code after it", input::Typed::Once)?;
    let (Some(first), Some(second)) = (Code::parse(&first), Code::parse(&second)) else {
        bail!("a code has six to eight digits; nothing was changed");
    };
    let codes = desk.codes().await?;
    let done = codes
        .resync_one(&token, (&first, &second), desk.now())
        .await?;
    if !done {
        bail!(
            "these are not two codes of token {id} that follow each other and were not used; \
             press twice and try once more"
        );
    }
    let mut entry = draft(AuditKind::Token, "resynchronised");
    entry.user = Some(token.user_name.clone());
    entry.token = Some(id.to_owned());
    desk.record(entry).await?;
    let said = serde_json::json!({ "id": id, "user": token.user_name, "resynchronised": true });
    desk.out.say(
        &said,
        &format!("Token {id} of {} is in step again.", token.user_name),
    )
}

#[derive(Clone, Copy)]
enum Change {
    Suspend,
    Resume,
    Revoke,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::Revoke => "revoked",
        }
    }
}

async fn row(desk: &Desk, id: &str) -> Result<TokenRow> {
    desk.store
        .token(id)
        .await?
        .with_context(|| format!("there is no token {id:?}; see `token list`"))
}

async fn change(desk: &Desk, id: &str, change: Change) -> Result<()> {
    let token = row(desk, id).await?;
    let done = match change {
        Change::Suspend => {
            desk.store
                .suspend_token(id, SuspendedBy::Operator, None)
                .await?
        }
        Change::Resume => {
            desk.store
                .resume_token(id, SuspendedBy::Operator, None)
                .await?
        }
        Change::Revoke => desk.store.revoke_token(id, None).await?,
    };
    let word = change.word();
    if !done {
        bail!(
            "token {id} is {} and cannot be {word}",
            token.state()?.name()
        );
    }
    let mut entry = draft(AuditKind::Token, word);
    entry.user = Some(token.user_name.clone());
    entry.token = Some(id.to_owned());
    desk.record(entry).await?;
    desk.notices.token(&token, &token.name, word).await;
    let said = serde_json::json!({ "id": id, "user": token.user_name, "state": word });
    desk.out.say(
        &said,
        &format!("Token {id} of {} is {word}.", token.user_name),
    )
}

async fn reissue(desk: &Desk, id: &str, note: &str) -> Result<()> {
    let token = row(desk, id).await?;
    if token.is(TokenState::Revoked) || token.is(TokenState::Pending) {
        bail!(
            "token {id} is {}; issue a ticket instead",
            token.state()?.name()
        );
    }
    let account = desk.account(&token.user_name).await?;
    if account.id != token.user_id {
        bail!(
            "{} is another person in the directory by now",
            token.user_name
        );
    }
    let asked = ticket::Asked {
        account: &account,
        length: desk.config.limits.ticket,
        note,
        replaces: Some(id),
        owner: None,
    };
    ticket::issue(desk, asked).await
}
