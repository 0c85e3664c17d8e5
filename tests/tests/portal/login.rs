//! The log-in: password and code open what the groups allow, and nothing else gets in.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    portal::{ALICE_PASSWORD, ALICE_SECRET, Alice, must_refuse},
    rig::{Family, must_be_open, must_be_shut},
};
use xtask::codes::Phone;

use super::House;

#[test]
fn password_and_code_open_what_the_groups_allow() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    house.web_is_shut()?;
    let page = alice.log_in(&house.portal)?;
    ensure!(
        page.header("location")
            .is_some_and(|to| to.starts_with("/access")),
        "{}",
        page.headers
    );
    house.web_is_open()?;
    must_be_shut(
        &house.rig.layout.neighbour,
        house.rig.server(Family::V4, 80),
    )?;
    must_be_shut(&house.rig.layout.client, house.rig.server(Family::V4, 22))?;

    let list = house
        .agent
        .cli_json(&["list", "--user", "alice"])?
        .to_string();
    ensure!(list.contains("otp"), "the factor is not recorded: {list}");
    let page = alice
        .browser
        .get(&format!("{}/access", house.portal.url()))?;
    ensure!(page.status == 200 && page.body.contains("web") && !page.body.contains("ssh"));

    let page = alice
        .browser
        .post(&format!("{}/access/close", house.portal.url()), &[])?;
    ensure!(page.status == 303, "{}", page.status);
    house.web_is_shut()
}

#[test]
fn the_portal_works_over_ipv6_for_ipv6() -> Result<()> {
    let house = House::open()?;
    let browser = house.portal.browser(&house.rig.layout.client, "six");
    let mut phone = Phone::new(ALICE_SECRET);
    let form = [
        ("username", "alice"),
        ("password", ALICE_PASSWORD),
        ("code", &phone.fresh()?),
    ];
    let page = browser.post(&format!("{}/login", house.portal.url_v6()), &form)?;
    ensure!(page.status == 303, "{}:\n{}", page.status, page.body);
    must_be_open(&house.rig.layout.client, house.rig.server(Family::V6, 80))?;
    house.web_is_shut()
}

#[test]
fn wrong_code_wrong_password_and_replay_open_nothing() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    // With the cookie of a success a repeated form is answered as the first one was.
    let elsewhere = house.portal.browser(&house.rig.layout.client, "elsewhere");
    let portal = &house.portal;
    let wrong = alice.phone.wrong()?;
    must_refuse(
        &portal.log_in(&alice.browser, "alice", ALICE_PASSWORD, &wrong)?,
        401,
    )?;

    let code = alice.phone.fresh()?;
    must_refuse(
        &portal.log_in(&alice.browser, "alice", "not it", &code)?,
        401,
    )?;
    // That attempt used the code up, although it failed.
    must_refuse(
        &portal.log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    house.web_is_shut()?;

    alice.log_in(portal)?;
    let code = alice.phone.last()?;
    must_refuse(
        &portal.log_in(&elsewhere, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    for far in [-3, 3] {
        let code = alice.phone.steps_from_now(far)?;
        must_refuse(
            &portal.log_in(&elsewhere, "alice", ALICE_PASSWORD, &code)?,
            401,
        )?;
    }
    Ok(())
}

/// Who asks for somebody who does not exist learns nothing from the answer or its time.
#[test]
fn unknown_people_are_refused_like_known_ones() -> Result<()> {
    let house = House::open_wide()?;
    let alice = Alice::at_client(&house.portal);
    let known = house
        .portal
        .log_in(&alice.browser, "alice", "not it", &alice.phone.wrong()?)?;
    let unknown = house
        .portal
        .log_in(&alice.browser, "nobody", "not it", "123456")?;
    must_refuse(&known, 401)?;
    must_refuse(&unknown, 401)?;
    for page in [&known, &unknown] {
        ensure!(
            page.took >= Duration::from_millis(250),
            "answered after {:?}",
            page.took
        );
    }
    let alert = |page: &xtask::curl::Page| {
        let (_, rest) = page.body.split_once("role=\"alert\"")?;
        let (_, text) = rest.split_once('>')?;
        Some(text.split_once("</div>")?.0.to_owned())
    };
    ensure!(alert(&known).is_some() && alert(&known) == alert(&unknown));
    Ok(())
}

#[test]
fn two_hundred_parallel_log_ins_with_one_code_give_one_success() -> Result<()> {
    let house = House::open_wide()?;
    let code = Phone::new(ALICE_SECRET).current()?;
    let start = Arc::new(Barrier::new(200));
    let threads: Vec<_> = (0..200)
        .map(|thread| {
            let (start, code) = (start.clone(), code.clone());
            let browser = house
                .portal
                .browser(&house.rig.layout.client, &format!("p{thread}"));
            let url = format!("{}/login", house.portal.url());
            thread::spawn(move || -> Result<u16> {
                let form = [
                    ("username", "alice"),
                    ("password", ALICE_PASSWORD),
                    ("code", &*code),
                ];
                start.wait();
                Ok(browser.post(&url, &form)?.status)
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for thread in threads {
        statuses.push(thread.join().ok().context("a thread panicked")??);
    }
    ensure!(statuses.len() == 200);
    let successes = statuses.iter().filter(|status| **status == 303).count();
    ensure!(successes == 1, "{successes} of 200 got in: {statuses:?}");
    let others = statuses
        .iter()
        .filter(|status| !matches!(**status, 303 | 401 | 429 | 503));
    ensure!(others.count() == 0, "{statuses:?}");
    Ok(())
}
