//! `directory test`: what the directory says of a person, for whoever sets it up.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde::Serialize;

use super::{Done, input, output::Output};
use crate::{
    clock::Clock,
    config::Config,
    directory::{self, Password, PasswordAnswer, UserName},
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
}

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
    let Verb::Test { user, no_password } = verb;
    serve::install_crypto();
    let name = UserName::parse(&user).with_context(|| format!("{user:?} is no user name"))?;
    let directory = directory::open(&config, &Clock::system())?;
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
