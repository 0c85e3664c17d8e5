//! How long people take from the log-in page to open access: a signed moment in a cookie of the
//! browser that asked for the page. It says nothing of who somebody is, and ends with the log-in.

use http::{HeaderMap, HeaderValue};

use super::cookies;
use crate::{desk::bucket, portal::Portal, store::Counted};

/// A page older than this, in seconds, says nothing of how long people take.
const OLDEST: i64 = 3600;

/// The cookie to set where the browser has none.
pub(super) fn begin(portal: &Portal, headers: &HeaderMap) -> Option<HeaderValue> {
    let now = portal.now().as_second();
    match begun(portal, headers) {
        Some(at) if now - at < OLDEST => None,
        _ => Some(cookies::set_since(&format!("{now}.{}", seal(portal, now)))),
    }
}

fn begun(portal: &Portal, headers: &HeaderMap) -> Option<i64> {
    let (at, mark) = cookies::since(headers)?.split_once('.')?;
    let at = at.parse().ok()?;
    (seal(portal, at) == mark).then_some(at)
}

/// Nobody can make one for another moment, so nobody writes false numbers at will.
fn seal(portal: &Portal, at: i64) -> String {
    let mut seal = portal.codes.pseudonym(&format!("log-in page at {at}"));
    seal.truncate(22);
    seal
}

/// Access is open: counts how long it took. The cookie that ends the measurement, if there was one.
pub(super) fn opened(portal: &Portal, headers: &HeaderMap) -> Option<HeaderValue> {
    let begun = begun(portal, headers)?;
    let now = portal.now().as_second();
    if (0..=OLDEST).contains(&(now - begun)) {
        let name = bucket(now - begun).to_string();
        portal.desk.counters.note(Counted::Open, &name, now);
    }
    Some(cookies::end_since())
}
