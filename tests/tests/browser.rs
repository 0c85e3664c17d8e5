//! A person with a real browser: a ticket, enrolment, log-in, the service opens, log-off, it
//! shuts. On a phone and on a desktop, in both languages, and without scripts.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Portal, Rig,
    browser::{self, Device, Visit},
    portal::{ALICE_PASSWORD, Office},
    rig::{Family, must_be_open, must_be_shut},
};
use xtask::codes::Phone;

/// The ticket's address and code, out of what the verb printed.
fn ticket(office: &Office) -> Result<(String, String)> {
    let said = office.admin_ok(&["--json", "ticket", "issue", "--user", "alice"], "")?;
    let json: serde_json::Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let word = |name: &str| {
        json.get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    Ok((
        word("url").context("no url")?,
        word("code").context("no code")?,
    ))
}

/// From the ticket's link to a token, in at most three pages.
async fn enrol(visit: &Visit, (url, code): &(String, String)) -> Result<Phone> {
    visit.goto(url).await?;
    visit.look("1-ticket").await?;
    visit.type_into("ticket", code).await?;
    visit.type_into("username", "alice").await?;
    visit.type_into("password", ALICE_PASSWORD).await?;
    visit.submit("/ticket").await?;
    visit.look("2-enrolment").await?;
    ensure!(
        visit.count("svg path, svg rect").await? > 0,
        "no picture to scan"
    );
    // Its button to copy the secret comes from the page's script.
    let scripts = visit.count("[data-copy]:not([hidden])").await? > 0;
    ensure!(scripts == visit.runs_scripts(), "scripts ran: {scripts}");
    let secret = visit.text("#secret").await?;
    let mut phone = Phone::new(&secret);
    visit.type_into("code", &phone.wrong()?).await?;
    visit.submit("/ticket/confirm").await?;
    visit.look("3-wrong-first-code").await?;
    ensure!(
        visit.count("[role=alert]").await? == 1,
        "a wrong first code was not refused"
    );
    visit.type_into("code", &phone.fresh()?).await?;
    visit.submit("/ticket/confirm").await?;
    visit.look("4-enrolled").await?;
    ensure!(
        visit.count("#secret").await? == 0,
        "the secret is shown a second time: {}",
        visit.text("main").await?
    );
    Ok(phone)
}

async fn log_in(visit: &Visit, portal: &str, phone: &mut Phone) -> Result<()> {
    visit.goto(portal).await?;
    visit.look("5-log-in").await?;
    for (password, code) in [
        ("not the password", phone.wrong()?),
        (ALICE_PASSWORD, phone.fresh()?),
    ] {
        visit.type_into("username", "alice").await?;
        visit.type_into("password", password).await?;
        visit.type_into("code", &code).await?;
        visit.submit("/login").await?;
        if visit.path().await? != "/access" {
            visit.look("6-refused").await?;
            ensure!(
                visit.count("[role=alert]").await? == 1,
                "a refusal without an alert"
            );
        }
    }
    ensure!(
        visit.path().await? == "/access",
        "not logged in: {}",
        visit.client.source().await?
    );
    visit.look("7-access").await
}

fn walk(device: Device, language: &str) -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let office = Office::open(&rig)?;
    office.user("alice", "staff", ALICE_PASSWORD)?;
    let portal: Portal = office.run(&rig)?;
    let ticket = ticket(&office)?;
    let driver = browser::driver(&rig)?;
    let client = rig.layout.client.clone();
    let web: SocketAddr = rig.server(Family::V4, 80);
    browser::at_client(&client, || async {
        let visit = browser::open(&rig, device, language).await?;
        let mut phone = enrol(&visit, &ticket).await?;
        let root = visit.client.find(fantoccini::Locator::Css("html")).await?;
        ensure!(
            root.attr("lang").await?.as_deref() == Some(language),
            "another language"
        );
        must_be_shut(&client, web).context("enrolment must open nothing")?;

        log_in(&visit, &portal.url(), &mut phone).await?;
        must_be_open(&client, web)?;
        must_be_shut(&rig.layout.neighbour, web)?;
        let page = visit.text("main").await?;
        ensure!(
            page.contains("web") && page.contains("echo"),
            "services are missing: {page}"
        );
        ensure!(
            !page.contains("ssh"),
            "a service for others is shown: {page}"
        );

        visit.goto(&format!("{}/devices", portal.url())).await?;
        visit.look("8-devices").await?;
        visit.goto(&format!("{}/help", portal.url())).await?;
        visit.look("9-help").await?;
        visit.submit("/logoff").await?;
        visit.goto(&format!("{}/access", portal.url())).await?;
        ensure!(
            visit.path().await? != "/access",
            "still in after logging off"
        );
        visit.close().await
    })?;
    ensure!(agent.count("Granted")? > 0);
    drop(driver);
    Ok(())
}

#[test]
fn alice_enrols_and_logs_in_on_a_desktop_in_english() -> Result<()> {
    walk(Device::Desktop, "en")
}

#[test]
fn alice_enrols_and_logs_in_on_a_phone_in_japanese() -> Result<()> {
    walk(Device::Phone, "ja")
}

/// Everything but the countdown works where scripts are forbidden.
#[test]
fn alice_enrols_and_logs_in_without_scripts() -> Result<()> {
    walk(Device::DesktopWithoutScripts, "en")
}
