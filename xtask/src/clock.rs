//! The only place of this crate that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// For measuring how long something took.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the clocks"
)]
pub fn instant() -> Instant {
    Instant::now()
}

/// Microseconds since 1970, as packet captures count them.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the clocks"
)]
pub fn unix_micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Seconds since 1970, as one-time codes count them.
pub fn unix_seconds() -> u64 {
    unix_micros() / 1_000_000
}
