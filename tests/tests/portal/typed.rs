//! What people and strangers may type, how long, how often and how large, and that the portal lives.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use tests::portal::{ALICE_PASSWORD, Alice, BOB_PASSWORD, BOB_SECRET, must_refuse};
use xtask::{codes::Phone, curl::encoded};

use super::House;

#[test]
fn a_form_of_a_megabyte_is_refused_and_the_portal_lives() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    let url = format!("{}/login", house.portal.url());
    let form = [
        ("username", "alice"),
        ("password", &*"x".repeat(1 << 20)),
        ("code", "1"),
    ];
    // It may hang up before all is sent; if it answers, then with a refusal.
    if let Ok(page) = alice.browser.post_body(&url, &encoded(&form)) {
        ensure!(page.status == 413, "{}", page.status);
    }
    alice.log_in(&house.portal).map(drop)
}

#[test]
fn strange_user_names_are_refused_like_wrong_ones() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    let long = "a".repeat(10_000);
    for name in [
        "*)(",
        "*",
        "alice)(uid=*",
        "",
        " ",
        "alice\0",
        "ALICE*",
        "../alice",
        &long,
    ] {
        let page = house
            .portal
            .log_in(&alice.browser, name, ALICE_PASSWORD, "123456")?;
        ensure!(
            page.status == 401 || page.status == 400,
            "{name:.20?}: {}",
            page.status
        );
        ensure!(
            page.body.len() < 100_000,
            "a name of 10,000 letters comes back"
        );
    }
    let page = house
        .portal
        .log_in(&alice.browser, "<script>x</script>", "x", "1")?;
    ensure!(
        !page.body.contains("<script>x"),
        "what was typed comes back as markup"
    );
    alice.log_in(&house.portal).map(drop)
}

#[test]
fn empty_and_overlong_passwords_are_refused() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    for password in ["", "\0", &"x".repeat(129), &"x".repeat(5000)] {
        let code = alice.phone.wrong()?;
        let page = house
            .portal
            .log_in(&alice.browser, "alice", password, &code)?;
        ensure!(page.status == 401 || page.status == 400, "{}", page.status);
    }
    house.web_is_shut()?;
    alice.log_in(&house.portal).map(drop)
}

/// Failures cost time, for that person, wherever they come from; and they cost nobody else any.
#[test]
fn failures_slow_down_one_person_and_nobody_else() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    for _ in 0..3 {
        let wrong = alice.phone.wrong()?;
        must_refuse(
            &house
                .portal
                .log_in(&alice.browser, "alice", ALICE_PASSWORD, &wrong)?,
            401,
        )?;
    }
    let code = alice.phone.fresh()?;
    let page = house
        .portal
        .log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(page.status != 303, "three failures in a row cost nothing");
    house.web_is_shut()?;

    let bob = house.portal.browser(&house.rig.layout.neighbour, "bob");
    let code = Phone::new(BOB_SECRET).fresh()?;
    let page = house.portal.log_in(&bob, "bob", BOB_PASSWORD, &code)?;
    ensure!(
        page.status == 303,
        "bob has to wait for alice's failures: {}",
        page.status
    );
    thread::sleep(Duration::from_secs(6));
    alice.log_in(&house.portal).map(drop)
}

#[test]
fn one_source_cannot_try_for_ever() -> Result<()> {
    let house = House::open()?;
    let browser = house.portal.browser(&house.rig.layout.client, "flood");
    let mut limited = 0;
    for number in 0..25 {
        let name = format!("user{number}");
        let page = house.portal.log_in(&browser, &name, "guess", "123456")?;
        ensure!(matches!(page.status, 401 | 429), "{}", page.status);
        limited += usize::from(page.status == 429);
    }
    ensure!(limited >= 10, "only {limited} of 25 attempts were limited");
    Ok(())
}
