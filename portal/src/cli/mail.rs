//! `mail`: look at a text, try the server, see what waits.

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    Done,
    desk::Desk,
    output::{exact, time},
};
use crate::{
    mail::{Letter, Post as _, Posted, SmtpPost, Writer},
    notices::Kind,
    random,
    text::Language,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Print a notice's text with invented values; sends nothing.
    Preview {
        /// Which notice, e.g. new-network.
        #[arg(value_parser = kind)]
        kind: Kind,
        /// `en` or `ja`; the configured default if absent.
        #[arg(long, value_parser = language)]
        language: Option<Language>,
    },
    /// Send one mail to an address, to see whether the server takes it.
    Test { address: String },
    /// List the notices that wait.
    List,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::of_name(text).ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.map(Kind::name).to_vec();
        format!("there are {}", names.join(", "))
    })
}

fn language(text: &str) -> Result<Language, String> {
    let built_in = Language::of_tag(text).filter(|language| Language::ALL.contains(language));
    built_in.ok_or_else(|| "there are en and ja".to_owned())
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::Preview { kind, language } => preview(desk, kind, language),
        Verb::Test { address } => test(desk, &address).await,
        Verb::List => list(desk).await,
    };
    desk.close().await;
    done.map(|()| Done::All)
}

fn writer(desk: &Desk) -> Result<Writer> {
    let mail = desk.config.mail.as_ref();
    let mail = mail.context("the configuration has no [mail]; write `server` and `from` there")?;
    Ok(Writer::new(&desk.config, mail)?)
}

#[derive(Serialize)]
struct Preview {
    kind: &'static str,
    language: String,
    subject: String,
    body: String,
}

fn sample(desk: &Desk, time: &str, kind: Kind, language: Language) -> Result<Preview> {
    let mut values = kind.sample();
    values.push(("time", time));
    let letter = Letter {
        kind,
        language,
        user: "alice",
        values: &values,
    };
    let (subject, body) = writer(desk)?.text(&letter);
    Ok(Preview {
        kind: kind.name(),
        language: language.tag().to_owned(),
        subject,
        body,
    })
}

fn preview(desk: &Desk, kind: Kind, language: Option<Language>) -> Result<()> {
    let time = desk.notices.moment(desk.now().as_second());
    let language = language.unwrap_or(desk.config.portal.default_language);
    let said = sample(desk, &time, kind, language)?;
    desk.out.say(
        &said,
        &format!("Subject: {}\n\n{}", said.subject, said.body),
    )
}

async fn test(desk: &Desk, address: &str) -> Result<()> {
    let to = address
        .parse()
        .with_context(|| format!("{address:?} is no mail address"))?;
    let writer = writer(desk)?;
    let mail = desk.config.mail.as_ref().context("no [mail]")?;
    let kind = Kind::DeskAction;
    let time = desk.notices.moment(desk.now().as_second());
    let values = [("action", "mail test"), ("time", time.as_str())];
    let letter = Letter {
        kind,
        language: desk.config.portal.default_language,
        user: "test",
        values: &values,
    };
    let message = writer.write(&letter, to, &random::handle(), desk.now())?;
    match SmtpPost::open(mail)?.send(message).await {
        Posted::Taken => desk.out.say(
            &serde_json::json!({ "taken": address }),
            &format!("The server took a mail to {address}."),
        ),
        Posted::Later(why) | Posted::ServerDown(why) | Posted::Never(why) => {
            bail!("the server did not take it: {why}")
        }
    }
}

#[derive(Serialize)]
struct Waiting {
    id: i64,
    user: String,
    kind: String,
    queued: Timestamp,
    next_try: Timestamp,
    tries: i64,
    problem: Option<String>,
}

async fn list(desk: &Desk) -> Result<()> {
    let rows = desk.store.waiting_mails(10_000).await?;
    let waiting: Vec<Waiting> = rows
        .into_iter()
        .map(|row| Waiting {
            id: row.id,
            user: row.user_name,
            kind: row.kind,
            queued: exact(row.created),
            next_try: exact(row.due),
            tries: row.tries,
            problem: row.problem,
        })
        .collect();
    let head = [
        "id", "user", "notice", "queued", "next try", "tries", "problem",
    ];
    desk.out.list(&waiting, &head, "no notices wait", |row| {
        vec![
            row.id.to_string(),
            row.user.clone(),
            row.kind.clone(),
            time(row.queued.as_second()),
            time(row.next_try.as_second()),
            row.tries.to_string(),
            row.problem.clone().unwrap_or_default(),
        ]
    })
}
