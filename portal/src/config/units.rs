//! Numbers and lengths of time that know their bounds, so that a wrong one is refused where it
//! stands in the file.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error as _};

const DAY: i64 = 86_400;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// A default, held to the bounds at compile time.
    pub(crate) const fn of<const N: u32>() -> Self {
        const { assert!(N >= MIN && N <= MAX) };
        Self(N)
    }

    pub(crate) const fn value(self) -> u32 {
        self.0
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        u32::try_from(number)
            .ok()
            .filter(|n| (MIN..=MAX).contains(n))
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{number} is not within {MIN} to {MAX}")))
    }
}

/// A length of time such as "30s", "60m", "8h" or "90d", from `MIN` to `MAX` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Length<MIN, MAX> {
    /// A default in seconds, held to the bounds at compile time.
    pub(crate) const fn of<const SECONDS: u32>() -> Self {
        const { assert!(SECONDS >= MIN && SECONDS <= MAX) };
        Self(SECONDS)
    }

    pub(crate) const fn seconds(self) -> i64 {
        self.0 as i64
    }

    pub(crate) const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// Reads "8h", "90d" and the like; the one place where a typed length is understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let seconds = seconds(text).ok_or_else(|| {
            format!(
                "{text:?} is no length of time; write \"30s\", \"60m\", \"8h\", \"3d\" or \"12w\""
            )
        })?;
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| (MIN..=MAX).contains(seconds))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not within {} to {}", show(MIN), show(MAX)))
    }
}

/// Days and weeks are 24 hours and seven times that, whatever clocks do in spring: nothing that is
/// configured here belongs to a calendar.
fn seconds(text: &str) -> Option<i64> {
    let whole = |unit: char, length: i64| {
        let number: u32 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(i64::from(number) * length)
    };
    whole('d', DAY).or_else(|| whole('w', 7 * DAY)).or_else(|| {
        let length: SignedDuration = text.parse().ok()?;
        Some(length.as_secs())
    })
}

/// "90d", or in hours and less what is no whole number of days.
fn show(seconds: u32) -> String {
    let seconds = i64::from(seconds);
    match seconds % DAY {
        0 if seconds > DAY => format!("{}d", seconds / DAY),
        _ => format!("{:#}", SignedDuration::from_secs(seconds)),
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Length<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_are_read_like_hours_and_within_the_same_bounds() {
        type Any = Length<1, { 3_650 * 86_400 }>;
        let read = |text: &str| Any::parse(text).map(Any::seconds);
        assert_eq!(read("90d"), Ok(90 * DAY));
        assert_eq!(read("12w"), Ok(84 * DAY));
        assert_eq!(read("36h"), Ok(36 * 3_600));
        assert_eq!(read("90m"), Ok(5_400));
        assert_eq!(read("2h 30m"), Ok(9_000));
        for wrong in [
            "",
            "90",
            "0d",
            "d",
            "-1d",
            "4000d",
            "9999999999w",
            "1.5d",
            "0h",
            "-8h",
            "soon",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let told = Length::<60, { 14 * 86_400 }>::parse("15d").unwrap_err();
        assert_eq!(told, "\"15d\" is not within 1m to 14d");
    }
}
