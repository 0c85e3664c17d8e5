//! `banner`: what every page says above everything else, for maintenance and outages.

use std::collections::BTreeMap;

use agent_api::AuditKind;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use jiff::{Timestamp, civil::DateTime};
use serde::Serialize;

use super::{Done, desk::Desk, output::time};
use crate::{
    audit::{clean, draft},
    banner::{Banner, TEXT_MAX},
    text::Language,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show a text on every page; it takes the place of the one before.
    Set {
        #[arg(long)]
        text_en: Option<String>,
        #[arg(long)]
        text_ja: Option<String>,
        /// In another language: its tag, `=`, the text; may be repeated.
        #[arg(long = "text", value_name = "TAG=TEXT")]
        texts: Vec<String>,
        /// When it goes by itself: `2026-12-01 18:00` in the portal's time zone, or RFC 3339.
        #[arg(long)]
        until: Option<String>,
    },
    /// Take it away.
    Clear,
    /// Print it.
    Show,
}

#[derive(Serialize)]
struct Shown<'a> {
    texts: &'a BTreeMap<String, String>,
    until: Option<Timestamp>,
}

pub(super) async fn carry_out(desk: &Desk, verb: Verb) -> Result<Done> {
    let done = match verb {
        Verb::Set {
            text_en,
            text_ja,
            texts,
            until,
        } => {
            let own = [("en", text_en), ("ja", text_ja)];
            let own = own
                .into_iter()
                .filter_map(|(tag, text)| Some((tag.to_owned(), text?)));
            match banner(desk, own.collect(), &texts, until.as_deref()) {
                Ok(banner) => set(desk, &banner).await,
                Err(failure) => Err(failure),
            }
        }
        Verb::Clear => clear(desk).await,
        Verb::Show => show(desk).await,
    };
    desk.close().await;
    done.map(|()| Done::All)
}

fn banner(
    desk: &Desk,
    mut texts: BTreeMap<String, String>,
    more: &[String],
    until: Option<&str>,
) -> Result<Banner> {
    for one in more {
        let (tag, text) = one
            .split_once('=')
            .with_context(|| format!("{one:?} is not TAG=TEXT, such as \"de=Wartung\""))?;
        if Language::of_tag(tag).is_none() {
            bail!("{tag:?} is no language tag; write one like \"de\"");
        }
        texts.insert(tag.to_owned(), text.to_owned());
    }
    if texts.is_empty() {
        bail!("a banner needs a text; write --text-en \"…\" or --text-ja \"…\"");
    }
    for (tag, text) in &texts {
        let length = text.chars().count();
        if text.trim().is_empty() || length > TEXT_MAX || text.chars().any(char::is_control) {
            bail!("the text for {tag} must be one line of 1 to {TEXT_MAX} characters");
        }
    }
    let until = until.map(|until| moment(desk, until)).transpose()?;
    Ok(Banner { texts, until })
}

/// A moment that is still to come, in seconds.
fn moment(desk: &Desk, text: &str) -> Result<i64> {
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let civil: DateTime = text.parse().ok().with_context(|| {
                format!("{text:?} is no time; write one like \"2026-12-01 18:00\"")
            })?;
            let zone = desk.config.portal.time_zone();
            civil
                .to_zoned(zone)
                .context("no such time there")?
                .timestamp()
        }
    };
    if at <= desk.now() {
        bail!("{text:?} is over already; give a time to come, or leave --until out");
    }
    Ok(at.as_second())
}

async fn set(desk: &Desk, banner: &Banner) -> Result<()> {
    banner.set(&desk.store).await?;
    let first = banner.texts.values().next();
    record(desk, "banner-set", first.map(String::as_str)).await?;
    say(desk, banner)
}

async fn clear(desk: &Desk) -> Result<()> {
    Banner::clear(&desk.store).await?;
    record(desk, "banner-cleared", None).await?;
    desk.out.say(&(), "There is no banner now.")
}

async fn show(desk: &Desk) -> Result<()> {
    match Banner::read(&desk.store).await? {
        Some(banner) => say(desk, &banner),
        None => desk.out.say(&(), "There is no banner."),
    }
}

async fn record(desk: &Desk, outcome: &str, text: Option<&str>) -> Result<()> {
    let mut record = draft(AuditKind::User, outcome);
    record.reason = text.map(clean);
    desk.record(record).await
}

fn say(desk: &Desk, banner: &Banner) -> Result<()> {
    let until = banner.until.and_then(|at| Timestamp::from_second(at).ok());
    let end = match banner.until {
        Some(at) if at <= desk.now().as_second() => "Its time is over; nobody sees it.".to_owned(),
        Some(at) => format!("Shown until {}.", time(at)),
        None => "Shown until it is cleared.".to_owned(),
    };
    let texts: Vec<String> = banner
        .texts
        .iter()
        .map(|(tag, text)| format!("{tag}: {text}"))
        .collect();
    let shown = Shown {
        texts: &banner.texts,
        until,
    };
    desk.out
        .say(&shown, &format!("{}\n{end}", texts.join("\n")))
}
