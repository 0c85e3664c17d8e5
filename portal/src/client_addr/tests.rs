//! Every way an address can be forwarded, forged or left unclear.

use axum::http::{HeaderName, HeaderValue};

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        })
        .collect()
}

fn ask(peer: &str, pairs: &[(&str, &str)]) -> Result<String, AddrRefused> {
    let trusted = [
        "10.0.0.0/24".parse().unwrap(),
        "2001:db8:f::/48".parse().unwrap(),
    ];
    client_addr(
        Peer::Address(peer.parse().unwrap()),
        &headers(pairs),
        &trusted,
    )
    .map(|address| address.ip().to_string())
}

#[test]
fn headers_of_strangers_do_not_count() {
    for pairs in [
        &[][..],
        &[("x-forwarded-for", "203.0.113.9")],
        &[("forwarded", "for=203.0.113.9")],
        &[
            ("x-forwarded-for", "garbage"),
            ("forwarded", "more garbage"),
        ],
        &[("x-real-ip", "203.0.113.9"), ("client-ip", "203.0.113.9")],
    ] {
        assert_eq!(ask("192.0.2.1", pairs).unwrap(), "192.0.2.1", "{pairs:?}");
    }
    assert_eq!(ask("::ffff:192.0.2.1", &[]).unwrap(), "192.0.2.1");
}

#[test]
fn a_trusted_proxy_is_read_right_to_left() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("x-forwarded-for", "192.0.2.7")], "192.0.2.7"),
        (
            &[("x-forwarded-for", "203.0.113.66, 192.0.2.7")],
            "192.0.2.7",
        ),
        (
            &[("x-forwarded-for", "203.0.113.66, 192.0.2.7, 10.0.0.9")],
            "192.0.2.7",
        ),
        (
            &[
                ("x-forwarded-for", "203.0.113.66"),
                ("x-forwarded-for", "192.0.2.7"),
            ],
            "192.0.2.7",
        ),
        (&[("x-forwarded-for", "garbage, 192.0.2.7")], "192.0.2.7"),
        (&[("x-forwarded-for", "192.0.2.7:4711")], "192.0.2.7"),
        (&[("x-forwarded-for", "::ffff:192.0.2.7")], "192.0.2.7"),
        (&[("x-forwarded-for", "2001:db8::7")], "2001:db8::7"),
        (&[("x-forwarded-for", "[2001:db8::7]:443")], "2001:db8::7"),
        (
            &[("forwarded", "for=192.0.2.7;proto=https;by=10.0.0.1")],
            "192.0.2.7",
        ),
        (
            &[("forwarded", "for=203.0.113.66, for=\"[2001:db8::7]:4711\"")],
            "2001:db8::7",
        ),
        (
            &[("forwarded", "FOR=\"192.0.2.7:80\", for=10.0.0.9")],
            "192.0.2.7",
        ),
    ];
    for (pairs, expected) in table {
        assert_eq!(
            ask("10.0.0.1", pairs).as_deref(),
            Ok(*expected),
            "{pairs:?}"
        );
        assert_eq!(
            ask("::ffff:10.0.0.1", pairs).as_deref(),
            Ok(*expected),
            "{pairs:?}"
        );
        assert_eq!(
            ask("2001:db8:f::1", pairs).as_deref(),
            Ok(*expected),
            "{pairs:?}"
        );
    }
}

#[test]
fn what_a_trusted_proxy_leaves_unclear_is_refused() {
    use AddrRefused::*;
    let table: &[(&[(&str, &str)], AddrRefused)] = &[
        (&[], Missing),
        (
            &[
                ("x-forwarded-for", "192.0.2.7"),
                ("forwarded", "for=192.0.2.7"),
            ],
            Ambiguous,
        ),
        (&[("x-forwarded-for", "")], Unreadable),
        (&[("x-forwarded-for", "192.0.2.7,")], Unreadable),
        (&[("x-forwarded-for", "192.0.2.7, unknown")], Unreadable),
        (
            &[("x-forwarded-for", "192.0.2.7, garbage, 10.0.0.9")],
            Unreadable,
        ),
        (&[("x-forwarded-for", "192.0.2.07")], Unreadable),
        (&[("x-forwarded-for", "192.0.2.7 203.0.113.1")], Unreadable),
        (&[("x-forwarded-for", "[fe80::1%1]:80")], Unreadable),
        (&[("x-forwarded-for", "\u{e9}")], Unreadable),
        (&[("forwarded", "for=unknown")], Unreadable),
        (&[("forwarded", "for=_hidden")], Unreadable),
        (&[("forwarded", "proto=https")], Unreadable),
        (&[("forwarded", "for=192.0.2.7;for=192.0.2.8")], Unreadable),
        (&[("forwarded", "for=2001:db8::7")], Unreadable),
        (&[("forwarded", "for=\"2001:db8::7\"")], Unreadable),
        (&[("forwarded", "nonsense")], Unreadable),
        (&[("x-forwarded-for", "10.0.0.8, 10.0.0.9")], OnlyProxies),
        (&[("x-forwarded-for", "0.0.0.0")], Impossible),
        (&[("x-forwarded-for", "224.0.0.1")], Impossible),
        (&[("x-forwarded-for", "255.255.255.255")], Impossible),
        (&[("x-forwarded-for", "ff02::1")], Impossible),
    ];
    for (pairs, expected) in table {
        assert_eq!(ask("10.0.0.1", pairs), Err(*expected), "{pairs:?}");
    }
    let many = "192.0.2.7, ".repeat(40) + "192.0.2.7";
    assert_eq!(
        ask("10.0.0.1", &[("x-forwarded-for", &many)]),
        Err(Unreadable)
    );
}

#[test]
fn a_proxys_own_connection_speaks_for_nobody() {
    let nobody = client_addr(
        Peer::Nobody,
        &headers(&[("x-forwarded-for", "192.0.2.7")]),
        &[],
    );
    assert_eq!(nobody, Err(AddrRefused::Nobody));
}
