//! Two people behind one address: the page and the operator's list say so, and the second one's
//! grants end sooner where the site wants that.

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Portal, Rig,
    portal::{Alice, BOB_PASSWORD, BOB_SECRET, Office, portal_config},
    rig::{Family, must_be_open, must_be_shut},
};
use xtask::codes::Phone;

#[test]
fn an_address_of_two_people_is_told_and_opened_for_less_long() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let config = portal_config(&rig) + "\n[shared]\nlongest = \"10m\"\n";
    let portal: Portal = Office::open_with(&rig, &config)?.with_people()?.run(&rig)?;
    let (client, ssh) = (&rig.layout.client, rig.server(Family::V4, 22));
    let mut alice = Alice::at_client(&portal);
    alice.log_in(&portal)?;
    let access = format!("{}/access", portal.url());
    ensure!(
        !alice
            .browser
            .get(&access)?
            .body
            .contains("share your address")
    );
    ensure!(!agent.cli_ok(&["list"])?.contains("is shared"));
    must_be_shut(client, ssh)?;

    let bob = portal.browser(client, "bob");
    let code = Phone::new(BOB_SECRET).fresh()?;
    let page = portal.log_in(&bob, "bob", BOB_PASSWORD, &code)?;
    ensure!(page.status == 303, "{}:\n{}", page.status, page.body);
    must_be_open(client, ssh)?;
    for browser in [&alice.browser, &bob] {
        let page = browser.get(&access)?.body;
        ensure!(page.contains("Others share your address"), "{page}");
        ensure!(page.contains("for 10 min at most"), "{page}");
    }
    let list = agent.cli_ok(&["list"])?;
    ensure!(
        list.contains("192.0.2.10 is shared by 2: alice, bob"),
        "{list}"
    );
    let left = |user: &str| -> Result<u64> {
        let list = agent.cli_json(&["list", "--user", user])?;
        let left = list.pointer("/0/remaining_seconds");
        left.and_then(serde_json::Value::as_u64)
            .with_context(|| list.to_string())
    };
    ensure!((590..=600).contains(&left("bob")?), "{}", left("bob")?);
    ensure!(left("alice")? > 600, "{}", left("alice")?);
    bob.post(&format!("{access}/close"), &[])?;
    must_be_shut(client, ssh)
}
