//! How a token makes its codes: what moves it on, with which hash, how many digits. A *step* is the
//! number a code is made from: of the time since 1970 in periods, or of the presses of a button.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use totp_rs::Builder;

use super::{Code, Seed};

/// The period of apps, in seconds.
const PERIOD: u32 = 30;
/// How far the hint at enrolment and a resynchronisation look for a wrong clock: ten minutes.
const FAR: i64 = 20;
/// How many presses a resynchronisation looks ahead. Two codes in a row are guessed by chance in
/// one of 10⁹ tries (RFC 4226 §7.4 with six digits).
const FAR_PRESSES: i64 = 1_000;

/// What moves a token on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    /// RFC 6238: every so many seconds.
    Time(u32),
    /// RFC 4226: at each press of its button.
    Press,
}

/// The hash function of RFC 6238 §1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

/// How a token makes its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    moves: Moves,
    algorithm: Algorithm,
    digits: u8,
}

/// How far a code may be from where the token is thought to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Steps before and after the present one.
    pub(crate) steps: u16,
    /// Presses that nobody typed in.
    pub(crate) ahead: u16,
}

/// Where a token is thought to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The last step that was taken.
    pub(crate) last: i64,
    /// How many steps its clock is ahead of ours.
    pub(crate) drift: i64,
}

impl Recipe {
    /// Of apps: SHA-1, six digits, 30 s.
    pub(crate) const STANDARD: Self = Self {
        moves: Moves::Time(PERIOD),
        algorithm: Algorithm::Sha1,
        digits: 6,
    };

    /// None: there are no such tokens.
    pub(crate) fn new(moves: Moves, algorithm: Algorithm, digits: u8) -> Option<Self> {
        let period = match moves {
            Moves::Time(seconds) => (10..=120).contains(&seconds),
            Moves::Press => true,
        };
        ((6..=8).contains(&digits) && period).then_some(Self {
            moves,
            algorithm,
            digits,
        })
    }

    pub(crate) fn moves(self) -> Moves {
        self.moves
    }

    pub(super) fn builder(self, seed: &Seed, skew: u16) -> Builder {
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
            Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
            Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
        };
        let step = match self.moves {
            Moves::Time(seconds) => u64::from(seconds),
            // The counter stands where the time would.
            Moves::Press => 1,
        };
        Builder::new()
            .with_algorithm(algorithm)
            .with_digits(self.digits)
            .with_skew(skew)
            .with_step_duration(step)
            .with_secret(seed.bytes())
    }

    /// True: the code is the one of this step. Compared in constant time.
    fn is(self, seed: &Seed, code: &Code, step: i64) -> bool {
        let moment = match self.moves {
            Moves::Time(seconds) => step.checked_mul(i64::from(seconds)),
            Moves::Press => Some(step),
        };
        // Imported seeds may be shorter than the RFC wants; they are marked, not refused.
        moment
            .and_then(|moment| u64::try_from(moment).ok())
            .filter(|_| code.digits().len() == usize::from(self.digits))
            .is_some_and(|moment| {
                let token = self.builder(seed, 0).build_noncompliant();
                token.check(code.digits(), moment).is_some()
            })
    }

    fn present(self, now: Timestamp, position: Position) -> i64 {
        match self.moves {
            Moves::Time(seconds) => now.as_second().div_euclid(i64::from(seconds)) + position.drift,
            Moves::Press => position.last + 1,
        }
    }

    /// The step `code` belongs to, if it is within reach.
    pub(crate) fn step_of(
        self,
        seed: &Seed,
        code: &Code,
        now: Timestamp,
        reach: Reach,
        position: Position,
    ) -> Option<i64> {
        let present = self.present(now, position);
        let steps = match self.moves {
            Moves::Time(_) => present - i64::from(reach.steps)..=present + i64::from(reach.steps),
            Moves::Press => present..=present + i64::from(reach.ahead),
        };
        // All are looked at, so that the time taken does not say which one it was.
        steps.fold(None, |found, step| {
            let here = self.is(seed, code, step).then_some(step);
            found.or(here)
        })
    }

    /// The step of the second of two codes that follow each other, looked for far beyond reach.
    pub(crate) fn step_of_pair(
        self,
        seed: &Seed,
        (first, second): (&Code, &Code),
        now: Timestamp,
        position: Position,
    ) -> Option<i64> {
        let present = self.present(now, position);
        let mut steps = match self.moves {
            Moves::Time(_) => present - FAR..=present + FAR,
            Moves::Press => present..=present + FAR_PRESSES,
        };
        steps
            .find(|step| self.is(seed, first, *step) && self.is(seed, second, *step + 1))
            .map(|step| step + 1)
    }

    /// How many steps the token's clock is ahead when it is at this step now; 0 without a clock.
    pub(crate) fn drift(self, step: i64, now: Timestamp) -> i64 {
        match self.moves {
            Moves::Time(seconds) => step - now.as_second().div_euclid(i64::from(seconds)),
            Moves::Press => 0,
        }
    }

    /// For the hint at enrolment only, elsewhere it would be an oracle: how many seconds the
    /// phone's clock is ahead (or behind, negative), if the code fits a step not far away.
    pub(crate) fn clock_offset(self, seed: &Seed, code: &Code, now: Timestamp) -> Option<i64> {
        let Moves::Time(seconds) = self.moves else {
            return None;
        };
        let reach = Reach {
            steps: u16::try_from(FAR).ok()?,
            ahead: 0,
        };
        let start = Position { last: 0, drift: 0 };
        let step = self.step_of(seed, code, now, reach, start)?;
        Some(step * i64::from(seconds) - now.as_second())
    }

    #[cfg(test)]
    pub(crate) fn code(self, seed: &Seed, step: i64) -> Option<String> {
        let step = u64::try_from(step).ok()?;
        let moment = match self.moves {
            Moves::Time(seconds) => step * u64::from(seconds),
            Moves::Press => step,
        };
        let token = self.builder(seed, 0).build_noncompliant();
        Some(token.generate(moment).to_string())
    }
}

/// As stored: `totp:sha1:6:30` or `hotp:sha1:6`.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        };
        match self.moves {
            Moves::Time(seconds) => write!(f, "totp:{algorithm}:{}:{seconds}", self.digits),
            Moves::Press => write!(f, "hotp:{algorithm}:{}", self.digits),
        }
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "sha1" | "hmacsha1" => Ok(Self::Sha1),
            "sha256" | "hmacsha256" => Ok(Self::Sha256),
            "sha512" | "hmacsha512" => Ok(Self::Sha512),
            _ => Err(format!(
                "{text:?} is no algorithm; sha1, sha256 and sha512 are"
            )),
        }
    }
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no way to make codes");
        let parts: Vec<&str> = text.split(':').collect();
        let (moves, algorithm, digits) = match parts.as_slice() {
            ["totp", algorithm, digits, period] => {
                let period = period.parse().map_err(|_| wrong())?;
                (Moves::Time(period), algorithm, digits)
            }
            ["hotp", algorithm, digits] => (Moves::Press, algorithm, digits),
            _ => return Err(wrong()),
        };
        let digits = digits.parse().map_err(|_| wrong())?;
        Self::new(moves, algorithm.parse()?, digits).ok_or_else(wrong)
    }
}
