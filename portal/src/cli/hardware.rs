//! `hardware`: tokens that come with a file of their secrets. A file is read completely and reported
//! line by line; nothing is imported without `--apply`, and then the good lines are.

mod stock;

use std::{
    fs,
    path::{Path, PathBuf},
};

use agent_api::AuditKind;
use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Done,
    desk::Desk,
    output::{exact, time},
};
use crate::{
    audit::draft,
    desk::{NotGiven, give},
    notices,
    tokenfile::{self, Read, Secrets, Unlock},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Portable Symmetric Key Container, RFC 6030.
    Pskc,
    /// Comma-separated: serial,secret,type,digits,period,algorithm,counter.
    Csv,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Read a maker's file and report; with --apply, put its tokens in stock.
    Import {
        file: PathBuf,
        #[arg(long, value_enum)]
        format: Format,
        /// How a list's secrets are written.
        #[arg(long, value_enum, default_value = "hex")]
        secrets: Secrets,
        /// A file with the key of an encrypted container, in hexadecimal.
        #[arg(long, conflicts_with = "password_file")]
        key_file: Option<PathBuf>,
        /// A file with the password of an encrypted container.
        #[arg(long)]
        password_file: Option<PathBuf>,
        #[arg(long)]
        apply: bool,
    },
    /// List the tokens in stock.
    List,
    /// Give a token in stock to a person; it counts at once.
    Assign {
        serial: String,
        #[arg(long)]
        user: String,
    },
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::Import {
            file,
            format,
            secrets,
            key_file,
            password_file,
            apply,
        } => {
            let read = match unlock(key_file.as_deref(), password_file.as_deref()) {
                Ok(unlock) => read_file(&file, format, secrets, unlock.as_ref()),
                Err(failure) => Err(failure),
            };
            match read {
                Ok(read) => import(desk, read, apply).await,
                Err(failure) => Err(failure),
            }
        }
        Verb::List => list(desk).await.map(|()| Done::All),
        Verb::Assign { serial, user } => assign(desk, &serial, &user).await.map(|()| Done::All),
    };
    desk.close().await;
    done
}

fn text(file: &Path) -> Result<Zeroizing<String>> {
    let size = fs::metadata(file)
        .with_context(|| format!("cannot read {}", file.display()))?
        .len();
    if size > tokenfile::LARGEST {
        bail!(
            "{} has {size} bytes; more than {} are not read",
            file.display(),
            tokenfile::LARGEST
        );
    }
    let text = fs::read_to_string(file);
    Ok(Zeroizing::new(text.with_context(|| {
        format!("cannot read {}; it must be UTF-8 text", file.display())
    })?))
}

fn unlock(key: Option<&Path>, password: Option<&Path>) -> Result<Option<Unlock>> {
    Ok(match (key, password) {
        (Some(file), _) => {
            let text = text(file)?;
            let key = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
            let key = key.with_context(|| format!("{} is not hexadecimal", file.display()))?;
            Some(Unlock::Key(Zeroizing::new(key)))
        }
        (None, Some(file)) => {
            let text = text(file)?;
            let password = text.trim_end_matches(['\r', '\n']).to_owned();
            Some(Unlock::Password(Zeroizing::new(password)))
        }
        (None, None) => None,
    })
}

fn read_file(
    file: &Path,
    format: Format,
    secrets: Secrets,
    unlock: Option<&Unlock>,
) -> Result<Vec<Read>> {
    let text = text(file)?;
    match format {
        Format::Pskc => tokenfile::pskc(&text, unlock),
        Format::Csv => tokenfile::list(&text, secrets),
    }
    .with_context(|| format!("{} cannot be used; nothing is imported", file.display()))
}

async fn import(desk: &Desk, read: Vec<Read>, apply: bool) -> Result<Done> {
    let codes = match apply {
        true => Some(desk.codes().await?),
        false => None,
    };
    stock::stock(desk, read, codes.as_ref()).await
}

#[derive(Serialize)]
struct Listed {
    serial: String,
    kind: String,
    weak: bool,
    imported: Timestamp,
}

async fn list(desk: &Desk) -> Result<()> {
    let rows = desk.store.stock().await?.into_iter().map(|row| Listed {
        serial: row.serial,
        kind: row.kind,
        weak: row.weak,
        imported: exact(row.imported),
    });
    let rows: Vec<Listed> = rows.collect();
    let head = ["serial", "kind", "imported"];
    desk.out
        .list(&rows, &head, "no hardware tokens in stock", |row| {
            let weak = if row.weak { " (weak secret)" } else { "" };
            vec![
                row.serial.clone(),
                format!("{}{weak}", row.kind),
                time(row.imported.as_second()),
            ]
        })
}

async fn assign(desk: &Desk, serial: &str, user: &str) -> Result<()> {
    let account = desk.account(user).await?;
    let codes = desk.codes().await?;
    let now = desk.now().as_second();
    let given = give((&desk.store, &codes, &desk.config), &account, serial, now);
    let id = match given.await? {
        Ok(id) => id,
        Err(NotGiven::NotInStock) => {
            bail!("there is no token {serial:?} in stock; see `hardware list` and `token list`")
        }
        Err(NotGiven::Full) => {
            let most = desk.config.limits.tokens_per_user.value();
            bail!(
                "{} has {most} tokens already; revoke one first",
                account.name
            )
        }
        Err(NotGiven::Taken) => {
            bail!("token {serial} was taken, or the key rotated, at this moment; look again")
        }
    };
    let mut entry = draft(AuditKind::Token, "assigned");
    entry.user = Some(account.name.clone());
    entry.token = Some(id.clone());
    entry.reason = Some(format!("serial {serial}"));
    desk.record(entry).await?;
    desk.notices
        .tell(
            (&account).into(),
            notices::Kind::NewDevice,
            &[("device", serial)],
        )
        .await;
    let said = serde_json::json!({ "id": id, "user": account.name, "serial": serial });
    let sentence = format!("Token {serial} is now {}'s, as {id}.", account.name);
    desk.out.say(&said, &sentence)
}
