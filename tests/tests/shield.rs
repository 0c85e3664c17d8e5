//! The shield: who hammers the log-in is dropped in the kernel, portal and all, until it ends or an
//! operator lifts it; nobody else notices.

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    portal::{Alice, Office, portal_config},
    rig::{Family, must_be_open, must_be_shut},
};
use xtask::curl::Browser;

const NOBODY: [(&str, &str); 3] = [
    ("username", "nobody"),
    ("password", "x"),
    ("code", "000000"),
];

fn config(rig: &Rig) -> String {
    portal_config(rig) + "\n[limits]\nsource_per_minute = 2\n[shield]\nafter = 3\nfor = \"5m\"\n"
}

/// Two attempts a minute are taken, and the shield takes two more that are refused. It goes up with
/// the next one, whose answer may come too late.
fn hammer(browser: Browser, url: &str) -> Result<()> {
    for _ in 0..4 {
        browser
            .post(&format!("{url}/login"), &NOBODY)
            .context("a request was swallowed")?;
    }
    let last = browser.with_patience(2);
    drop(last.post(&format!("{url}/login"), &NOBODY));
    Ok(())
}

#[test]
fn a_source_that_hammers_the_log_in_is_dropped_until_it_is_lifted() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let office = Office::open_with(&rig, &config(&rig))?.with_people()?;
    let portal = office.run(&rig)?;
    let mut alice = Alice::at_client(&portal);
    alice.log_in(&portal)?;

    let bad = portal.browser(&rig.layout.neighbour, "bad");
    hammer(portal.browser(&rig.layout.neighbour, "bad"), &portal.url())?;
    portal.daemon.says("shut out")?;
    let [door, _] = rig.layout.portal_endpoints();
    must_be_shut(&rig.layout.neighbour, door)?;
    let denied = agent.cli_ok(&["list", "--denied"])?;
    let source = rig.neighbour_source(Family::V4).to_string();
    ensure!(
        denied.contains(&source) && denied.contains("portal") && denied.contains("hammers"),
        "{denied}"
    );
    ensure!(agent.count("Denied")? > 0, "dropped by another row");
    // Everybody else goes on, at the portal and behind it.
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
    let page = alice.browser.get(&format!("{}/access", portal.url()))?;
    ensure!(page.status == 200, "{}", page.status);

    agent.cli_ok(&["lift", &format!("{source}/32")])?;
    let page = bad.get(&format!("{}/", portal.url()))?;
    ensure!(page.status == 200, "lifted, but {}", page.status);
    must_be_shut(&rig.layout.neighbour, rig.server(Family::V4, 80))
}

#[test]
fn a_source_that_somebody_is_open_from_is_not_cut_off_by_who_hammers_there() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let office = Office::open_with(&rig, &config(&rig))?.with_people()?;
    let portal = office.run(&rig)?;
    Alice::at_client(&portal).log_in(&portal)?;
    hammer(portal.browser(&rig.layout.client, "bad"), &portal.url())?;
    portal.daemon.says("is not shut out")?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
    ensure!(agent.status()?.denied == 0);
    Ok(())
}
