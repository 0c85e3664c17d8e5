//! Pages and states that no other walk comes to, for axe-core in both themes: what is refused, what
//! is not there, what is down. And that axe does find what is broken.

use anyhow::{Result, ensure};
use fantoccini::Locator;
use tests::{
    Agent, Portal, Rig,
    browser::{self, Device, Visit},
    portal::{ALICE_PASSWORD, ALICE_SECRET, Office, portal_config},
};
use xtask::codes::Phone;

/// Signed in as alice.
async fn sign_in(visit: &Visit, url: &str, phone: &mut Phone) -> Result<()> {
    visit.goto(url).await?;
    visit.type_into("username", "alice").await?;
    visit.type_into("password", ALICE_PASSWORD).await?;
    visit.type_into("code", &phone.fresh()?).await?;
    visit.submit("/login").await?;
    ensure!(visit.path().await? == "/access", "not signed in");
    Ok(())
}

/// Without a log-in: everything that can be refused, and what is not there.
async fn outside(visit: &Visit, portal: &Portal) -> Result<()> {
    let url = portal.url();
    for (number, path) in [
        "/lost",
        "/resync",
        "/ticket?code=ABCD",
        "/nowhere",
        "/not-me?link=x",
    ]
    .into_iter()
    .enumerate()
    {
        visit.goto(&format!("{url}{path}")).await?;
        visit.look(&format!("a{number}-outside")).await?;
    }
    visit.goto(&format!("{url}/lost")).await?;
    visit.type_into("username", "carol").await?;
    visit.type_into("password", "not the password").await?;
    visit.type_into("recovery", "AAAA-BBBB-CCCC-DDDD").await?;
    let choice = visit.client.find(Locator::Css("input[value=lost]")).await?;
    choice.click().await?;
    visit.submit("/lost").await?;
    must_alert(visit, "lost").await?;
    visit.look("a5-lost-refused").await?;

    visit.goto(&format!("{url}/resync")).await?;
    visit.type_into("username", "carol").await?;
    visit.type_into("password", "not the password").await?;
    visit.type_into("code", "000000").await?;
    visit.type_into("next", "000000").await?;
    visit.submit("/resync").await?;
    must_alert(visit, "token").await?;
    visit.look("a6-resync-refused").await?;

    visit.goto(&format!("{url}/ticket")).await?;
    visit.type_into("ticket", "NOT-A-TICKET").await?;
    visit.type_into("username", "carol").await?;
    visit.type_into("password", "not the password").await?;
    visit.submit("/ticket").await?;
    must_alert(visit, "ticket").await?;
    visit.look("a7-ticket-refused").await
}

/// A refusal is read out, and leads to its part of the help page.
async fn must_alert(visit: &Visit, part: &str) -> Result<()> {
    let link = format!("[role=alert] a[href='/help#{part}']");
    ensure!(
        visit.count(&link).await? == 1,
        "no alert that leads to {part}: {}",
        visit.text("main").await?
    );
    Ok(())
}

/// Signed in: devices in all states, a new secret, recovery codes, sign-ins, nothing open.
async fn inside(visit: &Visit, portal: &Portal) -> Result<()> {
    let url = portal.url();
    sign_in(visit, &url, &mut Phone::new(ALICE_SECRET)).await?;
    visit.look("b1-access").await?;
    visit.submit("/access/close").await?;
    visit.look("b2-all-closed").await?;
    visit.goto(&format!("{url}/logins")).await?;
    visit.look("b3-sign-ins").await?;

    visit.goto(&format!("{url}/devices")).await?;
    visit.type_into("code", "000000").await?;
    visit.submit("/devices/test").await?;
    must_alert(visit, "never").await?;
    visit.look("b4-code-tried").await?;
    visit.submit("/devices/recovery").await?;
    visit.look("b5-recovery-codes").await?;
    visit.goto(&format!("{url}/devices")).await?;
    visit.submit("/devices/enrol").await?;
    visit.look("b6-another-device").await?;
    visit.goto(&format!("{url}/devices")).await?;
    visit.submit("/devices/suspend").await?;
    visit.look("b7-suspended").await
}

fn office(rig: &Rig) -> Result<(Agent, Office, Portal)> {
    rig.serve()?;
    let agent = Agent::start(rig)?;
    let office = Office::open_with(rig, &portal_config(rig))?.with_people()?;
    let portal = office.run(rig)?;
    Ok((agent, office, portal))
}

fn walk(device: Device, language: &str) -> Result<()> {
    let rig = Rig::gateway()?;
    let (agent, office, portal) = office(&rig)?;
    let driver = browser::driver(&rig)?;
    browser::at_client(&rig.layout.client, || async {
        let visit = browser::open(&rig, device, language).await?;
        outside(&visit, &portal).await?;
        inside(&visit, &portal).await?;
        visit.close().await
    })?;
    office.admin_ok(
        &["banner", "set", "--text-en", "Maintenance tonight at ten."],
        "",
    )?;
    drop(agent);
    browser::at_client(&rig.layout.client, || async {
        let visit = browser::open(&rig, device, language).await?;
        visit.goto(&portal.url()).await?;
        visit.type_into("username", "bob").await?;
        visit.type_into("password", "whatever it is").await?;
        visit.type_into("code", "123456").await?;
        visit.submit("/login").await?;
        must_alert(&visit, "down").await?;
        ensure!(visit.count(".banner[role=status]").await? == 1, "no banner");
        visit.look("c1-agent-down").await?;
        visit.close().await
    })?;
    drop(driver);
    Ok(())
}

#[test]
fn every_state_can_be_used_by_everybody_on_a_phone_in_japanese() -> Result<()> {
    walk(Device::Phone, "ja")
}

#[test]
fn every_state_can_be_used_by_everybody_on_a_desktop_in_english() -> Result<()> {
    walk(Device::Desktop, "en")
}

/// Breaks a page in three ways; each has to be found, or the other tests prove nothing.
#[test]
fn what_is_broken_is_found() -> Result<()> {
    let rig = Rig::gateway()?;
    let (_agent, _office, portal) = office(&rig)?;
    let driver = browser::driver(&rig)?;
    browser::at_client(&rig.layout.client, || async {
        let visit = browser::open(&rig, Device::Desktop, "en").await?;
        for (script, rule) in [
            (
                "document.querySelector('.lead').style.color = '#aaa'",
                "color-contrast",
            ),
            ("document.querySelector('label').remove()", "label"),
            (
                "for (const b of document.querySelectorAll('.languages button')) \
                 b.style = 'min-height: 0; height: 9px; width: 9px; padding: 0; margin: 0; font-size: 0'",
                "target-size",
            ),
        ] {
            visit.goto(&portal.url()).await?;
            visit.examine("whole").await?;
            visit.client.execute(script, Vec::new()).await?;
            let found = visit.examine("broken").await;
            let said = found.err().map(|e| e.to_string()).unwrap_or_default();
            ensure!(said.contains(rule), "{rule} was not found: {said:?}");
        }
        visit.close().await
    })?;
    drop(driver);
    Ok(())
}
