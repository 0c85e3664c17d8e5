//! Times as people read them, in the site's zone and the visitor's language.

use jiff::{Timestamp, tz::TimeZone};

use crate::text::{Language, Words, fill};

/// A moment for a page: exact for machines and the script, short for people.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// RFC 3339, UTC.
    pub(super) exact: String,
    /// `17:40`, or with the day when it is not today.
    pub(super) short: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp, zone: &TimeZone, language: Language) -> Self {
        let local = at.to_zoned(zone.clone());
        let today = local.date() == now.to_zoned(zone.clone()).date();
        let short = match (today, language) {
            (true, _) => local.strftime("%H:%M"),
            (false, Language::En) => local.strftime("%-d %b %H:%M"),
            (false, Language::Ja) => local.strftime("%-m月%-d日 %H:%M"),
            (false, Language::Other(_)) => local.strftime("%F %H:%M"),
        };
        Self {
            exact: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            short: short.to_string(),
        }
    }

    pub(super) fn of_second(
        second: i64,
        now: Timestamp,
        zone: &TimeZone,
        language: Language,
    ) -> Self {
        let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        Self::new(at, now, zone, language)
    }
}

/// `Asia/Tokyo (UTC+09:00)`.
pub(super) fn zone_name(zone: &TimeZone, now: Timestamp) -> String {
    let offset = now.to_zoned(zone.clone()).strftime("UTC%:z").to_string();
    let offset = if offset == "UTC+00:00" {
        "UTC".to_owned()
    } else {
        offset
    };
    match zone.iana_name() {
        Some(name) if name != "UTC" => format!("{name} ({offset})"),
        _ => offset,
    }
}

/// `6 h 20 min`, `14 min`, `40 s`.
pub(super) fn length(seconds: i64, words: &Words) -> String {
    let time = &words.time;
    match seconds {
        ..=90 => fill(&time.seconds, &[("n", &seconds.max(0).to_string())]),
        91..=5_399 => fill(&time.minutes, &[("n", &((seconds + 59) / 60).to_string())]),
        _ => {
            let minutes = seconds / 60;
            let (hours, minutes) = ((minutes / 60).to_string(), (minutes % 60).to_string());
            fill(&time.hours, &[("h", &hours), ("m", &minutes)])
        }
    }
}
