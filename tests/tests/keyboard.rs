//! Everything by keys alone: from the ticket to an open service, its devices, and out again.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    browser::{self, Device, Key, Visit},
    portal::{ALICE_PASSWORD, Office},
    rig::{Family, must_be_open, must_be_shut},
};
use xtask::codes::Phone;

async fn fill(visit: &Visit, fields: &[(&str, &str)]) -> Result<()> {
    for (field, text) in fields {
        visit.tab_to(field).await?;
        visit.letters(text).await?;
    }
    Ok(())
}

/// The first stop of a page leads past its head.
async fn skip_link_comes_first(visit: &Visit) -> Result<()> {
    visit
        .client
        .execute("document.activeElement.blur()", vec![])
        .await?;
    visit.strike(Key::Tab).await?;
    visit.tab_to("a.skip").await?;
    visit.strike(Key::Enter).await?;
    let inside = visit
        .client
        .execute("return document.activeElement.id", vec![])
        .await?;
    ensure!(inside == "main", "the skip link leads to {inside}");
    Ok(())
}

async fn enrol(visit: &Visit, url: &str, code: &str) -> Result<Phone> {
    visit.goto(url).await?;
    let typed = [
        ("#ticket", code),
        ("#username", "alice"),
        ("#password", ALICE_PASSWORD),
    ];
    // The link fills the ticket in; typed again it must be the same.
    visit
        .client
        .execute("document.getElementById('ticket').value = ''", vec![])
        .await?;
    fill(visit, &typed).await?;
    visit.strike_for_page(Key::Enter).await?;
    let mut phone = Phone::new(&visit.text("#secret").await?);
    fill(visit, &[("#code", &phone.fresh()?)]).await?;
    visit.strike_for_page(Key::Enter).await?;
    ensure!(visit.count("ol.codes li").await? == 10, "no recovery codes");
    visit.tab_to("a.button.primary").await?;
    visit.strike_for_page(Key::Enter).await?;
    Ok(phone)
}

async fn log_in(visit: &Visit, phone: &mut Phone) -> Result<()> {
    skip_link_comes_first(visit).await?;
    let code = phone.fresh()?;
    let typed = [
        ("#username", "alice"),
        ("#password", ALICE_PASSWORD),
        ("#code", &code),
    ];
    fill(visit, &typed).await?;
    visit.tab_to("input[name=remember]").await?;
    visit.strike(Key::Space).await?;
    ensure!(
        visit.count("input[name=remember]:checked").await? == 1,
        "space does not check"
    );
    visit.tab_to("button.primary").await?;
    visit.strike_for_page(Key::Enter).await?;
    ensure!(
        visit.path().await? == "/access",
        "not in: {}",
        visit.text("main").await?
    );
    Ok(())
}

/// Closes all, chooses one service, opens it, looks at the devices and leaves.
async fn use_it(visit: &Visit, (rig, web): (&Rig, SocketAddr)) -> Result<()> {
    let client = &rig.layout.client;
    must_be_open(client, web)?;
    visit
        .tab_to("form[action='/access/close'] button.danger")
        .await?;
    visit.strike_for_page(Key::Enter).await?;
    must_be_shut(client, web)?;
    visit
        .tab_to("form[action='/access/open'] input[value=echo]")
        .await?;
    visit.strike(Key::Space).await?;
    visit.tab_to("form[action='/access/open'] button").await?;
    visit.strike_for_page(Key::Enter).await?;
    must_be_open(client, web)?;
    must_be_shut(client, rig.server(Family::V4, 7)).context("it was not chosen")?;

    visit.tab_to("nav a[href='/devices']").await?;
    visit.strike_for_page(Key::Enter).await?;
    let unfolds = async |part: &str| -> Result<()> {
        visit
            .tab_to(&format!("li.service details{part} summary"))
            .await?;
        visit.strike(Key::Enter).await?;
        let open = format!("li.service details{part}[open]");
        ensure!(visit.count(&open).await? == 1, "{part} does not unfold");
        Ok(())
    };
    unfolds(".calm").await?;
    visit
        .tab_to("form[action='/devices/owner'] input[name=owner]")
        .await?;
    visit.tab_to("form[action='/devices/owner'] button").await?;
    unfolds(":not(.calm)").await?;
    visit
        .tab_to("form[action='/devices/revoke'] button")
        .await?;
    visit.tab_to("footer summary").await?;
    visit.strike(Key::Enter).await?;
    visit.tab_to("[data-copy-list]").await?;

    visit.tab_to("nav a[href='/help']").await?;
    visit.strike_for_page(Key::Enter).await?;
    visit.tab_to("form[action='/logoff'] button").await?;
    visit.strike_for_page(Key::Space).await?;
    must_be_shut(client, web)
}

#[test]
fn alice_needs_no_mouse() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let _agent = Agent::start(&rig)?;
    let office = Office::open(&rig)?;
    office.user("alice", "staff", ALICE_PASSWORD)?;
    let portal = office.run(&rig)?;
    let said = office.admin_ok(&["--json", "ticket", "issue", "--user", "alice"], "")?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let word = |name: &str| {
        said.get(name)
            .and_then(|word| word.as_str())
            .context("no ticket")
    };
    let (url, code) = (word("url")?, word("code")?);
    let driver = browser::driver(&rig)?;
    let web = rig.server(Family::V4, 80);
    browser::at_client(&rig.layout.client, || async {
        let visit = browser::open(&rig, Device::Desktop, "en").await?;
        let mut phone = enrol(&visit, url, code).await?;
        log_in(&visit, &mut phone).await?;
        use_it(&visit, (&rig, web)).await?;
        visit.close().await
    })?;
    drop((driver, portal));
    Ok(())
}
