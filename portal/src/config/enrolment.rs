//! `[enrolment]`: from which networks and at which hours a person may set up an authenticator, and
//! which ways of setting one up are held to that. Without the table: anywhere, at any time.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{civil::Weekday, tz::TimeZone};
use serde::Deserialize;

use crate::enrol::Origin;

/// The settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Enrolment {
    /// Empty: from anywhere.
    pub(crate) networks: Vec<IpNet>,
    /// In the portal's time zone. Empty: at any time.
    pub(crate) hours: Vec<Hours>,
    /// What is held to it. Recovery codes are not unless named: whoever lost a phone at home must
    /// not be locked out by accident.
    pub(crate) covers: Vec<Origin>,
}

impl Default for Enrolment {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            hours: Vec::new(),
            covers: vec![Origin::Ticket, Origin::FirstLogin, Origin::OwnPage],
        }
    }
}

/// Why no authenticator can be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Place,
    Time,
    Both,
}

impl Unfit {
    /// For the audit.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Place | Self::Both => "enrolment-not-from-there",
            Self::Time => "enrolment-not-at-this-time",
        }
    }
}

impl Enrolment {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.covers.is_empty() {
            let text = "covers names at least one of \"ticket\", \"first-login\", \"own-page\", \
                        \"recovery\"; without [enrolment] nothing is held to it";
            return Err(("covers", text.into()));
        }
        Ok(())
    }

    /// Whether this way is open from there at this moment. No address is no listed network.
    pub(crate) fn admits(
        &self,
        way: Origin,
        from: Option<IpAddr>,
        now: jiff::Timestamp,
        zone: &TimeZone,
    ) -> Result<(), Unfit> {
        if !self.covers.contains(&way) {
            return Ok(());
        }
        let listed = |address| {
            self.networks
                .iter()
                .any(|network| network.contains(&address))
        };
        let place = self.networks.is_empty() || from.is_some_and(listed);
        let time = self.hours.is_empty() || {
            let local = now.to_zoned(zone.clone());
            let minute = u16::from(local.hour().unsigned_abs()) * 60
                + u16::from(local.minute().unsigned_abs());
            self.hours
                .iter()
                .any(|hours| hours.hold(local.weekday(), minute))
        };
        match (place, time) {
            (true, true) => Ok(()),
            (false, true) => Err(Unfit::Place),
            (true, false) => Err(Unfit::Time),
            (false, false) => Err(Unfit::Both),
        }
    }
}

/// Days of the week and hours on them: `mon-fri 08:00-18:00`, `sat,sun 09:00-12:00`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Hours {
    /// First and last day of each span; one day is a span of itself.
    days: Vec<(Weekday, Weekday)>,
    /// Minutes of the day; the last one is no part of it.
    from: u16,
    until: u16,
}

const DAY: u16 = 24 * 60;
const NAMES: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Hours {
    /// First and last day of each span, in the order of the file.
    pub(crate) fn days(&self) -> &[(Weekday, Weekday)] {
        &self.days
    }

    /// `08:00` and `18:00`.
    pub(crate) fn clock(&self) -> (String, String) {
        let show = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        (show(self.from), show(self.until))
    }

    fn hold(&self, day: Weekday, minute: u16) -> bool {
        let holds = |(first, last): &(Weekday, Weekday)| first.until(day) <= first.until(*last);
        (self.from..self.until).contains(&minute) && self.days.iter().any(holds)
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = text.trim().split_once(' ').and_then(|(days, clock)| {
            let days = days.split(',').map(span).collect::<Option<Vec<_>>>()?;
            let (from, until) = clock.trim().split_once('-')?;
            Some((days, minute(from)?, minute(until)?))
        });
        let (days, from, until) = read.ok_or_else(|| {
            format!("{text:?} are no days and hours; write \"mon-fri 08:00-18:00\"")
        })?;
        if from >= until {
            return Err(format!(
                "{text:?} ends before it begins; over midnight are two entries, such as \
                 \"fri 22:00-24:00\" and \"sat 00:00-06:00\""
            ));
        }
        Ok(Self { days, from, until })
    }
}

/// `mon` or `mon-fri`.
fn span(text: &str) -> Option<(Weekday, Weekday)> {
    let day = |name: &str| {
        let found = NAMES.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, day)| *day)
    };
    match text.split_once('-') {
        Some((first, last)) => Some((day(first)?, day(last)?)),
        None => day(text).map(|day| (day, day)),
    }
}

/// `08:00`; `24:00` is the end of a day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60)
        .then_some(hour * 60 + minute)
        .filter(|minute| *minute <= DAY)
}

#[cfg(test)]
mod tests;
