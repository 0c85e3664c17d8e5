//! `user`: people of the local directory, lock-outs and waits.

use agent_api::AuditKind;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use serde::Serialize;

use super::{Done, desk::Desk, input};
use crate::{
    audit::draft,
    config,
    directory::{
        Password, hash,
        users_file::{User, UsersFile, check_name},
    },
    lockout::{Depth, LockOut},
    notices::Kind,
    random,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Add a person to the local users file; the password is read from standard input or asked for.
    Add {
        name: String,
        /// A group the person is in; may be given several times.
        #[arg(long = "group")]
        groups: Vec<String>,
        /// Where notices go.
        #[arg(long)]
        mail: Option<String>,
    },
    /// List the local users file.
    List,
    /// Set a person's password, read from standard input or asked for.
    Passwd { name: String },
    /// Remove a person from the local users file, and lock them out.
    Remove { name: String },
    /// Lock a person out completely: tokens, tickets, cookies and open grants at once.
    Lockout {
        name: String,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Forget a person's failed log-ins, so that they need not wait.
    Unlock { name: String },
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::Add { name, groups, mail } => {
            add(desk, &name, groups, mail).await.map(|()| Done::All)
        }
        Verb::List => list(desk).map(|()| Done::All),
        Verb::Passwd { name } => passwd(desk, &name).await.map(|()| Done::All),
        Verb::Remove { name } => remove(desk, &name).await,
        Verb::Lockout { name, reason } => lockout(desk, &name, reason).await,
        Verb::Unlock { name } => unlock(desk, &name).await.map(|()| Done::All),
    };
    desk.close().await;
    done
}

fn file(desk: &Desk) -> Result<&std::path::Path> {
    match &desk.config.directory {
        config::Directory::Local(settings) => Ok(&settings.file),
        config::Directory::Ldap(_) => {
            bail!("users live in the LDAP directory here; change them there")
        }
    }
}

fn write(desk: &Desk, users: &UsersFile) -> Result<()> {
    let path = file(desk)?;
    users
        .write(path, &desk.config.portal.data)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn new_hash() -> Result<String> {
    let typed = input::secret("password", input::Typed::Twice)?;
    let password = Password::parse(&typed)
        .context("a password has 1 to 128 bytes and no NUL; nothing done")?;
    hash(&password).map_err(|e| anyhow::anyhow!("the password cannot be hashed: {e}"))
}

async fn add(desk: &Desk, name: &str, groups: Vec<String>, mail: Option<String>) -> Result<()> {
    check_name(name).map_err(anyhow::Error::msg)?;
    let mut users = UsersFile::read_or_new(file(desk)?)?;
    if users.find(name).is_some() {
        bail!("{name} is there already; use `user passwd` to change the password");
    }
    let user = User {
        name: name.to_owned(),
        id: Some(random::id('u')),
        groups,
        mail,
        disabled: false,
        password: new_hash()?,
    };
    users.users.push(user);
    write(desk, &users)?;
    record(desk, "added", name, None).await?;
    desk.out.say(
        &serde_json::json!({ "added": name }),
        &format!("{name} is added."),
    )
}

#[derive(Serialize)]
struct Listed {
    name: String,
    groups: Vec<String>,
    disabled: bool,
}

fn list(desk: &Desk) -> Result<()> {
    let users: Vec<Listed> = UsersFile::read_or_new(file(desk)?)?
        .users
        .into_iter()
        .map(|user| Listed {
            name: user.name,
            groups: user.groups,
            disabled: user.disabled,
        })
        .collect();
    desk.out
        .list(&users, &["user", "groups", "state"], "no users", |user| {
            let state = if user.disabled { "disabled" } else { "active" };
            vec![user.name.clone(), user.groups.join(", "), state.into()]
        })
}

async fn passwd(desk: &Desk, name: &str) -> Result<()> {
    let mut users = UsersFile::read_or_new(file(desk)?)?;
    let user = users
        .find_mut(name)
        .with_context(|| format!("there is no user {name}"))?;
    user.password = new_hash()?;
    let (name, id) = (user.name.clone(), user.id());
    write(desk, &users)?;
    // Whoever knew the old password must log in again.
    desk.store.remove_cookies_of(&id).await?;
    record(desk, "password-set", &name, None).await?;
    desk.out.say(
        &serde_json::json!({ "changed": name }),
        &format!("The password of {name} is set."),
    )
}

async fn remove(desk: &Desk, name: &str) -> Result<Done> {
    let mut users = UsersFile::read_or_new(file(desk)?)?;
    let user = users
        .find(name)
        .with_context(|| format!("there is no user {name}"))?;
    let (name, id) = (user.name.clone(), user.id());
    users.users.retain(|user| user.name != name);
    // First the file: without it the person could log in again right after the lock-out.
    write(desk, &users)?;
    record(desk, "removed", &name, None).await?;
    let done = end_everything(desk, Some(&id), &name, "user removed".into()).await?;
    if done == Done::All {
        desk.out.say(
            &serde_json::json!({ "removed": name }),
            &format!("{name} is removed."),
        )?;
    }
    Ok(done)
}

async fn lockout(desk: &Desk, name: &str, reason: Option<String>) -> Result<Done> {
    // Somebody the directory does not know any more, or a directory that is down, must not stop it.
    let found = match desk.find(name).await {
        Ok(found) => found,
        Err(failure) => {
            desk.out
                .warn(&format!("{failure:#}; locking out by name alone"));
            None
        }
    };
    let name = found
        .as_ref()
        .map_or(name, |account| &account.name)
        .to_owned();
    let id = found.as_ref().map(|account| account.id.as_str());
    let done = end_everything(desk, id, &name, reason.unwrap_or_default()).await?;
    if let Some(account) = &found {
        desk.notices
            .tell(account.into(), Kind::LockedOut, &[])
            .await;
    }
    Ok(done)
}

#[derive(Serialize)]
struct LockedOut {
    user: String,
    tokens: u64,
    tickets: u64,
    cookies: u64,
    /// None: the agent did not answer.
    grants: Option<u64>,
}

async fn end_everything(desk: &Desk, id: Option<&str>, name: &str, reason: String) -> Result<Done> {
    let order = LockOut {
        id,
        name,
        depth: Depth::Revoke,
        outcome: "ok",
        reason: &reason,
        request_id: None,
    };
    let ended = order.carry_out(desk.means()).await?;
    desk.say_where(&ended.record);
    let closed = ended.grants;
    let ended = ended.stored;
    let done = if closed.is_ok() {
        Done::All
    } else {
        Done::Partly
    };
    let said = LockedOut {
        user: name.to_owned(),
        tokens: ended.tokens,
        tickets: ended.tickets,
        cookies: ended.cookies,
        grants: closed.as_ref().ok().copied(),
    };
    let grants = said
        .grants
        .map_or("NOT CLOSED".to_owned(), |count| format!("{count} closed"));
    desk.out.say(
        &said,
        &format!(
            "{name} is locked out: tokens {} revoked, tickets {} voided, cookies {} ended, grants {grants}.",
            said.tokens, said.tickets, said.cookies
        ),
    )?;
    if let Err(failure) = closed {
        desk.out.warn(&format!(
            "OPEN GRANTS OF {name} STAY OPEN until their deadline: {failure}\n\
             Run `sekisho revoke --user {name}` as soon as the agent answers."
        ));
    }
    Ok(done)
}

async fn unlock(desk: &Desk, name: &str) -> Result<()> {
    let forgiven = desk
        .store
        .forgive(&desk.codes().await?.pseudonym(&name.to_lowercase()))
        .await?;
    if forgiven {
        record(desk, "unlocked", name, None).await?;
    }
    let sentence = if forgiven {
        "need not wait any more"
    } else {
        "had nothing to wait for"
    };
    desk.out.say(
        &serde_json::json!({ "unlocked": forgiven }),
        &format!("{name} {sentence}."),
    )
}

async fn record(desk: &Desk, outcome: &str, name: &str, reason: Option<String>) -> Result<()> {
    let mut entry = draft(AuditKind::User, outcome);
    entry.user = Some(name.to_owned());
    entry.reason = reason;
    desk.record(entry).await
}
