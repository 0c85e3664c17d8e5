//! `directory`: what the directory says of a person, for whoever sets it up, and how the watch for
//! leavers stands.

mod leavers;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde::Serialize;

use super::{Done, desk::Desk, input, output::Output};
use crate::{
    clock::Clock,
    config::Config,
    directory::{self, Password, PasswordAnswer, UserName},
    leavers::Mode,
    serve,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Look a person up and check their password, which is read from standard input or asked for.
    Test {
        #[arg(long)]
        user: String,
        /// Look up only.
        #[arg(long)]
        no_password: bool,
    },
    /// Show when everybody was last looked up, how long that took, and what came of it.
    Status,
    /// Look everybody up now, and end what belongs to people who left.
    Sweep {
        /// Even if very many seem to have left at once.
        #[arg(long, conflicts_with = "dry_run")]
        force: bool,
        /// Only say who left.
        #[arg(long)]
        dry_run: bool,
    },
}

#[cfg(test)]
pub(super) use leavers::sweep;

#[derive(Serialize)]
struct Said {
    found: bool,
    id: Option<String>,
    name: Option<String>,
    handle: Option<String>,
    state: Option<&'static str>,
    groups: Vec<String>,
    /// `right`, `must-change`, or why not.
    password: Option<&'static str>,
}

pub(super) async fn carry_out(config: Config, json: bool, verb: Verb) -> Result<Done> {
    match verb {
        Verb::Test { user, no_password } => test(&config, json, &user, no_password).await,
        Verb::Status => {
            let desk = Desk::open(config, json).await?;
            let done = leavers::status(&desk).await;
            desk.close().await;
            done
        }
        Verb::Sweep { force, dry_run } => {
            let mode = match (force, dry_run) {
                (true, _) => Mode::Forced,
                (false, true) => Mode::DryRun,
                (false, false) => Mode::Guarded,
            };
            let desk = Desk::open(config, json).await?;
            let done = leavers::sweep(&desk, mode).await;
            desk.close().await;
            done
        }
    }
}

async fn test(config: &Config, json: bool, user: &str, no_password: bool) -> Result<Done> {
    serve::install_crypto();
    let name = UserName::parse(user).with_context(|| format!("{user:?} is no user name"))?;
    let directory = directory::open(config, &Clock::system())?;
    let account = directory.find(&name).await?;
    let password = match (&account, no_password) {
        (Some(account), false) => {
            let typed = input::secret("password", input::Typed::Once)?;
            Some(match Password::parse(&typed) {
                None => "refused-before-the-bind",
                Some(password) => match directory.verify(account, &password).await? {
                    PasswordAnswer::Right => "right",
                    PasswordAnswer::MustChange(why) | PasswordAnswer::Wrong(why) => why,
                },
            })
        }
        _ => None,
    };
    let said = Said {
        found: account.is_some(),
        id: account.as_ref().map(|a| a.id.clone()),
        name: account.as_ref().map(|a| a.name.clone()),
        handle: account.as_ref().map(|a| a.handle.clone()),
        state: account.as_ref().map(|a| a.state.name()),
        groups: account.map(|a| a.groups).unwrap_or_default(),
        password,
    };
    let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let sentence = format!(
        "found:    {}\nname:     {}\nid:       {}\nhandle:   {}\nstate:    {}\ngroups:   {}\npassword: {}",
        if said.found { "yes" } else { "no" },
        or(&said.name),
        or(&said.id),
        or(&said.handle),
        said.state.unwrap_or("-"),
        if said.groups.is_empty() {
            "-".into()
        } else {
            said.groups.join(", ")
        },
        said.password.unwrap_or("not asked"),
    );
    Output::new(json).say(&said, &sentence)?;
    let fine = said.found && (no_password || said.password == Some("right"));
    Ok(if fine { Done::All } else { Done::Partly })
}
