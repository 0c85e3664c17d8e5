//! Whether an entry's person may log in at all, in the words of several kinds of servers. What a
//! server does not show is not guessed; the bind will tell.

use jiff::{Timestamp, tz::TimeZone};
use ldap3::SearchEntry;

use super::first;
use crate::directory::AccountState;

/// Asked for beside the rest: Active Directory, 389 Directory Server, OpenLDAP's password policy.
/// The last three are operational and come only by name.
pub(in super::super) const ATTRIBUTES: [&str; 8] = [
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "nsAccountLock",
    "pwdAccountLockedTime",
    "pwdReset",
    "pwdEndTime",
];

/// Bits of userAccountControl. The last two are only true in the computed attribute.
const DISABLED: i64 = 0x2;
const LOCKED_OUT: i64 = 0x10;
const PASSWORD_EXPIRED: i64 = 0x80_0000;
/// Seconds from 1601, where Active Directory starts to count in 100 ns, to 1970.
const FROM_1601: i64 = 11_644_473_600;
/// An administrator's lock without an end (draft-behera-ldap-password-policy §5.3.3).
const LOCKED_FOR_GOOD: &str = "000001010000Z";

pub(super) fn of(entry: &SearchEntry, now: Timestamp) -> AccountState {
    let number = |name| first(entry, name).and_then(|text| text.parse::<i64>().ok());
    let is_true =
        |name| first(entry, name).is_some_and(|text: String| text.eq_ignore_ascii_case("true"));
    let has = |name, bit| number(name).is_some_and(|bits: i64| bits & bit != 0);
    let computed = "msDS-User-Account-Control-Computed";
    let locked_for_good =
        first(entry, "pwdAccountLockedTime").is_some_and(|time| time == LOCKED_FOR_GOOD);
    if is_true("nsAccountLock") || locked_for_good || has("userAccountControl", DISABLED) {
        AccountState::Disabled
    } else if expired(entry, now) {
        AccountState::Expired
    } else if has(computed, LOCKED_OUT) {
        AccountState::Locked
    } else if has(computed, PASSWORD_EXPIRED)
        || number("pwdLastSet") == Some(0)
        || is_true("pwdReset")
    {
        AccountState::MustChange
    } else {
        AccountState::Active
    }
}

fn expired(entry: &SearchEntry, now: Timestamp) -> bool {
    // Zero and the largest number both mean never.
    let expires = first(entry, "accountExpires")
        .and_then(|text| text.parse::<i64>().ok())
        .filter(|ticks| (1..i64::MAX).contains(ticks))
        .map(|ticks| ticks / 10_000_000 - FROM_1601);
    let ended = first(entry, "pwdEndTime").and_then(|text| generalized(&text));
    expires
        .into_iter()
        .chain(ended)
        .any(|end| end <= now.as_second())
}

/// Seconds of a GeneralizedTime in UTC, which is how servers keep it (RFC 4517 §3.3.13).
fn generalized(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?.split('.').next()?;
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}
