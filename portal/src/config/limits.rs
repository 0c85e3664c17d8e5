//! `[limits]`: how often somebody may try, how long things live. Every number has a bound.

use serde::Deserialize;

use super::units::{Length, Whole};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// The numbers, each with its default.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Attempts from one source (an IPv4 address or an IPv6 /64) per minute and per hour.
    pub(crate) source_per_minute: Whole<1, 10_000>,
    pub(crate) source_per_hour: Whole<1, 100_000>,
    /// Attempts of everybody together per minute.
    pub(crate) global_per_minute: Whole<10, 1_000_000>,
    /// How many sources are remembered; the longest unseen is forgotten first.
    pub(crate) sources_remembered: Whole<1_000, 4_000_000>,
    /// Failures in a row that cost nothing, the first wait after them, the longest wait.
    pub(crate) free_failures: Whole<1, 10>,
    pub(crate) first_wait: Length<1, { 5 * MINUTE }>,
    pub(crate) longest_wait: Length<MINUTE, { 2 * HOUR }>,
    /// After this many failures in a row an operator must look (`user unlock`).
    pub(crate) failures_in_a_row: Whole<10, 100>,
    /// Steps before and after the present one whose codes are taken.
    pub(crate) code_steps: Whole<0, 1>,
    /// Presses of a hardware token's button that may have been for nothing.
    pub(crate) presses_ahead: Whole<0, 50>,
    pub(crate) tokens_per_user: Whole<1, 10>,
    /// How long a token may wait for its first code.
    pub(crate) pending: Length<MINUTE, HOUR>,
    /// Life of a ticket when the verb names none; never more than 24 h.
    pub(crate) ticket: Length<MINUTE, DAY>,
    /// A cookie unused for this long, or this old, is void.
    pub(crate) cookie_idle: Length<MINUTE, { 8 * HOUR }>,
    pub(crate) cookie_max: Length<{ 5 * MINUTE }, DAY>,
    /// Changes to tokens need a log-in not older than this.
    pub(crate) fresh: Length<MINUTE, HOUR>,
    /// No refusal is answered before this many milliseconds.
    pub(crate) refusal_ms: Whole<250, 5_000>,
    /// Passwords hashed at the same time (64 MiB each).
    pub(crate) hashes_at_once: Whole<1, 64>,
    /// Within ten minutes: users tried from one source, sources tried for one user, before the
    /// audit calls it spraying.
    pub(crate) spray_users: Whole<3, 30>,
    pub(crate) spray_sources: Whole<3, 30>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_per_minute: Whole::of::<10>(),
            source_per_hour: Whole::of::<60>(),
            global_per_minute: Whole::of::<600>(),
            sources_remembered: Whole::of::<65_536>(),
            free_failures: Whole::of::<3>(),
            first_wait: Length::of::<5>(),
            longest_wait: Length::of::<{ 15 * MINUTE }>(),
            failures_in_a_row: Whole::of::<100>(),
            code_steps: Whole::of::<1>(),
            presses_ahead: Whole::of::<10>(),
            tokens_per_user: Whole::of::<5>(),
            pending: Length::of::<{ 15 * MINUTE }>(),
            ticket: Length::of::<HOUR>(),
            cookie_idle: Length::of::<HOUR>(),
            cookie_max: Length::of::<{ 12 * HOUR }>(),
            fresh: Length::of::<{ 15 * MINUTE }>(),
            refusal_ms: Whole::of::<250>(),
            hashes_at_once: Whole::of::<2>(),
            spray_users: Whole::of::<10>(),
            spray_sources: Whole::of::<10>(),
        }
    }
}

impl Limits {
    /// How far a code may be from where its token is thought to be.
    pub(crate) fn reach(&self) -> crate::otp::Reach {
        let small = |number: u32| u16::try_from(number).unwrap_or(0);
        crate::otp::Reach {
            steps: small(self.code_steps.value()),
            ahead: small(self.presses_ahead.value()),
        }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.longest_wait.seconds() < self.first_wait.seconds() {
            return Err((
                "longest_wait",
                "longest_wait is shorter than first_wait".into(),
            ));
        }
        if self.cookie_max.seconds() < self.cookie_idle.seconds() {
            return Err((
                "cookie_max",
                "cookie_max is shorter than cookie_idle".into(),
            ));
        }
        Ok(())
    }
}
