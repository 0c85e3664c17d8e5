//! A machine that comes to another network with what is open: the button moves it, for a code where
//! the site wants one, and the address it left is shut.

use anyhow::{Result, ensure};
use tests::{
    Agent, Portal, Rig,
    portal::{Alice, Office, portal_config},
    rig::{Family, must_be_open, must_be_shut, replaced},
};
use xtask::lab::ETH;

/// The client's other address.
const AWAY: &str = "192.0.2.77";

fn readdress(rig: &Rig, from: &str, to: &str) -> Result<()> {
    rig.layout.client.ip([
        format!("address delete {from}/24 dev {ETH}").as_str(),
        format!("address add {to}/24 dev {ETH}").as_str(),
        // The route went with the address.
        format!("route replace default via {}", rig.layout.gate_at.v4).as_str(),
    ])
}

/// Where the site trusts the cookie alone, a button is enough, and a cookie that came along opens
/// nothing more.
#[test]
fn what_is_open_follows_without_a_code_where_the_site_says_so() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let _agent = Agent::start(&rig)?;
    let follow = "[portal]\nfollow = \"move\"";
    let config = replaced(&portal_config(&rig), "[portal]", follow)?;
    let portal: Portal = Office::open_with(&rig, &config)?.with_people()?.run(&rig)?;
    let (client, web) = (&rig.layout.client, rig.server(Family::V4, 80));
    let echo = rig.server(Family::V4, 7);
    let home = rig.source(Family::V4).to_string();
    let mut alice = Alice::at_client(&portal);
    alice.log_in(&portal)?;
    let access = format!("{}/access", portal.url());
    let close = [("service", "echo"), ("source", home.as_str())];
    alice.browser.post(&format!("{access}/close"), &close)?;
    must_be_open(client, web)?;
    must_be_shut(client, echo)?;

    readdress(&rig, &home, AWAY)?;
    must_be_shut(client, web)?;
    alice.browser.post(&format!("{access}/move"), &[])?;
    must_be_open(client, web)?;
    alice
        .browser
        .post(&format!("{access}/open"), &[("service", "echo")])?;
    must_be_shut(client, echo)?;
    readdress(&rig, AWAY, &home)?;
    must_be_shut(client, web)
}

#[test]
fn what_is_open_follows_for_one_more_code_and_the_old_address_is_shut() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let config = replaced(
        &portal_config(&rig),
        "[portal]",
        "[portal]\nfollow = \"code\"",
    )?;
    let portal: Portal = Office::open_with(&rig, &config)?.with_people()?.run(&rig)?;
    let (client, web) = (&rig.layout.client, rig.server(Family::V4, 80));
    let home = rig.source(Family::V4).to_string();
    must_be_shut(client, web)?;
    let mut alice = Alice::at_client(&portal);
    alice.log_in(&portal)?;
    must_be_open(client, web)?;

    readdress(&rig, &home, AWAY)?;
    must_be_shut(client, web)?;
    let access = format!("{}/access", portal.url());
    let page = alice.browser.get(&access)?.body;
    ensure!(page.contains("action=\"/access/move\""), "{page}");
    let form = [("code", alice.phone.wrong()?)];
    let form = form.each_ref().map(|(name, code)| (*name, code.as_str()));
    alice.browser.post(&format!("{access}/move"), &form)?;
    must_be_shut(client, web)?;
    let code = alice.phone.fresh()?;
    let page = alice
        .browser
        .post(&format!("{access}/move"), &[("code", &code)])?;
    let to = page.header("location").unwrap_or_default().to_owned();
    must_be_open(client, web)?;
    must_be_shut(&rig.layout.neighbour, web)?;
    let said = alice.browser.get(&format!("{}{to}", portal.url()))?.body;
    ensure!(said.contains("Moved here: "), "{said}");
    let list = agent.cli_ok(&["list"])?;
    ensure!(list.contains(AWAY) && !list.contains(&home), "{list}");

    readdress(&rig, AWAY, &home)?;
    must_be_shut(client, web)?;
    readdress(&rig, &home, AWAY)?;
    alice.browser.post(&format!("{access}/close"), &[])?;
    must_be_shut(client, web)
}
