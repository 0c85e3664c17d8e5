//! StartTLS towards a directory that answers as Active Directory does, set up as a site would: an
//! address `ldap://` and `starttls = true`. No password is ever readable on the wire, whatever the
//! server's certificate is worth.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{
    fake_ad::{FakeAd, House},
    lookup::{Said, Scratch},
    portal::{ALICE_SECRET, must_refuse},
    rig::{Family, must_be_open, must_be_shut},
    slapd::Certificates,
    tools::both,
};
use xtask::codes::Phone;

const ALICE: &str = "correct horse";
const STARTTLS: &str = "starttls = true\n";

/// One server; asked over its plain port, with StartTLS, by a portal that trusts `trusted`'s CA.
fn ask(scratch: &Scratch, ad: &FakeAd, trusted: &Certificates) -> Result<Said> {
    let directory = ad.config(scratch.folder(), trusted, &[ad.ldap()])? + STARTTLS;
    scratch.ask(&directory, "alice", ALICE)
}

#[test]
fn starttls_finds_people_and_no_password_travels_before_it() -> Result<()> {
    let scratch = Scratch::open()?;
    let ad = FakeAd::start(&scratch.certificates, None)?;
    let said = ask(&scratch, &ad, &scratch.certificates)?.json()?;
    ensure!(said["password"] == "right", "{said}");
    ensure!(said["groups"] == json!(["staff", "team"]), "{said}");
    ensure!(ad.upgrades() > 0 && ad.bare_passwords() == 0);
    ensure!(ad.binds_of("alice") == 1, "one attempt, one bind");
    // The same address without StartTLS is no configuration at all.
    let bare = ad.config(scratch.folder(), &scratch.certificates, &[ad.ldap()])?;
    let refused = scratch.ask(&bare, "alice", ALICE)?;
    let text = both(&refused.output);
    ensure!(refused.output.status.code() == Some(64), "{text}");
    ensure!(text.contains("starttls = true"), "{text}");
    ensure!(ad.bare_passwords() == 0);
    Ok(())
}

#[test]
fn a_wrong_certificate_is_refused_before_any_password() -> Result<()> {
    let scratch = Scratch::open()?;
    let own = &scratch.certificates;
    let other = Certificates::make(&scratch.folder().join("other"), "IP:127.0.0.1")?;
    let elsewhere = Certificates::make(&scratch.folder().join("else"), "DNS:dc1.example.net")?;
    // Of a CA that nobody here trusts, and of the right one for another server.
    for (shown, trusted) in [(own, &other), (&elsewhere, &elsewhere)] {
        let ad = FakeAd::start(shown, None)?;
        let text = ask(&scratch, &ad, trusted)?.is_unavailable()?;
        ensure!(text.contains(&ad.ldap()), "the server is named: {text}");
        ensure!(ad.upgrades() > 0, "the handshake was tried");
        ensure!(ad.binds_of("alice") == 0 && ad.bare_passwords() == 0);
        // `check` says the same to whoever sets the portal up.
        let directory = ad.config(scratch.folder(), trusted, &[ad.ldap()])? + STARTTLS;
        let checked = scratch.run(&directory, &["check"], "")?;
        let text = both(&checked);
        ensure!(!checked.status.success(), "{text}");
        ensure!(!text.contains("directory: ok"), "{text}");
    }
    Ok(())
}

/// Whoever sits between could answer so, hoping for a client that goes on in plain.
#[test]
fn a_server_that_refuses_starttls_gets_no_password() -> Result<()> {
    let scratch = Scratch::open()?;
    let ad = FakeAd::start(&scratch.certificates, None)?;
    ad.play(|tricks| tricks.no_starttls = true);
    ask(&scratch, &ad, &scratch.certificates)?.is_unavailable()?;
    ensure!(ad.upgrades() == 0 && ad.bare_passwords() == 0);
    ensure!(ad.binds_of("alice") == 0);
    Ok(())
}

#[test]
fn a_log_in_goes_over_starttls_from_the_form_to_the_open_door() -> Result<()> {
    let house = House::open(|ad| Ok(vec![ad.ldap()]), STARTTLS)?;
    let (client, web) = (&house.rig.layout.client, house.rig.server(Family::V4, 80));
    let browser = house.portal.browser(client, "alice");
    let mut phone = Phone::new(ALICE_SECRET);
    must_be_shut(client, web)?;
    let code = phone.fresh()?;
    let page = house.portal.log_in(&browser, "alice", "not it", &code)?;
    must_refuse(&page, 401)?;
    let code = phone.fresh()?;
    let page = house.portal.log_in(&browser, "alice", ALICE, &code)?;
    ensure!(page.status == 303, "{}", page.body);
    ensure!(house.ad.upgrades() > 0 && house.ad.bare_passwords() == 0);
    must_be_open(client, web)?;
    must_be_shut(&house.rig.layout.neighbour, web)
}
