//! What every page says to a browser: headers, languages, and that no other site or header acts for
//! somebody.

use anyhow::{Context as _, Result, ensure};
use tests::{
    portal::{ALICE_PASSWORD, ALICE_SECRET, Alice},
    rig::{Family, must_be_open},
};
use xtask::codes::Phone;

use super::House;

#[test]
fn headers_forbid_what_a_browser_might_allow() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    let page = alice.log_in(&house.portal)?;
    let cookie = page.header("set-cookie").context("no cookie")?;
    for part in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        ensure!(cookie.contains(part), "{part} is missing: {cookie}");
    }
    for path in ["/", "/access", "/devices", "/help", "/nosuchpage"] {
        let page = alice
            .browser
            .get(&format!("{}{path}", house.portal.url()))?;
        let policy = page.header("content-security-policy").context("no CSP")?;
        ensure!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        ensure!(!policy.contains("unsafe-inline"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            ensure!(
                page.header(name) == Some(value),
                "{path}: {name}: {:?}",
                page.header(name)
            );
        }
        ensure!(
            page.header("strict-transport-security").is_some(),
            "{path}: no HSTS"
        );
    }
    for path in ["/access", "/devices"] {
        let page = alice
            .browser
            .get(&format!("{}{path}", house.portal.url()))?;
        let cache = page.header("cache-control").unwrap_or_default();
        ensure!(cache.contains("no-store"), "{path}: {cache}");
    }
    Ok(())
}

/// A page elsewhere makes the person's browser post; and no GET changes anything.
#[test]
fn other_sites_cannot_act_for_alice() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    alice.log_in(&house.portal)?;
    let foreign = alice
        .browser
        .clone()
        .with_header("Origin: https://evil.example")
        .with_header("Sec-Fetch-Site: cross-site");
    let page = foreign.post(&format!("{}/access/close", house.portal.url()), &[])?;
    ensure!(page.status == 403, "{}", page.status);
    for path in ["/access/close", "/logoff", "/login", "/devices/revoke"] {
        let page = alice
            .browser
            .get(&format!("{}{path}", house.portal.url()))?;
        ensure!(
            page.status == 405 || page.status == 404,
            "GET {path}: {}",
            page.status
        );
    }
    house.web_is_open()
}

/// Nobody but a listed proxy may say where a client is.
#[test]
fn a_forwarded_header_from_a_stranger_changes_nothing() -> Result<()> {
    let house = House::open()?;
    let browser = house
        .portal
        .browser(&house.rig.layout.neighbour, "liar")
        .with_header("X-Forwarded-For: 192.0.2.10")
        .with_header("Forwarded: for=192.0.2.10");
    let code = Phone::new(ALICE_SECRET).fresh()?;
    let page = house
        .portal
        .log_in(&browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(page.status == 303, "{}", page.status);
    must_be_open(
        &house.rig.layout.neighbour,
        house.rig.server(Family::V4, 80),
    )?;
    house.web_is_shut()
}

#[test]
fn pages_speak_japanese_and_english() -> Result<()> {
    let house = House::open()?;
    for (language, tag, word) in [("ja,en;q=0.5", "ja", "ログイン"), ("en", "en", "Log in")] {
        let browser = house
            .portal
            .browser(&house.rig.layout.client, tag)
            .with_header(&format!("Accept-Language: {language}"));
        let page = browser.get(&format!("{}/", house.portal.url()))?;
        ensure!(
            page.body.contains(&format!("<html lang=\"{tag}\"")),
            "{tag}:\n{}",
            page.body
        );
        let lower = page.body.to_lowercase();
        ensure!(
            lower.contains(&word.to_lowercase()) || lower.contains("sign in"),
            "{tag}: no {word}:\n{}",
            page.body
        );
        for said in ["Example Corp access", "Example Corp", "IT desk, ext. 1234"] {
            ensure!(page.body.contains(said), "{tag}: {said} is missing");
        }
        ensure!(page.body.contains("autocomplete=\"one-time-code\""));
    }
    Ok(())
}
