//! Reads `X-Forwarded-For` and `Forwarded` (RFC 7239) into hops, strictly: what a proxy may write
//! but we cannot use (`unknown`, `_hidden`, names) is unreadable, not skipped.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

use super::AddrRefused;

/// More hops than any real chain; the rest would be a stranger's.
const HOPS_MAX: usize = 32;

/// One hop: an address, or why it cannot be read.
pub(super) type Hop = Result<IpAddr, AddrRefused>;

/// The hops in the order written, nearest last.
pub(super) fn hops(headers: &HeaderMap) -> Result<std::vec::IntoIter<Hop>, AddrRefused> {
    let list = |name| headers.get_all(name).iter().collect::<Vec<_>>();
    let (plain, rfc) = (list("x-forwarded-for"), list("forwarded"));
    let (values, read): (_, fn(&str) -> Hop) = match (plain.is_empty(), rfc.is_empty()) {
        (true, true) => return Err(AddrRefused::Missing),
        // The client may have written the one that the proxy does not.
        (false, false) => return Err(AddrRefused::Ambiguous),
        (false, true) => (plain, read_plain),
        (true, false) => (rfc, read_element),
    };
    let mut hops = Vec::new();
    for value in values {
        let text = value.to_str().map_err(|_| AddrRefused::Unreadable)?;
        for part in text.split(',') {
            hops.push(read(part.trim()));
        }
    }
    if hops.len() > HOPS_MAX {
        return Err(AddrRefused::Unreadable);
    }
    Ok(hops.into_iter())
}

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, and the first and last with a port.
fn read_plain(text: &str) -> Hop {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        // A scope is a link's own affair; no proxy can mean one.
        return match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => Err(AddrRefused::Unreadable),
            _ => Ok(address.ip()),
        };
    }
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|inner| inner.parse::<Ipv6Addr>().ok())
        .map(IpAddr::V6)
        .ok_or(AddrRefused::Unreadable)
}

/// `for=192.0.2.1;proto=https`, `for="[2001:db8::1]:4711"`.
fn read_element(element: &str) -> Hop {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.split_once('=').ok_or(AddrRefused::Unreadable)?;
        if !name.trim().eq_ignore_ascii_case("for") {
            continue;
        }
        if found.is_some() {
            return Err(AddrRefused::Unreadable);
        }
        let value = value.trim();
        let quoted = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let inner = quoted.unwrap_or(value);
        // RFC 7239 §6: IPv6 stands in brackets and, having colons, in quotes.
        if inner.contains(':') && quoted.is_none() || inner.parse::<Ipv6Addr>().is_ok() {
            return Err(AddrRefused::Unreadable);
        }
        found = Some(read_plain(inner)?);
    }
    found.ok_or(AddrRefused::Unreadable)
}
