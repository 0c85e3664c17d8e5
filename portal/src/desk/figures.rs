//! The numbers behind the pictures: spans of time as people count them, log-ins by result, how long
//! people took, and who is enrolled. Pure but for the list of the enrolled, which is kept a while.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use super::Bars;
use crate::{
    portal::{Failure, Portal},
    reports::{self, Cell, PEOPLE_MAX, Report},
    store::Count,
};

/// For how long a list of everybody serves, in seconds: it is dear to make.
const KEPT: i64 = 600;

/// What a table of numbers is of, by its word in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Hours,
    Days,
    Open,
    Reasons,
    Enrolment,
}

impl Of {
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        match word {
            "hours" => Some(Self::Hours),
            "days" => Some(Self::Days),
            "open" => Some(Self::Open),
            "reasons" => Some(Self::Reasons),
            "enrolment" => Some(Self::Enrolment),
            _ => None,
        }
    }
}

/// Spans of time that follow each other: label, begin, end.
#[derive(Clone, Debug)]
pub(crate) struct Spans(Vec<(String, i64, i64)>);

impl Spans {
    /// The last 24 hours, the present one included.
    pub(crate) fn hours(now: Timestamp, zone: &TimeZone) -> Self {
        let present = now.as_second().div_euclid(3600) * 3600;
        Self(
            (0..24)
                .rev()
                .map(|back| {
                    let begin = present - back * 3600;
                    let at = Timestamp::from_second(begin).unwrap_or(now);
                    let label = at.to_zoned(zone.clone()).strftime("%H:00").to_string();
                    (label, begin, begin + 3600)
                })
                .collect(),
        )
    }

    /// The last thirty days of the site's zone, today included.
    pub(crate) fn days(now: Timestamp, zone: &TimeZone) -> Self {
        let today = now.to_zoned(zone.clone()).date();
        let begin = |back: i64| {
            let date = today.checked_sub(back.days()).ok()?;
            let start = date.to_zoned(zone.clone()).ok()?;
            let label = start.strftime("%m-%d").to_string();
            Some((label, start.timestamp().as_second()))
        };
        let span = |back: i64| {
            let (label, from) = begin(back)?;
            let (_, to) = begin(back - 1)?;
            Some((label, from, to))
        };
        Self((0..30).rev().filter_map(span).collect())
    }

    pub(crate) fn begin(&self) -> i64 {
        self.0.first().map_or(0, |(_, begin, _)| *begin)
    }

    fn each(&self, counts: &[Count], values: impl Fn(&[&Count]) -> Vec<i64>) -> Vec<Bars> {
        self.0
            .iter()
            .map(|(label, begin, end)| {
                let within = counts.iter().filter(|c| (*begin..*end).contains(&c.hour));
                let within: Vec<&Count> = within.collect();
                Bars {
                    label: label.clone(),
                    values: values(&within),
                }
            })
            .collect()
    }

    /// In, refused, something down.
    pub(crate) fn log_ins(&self, counts: &[Count]) -> Vec<Bars> {
        self.each(counts, |within| {
            let sum =
                |fits: fn(&str) -> bool| within.iter().filter(|c| fits(&c.name)).map(|c| c.n).sum();
            vec![
                sum(is_in),
                sum(|name| !is_in(name) && !is_down(name)),
                sum(is_down),
            ]
        })
    }

    /// Seconds from the page to open access: the median, and what 95 of 100 stay below.
    pub(crate) fn waits(&self, counts: &[Count]) -> Vec<Bars> {
        self.each(counts, |within| {
            vec![share_of(within, 50), share_of(within, 95)]
        })
    }
}

fn is_in(name: &str) -> bool {
    name == "ok" || name == "enrol"
}

fn is_down(name: &str) -> bool {
    name.ends_with("-down")
}

/// The smallest number of seconds that so many of a hundred do not exceed; 0 of none.
pub(crate) fn share_of(counts: &[&Count], hundredths: i64) -> i64 {
    let mut by_length: BTreeMap<i64, i64> = BTreeMap::new();
    for count in counts {
        if let Ok(seconds) = count.name.parse() {
            *by_length.entry(seconds).or_default() += count.n;
        }
    }
    let all: i64 = by_length.values().sum();
    let wanted = (all * hundredths + 99) / 100;
    let mut so_far = 0;
    for (seconds, n) in by_length {
        so_far += n;
        if so_far >= wanted {
            return seconds;
        }
    }
    0
}

/// Failures by reason, the most first.
pub(crate) fn reasons(counts: &[Count]) -> Vec<Bars> {
    let mut by_name: BTreeMap<&str, i64> = BTreeMap::new();
    for count in counts.iter().filter(|count| !is_in(&count.name)) {
        *by_name.entry(&count.name).or_default() += count.n;
    }
    let mut bars: Vec<Bars> = by_name
        .into_iter()
        .map(|(name, n)| Bars {
            label: name.to_owned(),
            values: vec![n],
        })
        .collect();
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.values.first().copied()));
    bars
}

/// As a report.
pub(crate) fn table(columns: &'static [&'static str], bars: &[Bars]) -> Report {
    let rows = bars
        .iter()
        .map(|bar| {
            let values = bar.values.iter().map(|value| Cell::Number(*value));
            std::iter::once(Cell::Text(bar.label.clone()))
                .chain(values)
                .collect()
        })
        .collect();
    Report { columns, rows }
}

/// Who is enrolled, by group: enrolled, not yet. None: the directory cannot list its people.
pub(crate) type Enrolled = Option<Vec<Bars>>;

/// The last list.
#[derive(Debug, Default)]
pub(crate) struct Enrolment(tokio::sync::Mutex<Option<(i64, Enrolled)>>);

impl Portal {
    /// By group that a service admits; at most ten minutes old. One list at a time: whoever asks
    /// meanwhile waits for it, and one that failed is not tried again at once.
    pub(crate) async fn enrolled(&self) -> Result<Enrolled, Failure> {
        let now = self.now().as_second();
        let mut kept = self.desk.enrolment.0.lock().await;
        if let Some((at, bars)) = kept.as_ref()
            && now - at < KEPT
        {
            return Ok(bars.clone());
        }
        *kept = Some((now, None));
        let services = self.grants.services().await?;
        let bars = match self.directory.list(PEOPLE_MAX).await? {
            Some(people) => {
                let report = reports::enrolment(&self.store, &people, &services).await?;
                Some(report.rows.iter().map(|row| enrolled_bar(row)).collect())
            }
            None => None,
        };
        *kept = Some((now, bars.clone()));
        Ok(bars)
    }
}

/// Of the report's row: group, people, enrolled.
fn enrolled_bar(row: &[Cell]) -> Bars {
    let number = |at: usize| match row.get(at) {
        Some(Cell::Number(number)) => *number,
        _ => 0,
    };
    let (people, enrolled) = (number(1), number(2));
    Bars {
        label: row.first().map(Cell::text).unwrap_or_default(),
        values: vec![enrolled, (people - enrolled).max(0)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(hour: i64, name: &str, n: i64) -> Count {
        Count {
            hour,
            name: name.to_owned(),
            n,
        }
    }

    #[test]
    fn hours_and_days_follow_each_other_up_to_now() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        for spans in [Spans::hours(now, &zone), Spans::days(now, &zone)] {
            for pair in spans.0.windows(2) {
                assert_eq!(pair[0].2, pair[1].1);
            }
            let (_, begin, end) = spans.0.last().unwrap();
            assert!((*begin..*end).contains(&now.as_second()));
        }
        assert_eq!(Spans::days(now, &zone).0.len(), 30);
    }

    #[test]
    fn log_ins_are_in_refused_or_down() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let spans = Spans::hours(now, &TimeZone::UTC);
        let hour = 1_800_000_000 / 3600 * 3600;
        let counts = [
            count(hour, "ok", 5),
            count(hour, "enrol", 1),
            count(hour, "wrong-code", 3),
            count(hour, "directory-down", 2),
            count(hour - 3600, "ok", 9),
            count(hour - 30 * 3600, "ok", 100),
        ];
        let bars = spans.log_ins(&counts);
        assert_eq!(bars[23].values, [6, 3, 2]);
        assert_eq!(bars[22].values, [9, 0, 0]);
        let reasons = reasons(&counts);
        let names: Vec<&str> = reasons.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(names, ["wrong-code", "directory-down"]);
    }

    #[test]
    fn median_and_95_of_100_come_from_the_counts() {
        let counts: Vec<Count> = (1..=100).map(|s| count(0, &s.to_string(), 1)).collect();
        let all: Vec<&Count> = counts.iter().collect();
        assert_eq!((share_of(&all, 50), share_of(&all, 95)), (50, 95));
        assert_eq!(share_of(&[], 50), 0);
    }
}
