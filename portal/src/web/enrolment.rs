//! Words for "not from here" and "not now": why no authenticator can be set up, and where and when
//! one can be.

use http::StatusCode;
use jiff::civil::Weekday;

use super::{failed, times::zone_name, visit::Visit};
use crate::{
    config::{Hours, Unfit},
    enrol::Origin,
    login::Shown,
    portal::Portal,
    text::{EnrolmentWords, Words, fill},
};

/// What is wrong, without where and when.
pub(super) fn short(unfit: Unfit, words: &Words) -> String {
    let words = &words.enrolment;
    match unfit {
        Unfit::Place => words.not_here.clone(),
        Unfit::Time => words.not_now.clone(),
        Unfit::Both => format!("{} {}", words.not_here, words.not_now),
    }
}

/// All of it: what is wrong, from where and at which hours it is possible.
pub(super) fn sentence(portal: &Portal, visit: &Visit, unfit: Unfit) -> String {
    let all = portal.texts.of(visit.language);
    let (words, settings) = (&all.enrolment, &portal.config.enrolment);
    let mut text = short(unfit, all);
    if !settings.networks.is_empty() {
        let networks: Vec<String> = settings.networks.iter().map(ToString::to_string).collect();
        let networks = networks.join(&words.and);
        text = format!("{text} {}", fill(&words.places, &[("networks", &networks)]));
    }
    if !settings.hours.is_empty() {
        let hours: Vec<String> = settings.hours.iter().map(|h| span(h, words)).collect();
        let zone = zone_name(&portal.zone, portal.now());
        let values = [("hours", hours.join(&words.and)), ("zone", zone)];
        let values = values
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        text = format!("{text} {}", fill(&words.times, &values));
    }
    text
}

/// The same before anything is tried, where this way is not open. None: it is.
pub(super) fn unfit(portal: &Portal, visit: &Visit, way: Origin) -> Option<String> {
    let from = visit.client.ok().map(|from| from.ip());
    let unfit = portal.may_enrol(way, from).err()?;
    Some(sentence(portal, visit, unfit))
}

/// Status and words for a refusal on a page that leads to an enrolment.
pub(super) fn refusal(
    portal: &Portal,
    visit: &Visit,
    shown: Shown,
    generic: &str,
) -> (StatusCode, String) {
    match shown {
        Shown::Unfit(unfit) => (StatusCode::FORBIDDEN, sentence(portal, visit, unfit)),
        shown => failed::refusal(shown, generic, portal.texts.of(visit.language)),
    }
}

/// `Mon–Fri 08:00–18:00`.
fn span(hours: &Hours, words: &EnrolmentWords) -> String {
    let days = hours
        .days()
        .iter()
        .map(|(first, last)| match first == last {
            true => day(*first, words).to_owned(),
            false => format!("{}–{}", day(*first, words), day(*last, words)),
        });
    let days: Vec<String> = days.collect();
    let (from, until) = hours.clock();
    format!("{} {from}–{until}", days.join(&words.and))
}

fn day(day: Weekday, words: &EnrolmentWords) -> &str {
    match day {
        Weekday::Monday => &words.mon,
        Weekday::Tuesday => &words.tue,
        Weekday::Wednesday => &words.wed,
        Weekday::Thursday => &words.thu,
        Weekday::Friday => &words.fri,
        Weekday::Saturday => &words.sat,
        Weekday::Sunday => &words.sun,
    }
}
