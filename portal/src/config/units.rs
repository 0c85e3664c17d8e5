//! Numbers and lengths of time that know their bounds, so that a wrong one is refused where it
//! stands in the file.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error as _};

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

/// A length of time such as "30s", "60m" or "8h", from `MIN` to `MAX` seconds.
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

    /// Reads "8h" and the like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let length: SignedDuration = text.parse().map_err(|_| {
            format!("{text:?} is no length of time; write \"30s\", \"60m\" or \"8h\"")
        })?;
        u32::try_from(length.as_secs())
            .ok()
            .filter(|seconds| (MIN..=MAX).contains(seconds))
            .map(Self)
            .ok_or_else(|| {
                let show = |s: u32| format!("{:#}", SignedDuration::from_secs(i64::from(s)));
                format!("{text:?} is not within {} to {}", show(MIN), show(MAX))
            })
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Length<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
