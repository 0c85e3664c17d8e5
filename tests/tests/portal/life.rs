//! The life of tokens and tickets by verbs, and what happens while the agent or a key changes.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    portal::{ALICE_PASSWORD, ALICE_SECRET, Alice, BOB_PASSWORD, BOB_SECRET, Office, must_refuse},
    rig::{Family, must_be_open, must_be_shut},
    tools::both,
};
use xtask::codes::Phone;

use super::House;

/// R10: one verb, and a lost phone is worth nothing.
#[test]
fn lockout_ends_everything_of_a_person() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    alice.log_in(&house.portal)?;
    house.web_is_open()?;
    house.office.admin_ok(&["user", "lockout", "alice"], "")?;
    house.web_is_shut()?;
    let page = alice
        .browser
        .get(&format!("{}/access", house.portal.url()))?;
    ensure!(page.status != 200, "the cookie is still good");
    let code = alice.phone.fresh()?;
    let page = house
        .portal
        .log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(page.status == 401 || page.status == 429, "{}", page.status);
    house.web_is_shut()
}

#[test]
fn tokens_are_suspended_resumed_and_revoked_by_verbs() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    let listed = house
        .office
        .admin_ok(&["--json", "token", "list", "--user", "alice"], "")?;
    let json: serde_json::Value = serde_json::from_str(&listed).with_context(|| listed.clone())?;
    let token = json
        .pointer("/0/id")
        .or_else(|| json.pointer("/tokens/0/id"));
    let id = token.map(|id| id.to_string().trim_matches('"').to_owned());
    let id = id.with_context(|| format!("no id in {listed}"))?;
    ensure!(!listed.contains(ALICE_SECRET), "the list shows the secret");

    house.office.admin_ok(&["token", "suspend", &id], "")?;
    let code = alice.phone.fresh()?;
    must_refuse(
        &house
            .portal
            .log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    house.office.admin_ok(&["token", "resume", &id], "")?;
    let elsewhere = house.portal.browser(&house.rig.layout.client, "elsewhere");
    alice.log_in(&house.portal)?;
    house.office.admin_ok(&["token", "revoke", &id], "")?;
    let code = alice.phone.fresh()?;
    must_refuse(
        &house
            .portal
            .log_in(&elsewhere, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    let output = house.office.admin(&["token", "suspend", "nosuchtoken"])?;
    ensure!(!output.status.success(), "{}", both(&output));
    Ok(())
}

/// A ticket works once, with the password, and by POST: mail scanners open every link.
#[test]
fn a_ticket_is_used_up_by_the_right_password_only() -> Result<()> {
    let house = House::open_wide()?;
    house.office.user("carol", "staff", "carols password")?;
    let said = house
        .office
        .admin_ok(&["--json", "ticket", "issue", "--user", "carol"], "")?;
    let json: serde_json::Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let code = json
        .get("code")
        .and_then(|code| code.as_str())
        .context("no code")?;
    let url = json
        .get("url")
        .and_then(|url| url.as_str())
        .context("no url")?;
    let browser = house.portal.browser(&house.rig.layout.client, "carol");
    for _ in 0..3 {
        let page = browser.get(url)?;
        ensure!(
            page.status == 200 && !page.body.contains("id=\"secret\""),
            "{}",
            page.status
        );
    }
    let redeem = |user: &str, password: &str| {
        let form = [("username", user), ("password", password), ("ticket", code)];
        browser.post(&format!("{}/ticket", house.portal.url()), &form)
    };
    ensure!(!redeem("carol", "wrong")?.body.contains("id=\"secret\""));
    ensure!(
        !redeem("alice", ALICE_PASSWORD)?
            .body
            .contains("id=\"secret\""),
        "alice took it"
    );
    let page = redeem("carol", "carols password")?;
    ensure!(page.status == 200, "{}:\n{}", page.status, page.body);
    let between = |start: &str, end: char| {
        let (_, rest) = page.body.split_once(start)?;
        Some(rest.split(end).next()?.to_owned())
    };
    let secret = between("id=\"secret\">", '<').context("no secret")?;
    let token = between("name=\"token\" value=\"", '"').context("no token")?;
    ensure!(
        secret.split_whitespace().collect::<String>().len() == 32,
        "160 bits: {secret}"
    );
    ensure!(
        page.header("cache-control")
            .is_some_and(|value| value.contains("no-store"))
    );
    let again = redeem("carol", "carols password")?;
    ensure!(
        !again.body.contains("id=\"secret\""),
        "a ticket worked twice"
    );

    let mut phone = Phone::new(&secret);
    let code = phone.fresh()?;
    let form = [("token", &*token), ("code", &code), ("name", "phone")];
    let page = browser.post(&format!("{}/ticket/confirm", house.portal.url()), &form)?;
    ensure!(page.status == 200, "{}:\n{}", page.status, page.body);
    house.web_is_shut().context("enrolment must open nothing")?;
    // The code that confirmed the token is used up, too.
    must_refuse(
        &house
            .portal
            .log_in(&browser, "carol", "carols password", &code)?,
        401,
    )?;
    let page = house
        .portal
        .log_in(&browser, "carol", "carols password", &phone.fresh()?)?;
    ensure!(page.status == 303, "{}:\n{}", page.status, page.body);
    house.web_is_open()
}

/// R15: nothing new opens, the page says so, and what is open keeps its deadline.
#[test]
fn with_the_agent_down_nothing_opens_and_a_page_says_so() -> Result<()> {
    let mut house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    alice.log_in(&house.portal)?;
    house.agent.daemon.kill()?;
    house.web_is_open()?;
    let bob = house.portal.browser(&house.rig.layout.neighbour, "bob");
    let code = Phone::new(BOB_SECRET).fresh()?;
    let page = house.portal.log_in(&bob, "bob", BOB_PASSWORD, &code)?;
    ensure!(page.status == 503, "{}:\n{}", page.status, page.body);
    ensure!(page.body.contains("data-request-id"), "{}", page.body);
    let sick = house.health_becomes(503)?;
    ensure!(sick.contains("agent"), "{sick}");
    must_be_shut(
        &house.rig.layout.neighbour,
        house.rig.server(Family::V4, 22),
    )?;

    house.agent = Agent::start(&house.rig)?;
    house.health_becomes(200)?;
    house.web_is_open()
}

/// Log-ins and refusals are in the agent's audit, with who and from where.
#[test]
fn authentication_is_in_the_agents_audit() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    let wrong = alice.phone.wrong()?;
    let page = house
        .portal
        .log_in(&alice.browser, "alice", ALICE_PASSWORD, &wrong)?;
    must_refuse(&page, 401)?;
    let (_, rest) = page
        .body
        .split_once("data-request-id=\"")
        .context("no request id")?;
    let request = rest.split('"').next().context("no request id")?.to_owned();
    alice.log_in(&house.portal)?;
    for _ in 0..100 {
        let audit = house.agent.cli_ok(&["--json", "audit"])?;
        let login = |outcome: &str| {
            audit
                .lines()
                .any(|line| line.contains("\"login\"") && line.contains(outcome))
                || audit.contains("\"login\"") && audit.contains(outcome)
        };
        if login("\"ok\"") && audit.contains(&request) && audit.contains("192.0.2.10") {
            house.agent.cli_ok(&["audit", "--verify"])?;
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!(
        "not in the audit: {}",
        house.agent.cli_ok(&["--json", "audit"])?
    )
}

/// The key that encrypts the secrets changes, and everybody's phone goes on.
#[test]
fn key_rotation_disturbs_nobody() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let _agent = Agent::start(&rig)?;
    let office = Office::open(&rig)?.with_people()?;
    office.admin_ok(&["key", "rotate"], "")?;
    let portal = office.run(&rig)?;
    Alice::at_client(&portal).log_in(&portal)?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))
}
