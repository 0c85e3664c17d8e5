//! One log-in opens both address families of one machine: by buttons with `curl`, by a script and
//! by buttons with Chromium. A ticket that somebody else uses opens nothing for them.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    Agent, Portal, Rig,
    browser::{self, Device, Visit},
    portal::{ALICE_PASSWORD, ALICE_SECRET, Office, portal_config},
    rig::{Family, must_be_open, must_be_shut, replaced},
};
use xtask::{codes::Phone, curl::Browser, net::Namespace};

const NAME: &str = "access.example.com";
const V4: &str = "v4.access.example.com";
const V6: &str = "v6.access.example.com";

/// Agent and portal with names of one family each; people reach it over IPv4 first.
struct House {
    agent: Agent,
    portal: Portal,
    rig: Rig,
}

impl House {
    fn open() -> Result<Self> {
        let rig = Rig::gateway()?;
        rig.serve()?;
        let agent = Agent::start(&rig)?;
        let public = format!("[portal]\npublic_url = \"https://{NAME}:8443\"");
        let names =
            format!("[dual_stack]\nipv4 = \"https://{V4}:8443\"\nipv6 = \"https://{V6}:8443\"\n");
        let config = replaced(&portal_config(&rig), "[portal]", &public)? + &names;
        let portal = Office::open_with(&rig, &config)?.with_people()?.run(&rig)?;
        Ok(Self { agent, portal, rig })
    }

    fn names(&self) -> [(&'static str, SocketAddr); 3] {
        let [v4, v6] = self.rig.layout.portal_endpoints();
        [(NAME, v4), (V4, v4), (V6, v6)]
    }

    fn curl(&self, at: &Namespace, name: &str) -> Browser {
        let browser = self.portal.browser(at, name);
        let named = |browser: Browser, (name, at): (&str, SocketAddr)| browser.with_name(name, at);
        self.names().into_iter().fold(browser, named)
    }

    fn alice(&self) -> Result<Browser> {
        let browser = self.curl(&self.rig.layout.client, "alice");
        let code = Phone::new(ALICE_SECRET).fresh()?;
        let form = [
            ("username", "alice"),
            ("password", ALICE_PASSWORD),
            ("code", &code),
        ];
        let page = browser.post(&format!("https://{NAME}:8443/login"), &form)?;
        ensure!(page.status == 303, "{}:\n{}", page.status, page.body);
        Ok(browser)
    }

    fn web_is(&self, at: &Namespace, family: Family, open: Door) -> Result<()> {
        let web = self.rig.server(family, 80);
        match open {
            Door::Open => must_be_open(at, web),
            Door::Shut => must_be_shut(at, web),
        }
    }
}

#[derive(Clone, Copy)]
enum Door {
    Open,
    Shut,
}

/// The value of a hidden field, and where its form goes.
fn field(body: &str, name: &str) -> Result<(String, String)> {
    let value = between(body, &format!("name=\"{name}\" value=\""))?;
    let action = between(body, "method=\"post\" action=\"https://")?;
    Ok((value, format!("https://{action}")))
}

fn between(body: &str, before: &str) -> Result<String> {
    let rest = body.split(before).nth(1);
    let rest = rest.with_context(|| format!("no {before} on the page:\n{body}"))?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

#[test]
fn buttons_without_scripts_open_both_families_and_close_both() -> Result<()> {
    let house = House::open()?;
    let client = &house.rig.layout.client;
    let alice = house.alice()?;
    house.web_is(client, Family::V4, Door::Open)?;
    house.web_is(client, Family::V6, Door::Shut)?;
    let go = alice.post(&format!("https://{NAME}:8443/cross"), &[])?;
    let (ticket, to) = field(&go.body, "ticket")?;
    ensure!(to == format!("https://{V6}:8443/cross/arrive"), "{to}");
    let seen = alice.post(&to, &[("ticket", &ticket)])?;
    let (receipt, back) = field(&seen.body, "receipt")?;
    ensure!(
        back == format!("https://{NAME}:8443/cross/return"),
        "{back}"
    );
    house.web_is(client, Family::V6, Door::Shut)?;
    let end = alice.post(&back, &[("receipt", &receipt)])?;
    ensure!(end.status == 303, "{}:\n{}", end.status, end.body);
    house.web_is(client, Family::V6, Door::Open)?;
    house.web_is(&house.rig.layout.neighbour, Family::V6, Door::Shut)?;
    let list = house.agent.cli_json(&["list", "--user", "alice"])?;
    let list = list.to_string();
    for family in Family::BOTH {
        let source = house.rig.source(family).to_string();
        ensure!(list.contains(&source), "no {source} in {list}");
    }

    let web = [("service", "web"), ("source", "192.0.2.10")];
    alice.post(&format!("https://{NAME}:8443/access/close"), &web)?;
    house.web_is(client, Family::V4, Door::Shut)?;
    house.web_is(client, Family::V6, Door::Shut)
}

#[test]
fn a_ticket_that_a_neighbour_uses_opens_nothing_for_them() -> Result<()> {
    let house = House::open()?;
    let neighbour = &house.rig.layout.neighbour;
    let alice = house.alice()?;
    let go = alice.post(&format!("https://{NAME}:8443/cross"), &[])?;
    let (ticket, to) = field(&go.body, "ticket")?;
    let thief = house.curl(neighbour, "thief");
    let seen = thief.post(&to, &[("ticket", &ticket)])?;
    let (receipt, back) = field(&seen.body, "receipt")?;
    let form = [("receipt", receipt.as_str()), ("asked", "yes")];
    let end = thief.post(&back, &form)?;
    ensure!(
        end.header("location") == Some("/?say=again"),
        "{}",
        end.headers
    );
    let evil = alice
        .clone()
        .with_header("Origin: https://evil.example")
        .with_header("Sec-Fetch-Site: cross-site");
    let end = evil.post(&back, &form)?;
    ensure!(end.status == 403, "{}:\n{}", end.status, end.body);
    house.web_is(neighbour, Family::V6, Door::Shut)?;
    house.web_is(neighbour, Family::V4, Door::Shut)?;
    let again = alice.post(&to, &[("ticket", &ticket)])?;
    let (receipt, _) = field(&again.body, "receipt")?;
    ensure!(receipt.is_empty(), "a ticket worked twice");
    house.web_is(&house.rig.layout.client, Family::V6, Door::Shut)
}

/// What a phone asks when it joins a network, and any script.
#[test]
fn the_status_document_follows_the_door() -> Result<()> {
    let house = House::open()?;
    let stranger = house.curl(&house.rig.layout.neighbour, "stranger");
    let captive = |browser: &Browser, name: &str| -> Result<Value> {
        let page = browser.get(&format!("https://{name}:8443/captive"))?;
        let kind = page.header("content-type");
        ensure!(kind == Some("application/captive+json"), "{}", page.headers);
        Ok(serde_json::from_str(&page.body)?)
    };
    let alice = house.alice()?;
    let open = captive(&alice, NAME)?;
    ensure!(open.get("captive") == Some(&Value::Bool(false)), "{open}");
    ensure!(open.get("can-extend-session") == Some(&Value::Bool(true)));
    let left = open.get("seconds-remaining").and_then(Value::as_u64);
    ensure!(
        left.is_some_and(|left| (28_700..=28_800).contains(&left)),
        "{open}"
    );
    for shut in [captive(&alice, V6)?, captive(&stranger, NAME)?] {
        ensure!(shut.get("captive") == Some(&Value::Bool(true)), "{shut}");
        ensure!(shut.get("seconds-remaining").is_none(), "{shut}");
    }
    alice.post(&format!("https://{NAME}:8443/access/close"), &[])?;
    let shut = captive(&alice, NAME)?;
    ensure!(shut.get("captive") == Some(&Value::Bool(true)), "{shut}");
    Ok(())
}

/// Logs in over IPv4 with a real browser.
async fn log_in(house: &House, device: Device, language: &str) -> Result<Visit> {
    let names = house.names();
    let names: Vec<(&str, IpAddr)> = names.iter().map(|(name, at)| (*name, at.ip())).collect();
    let visit = browser::open_where(&house.rig, device, language, &names).await?;
    visit.goto(&format!("https://{NAME}:8443/")).await?;
    visit.type_into("username", "alice").await?;
    visit.type_into("password", ALICE_PASSWORD).await?;
    let code = Phone::new(ALICE_SECRET).fresh()?;
    visit.type_into("code", &code).await?;
    visit.submit("/login").await?;
    Ok(visit)
}

fn walk(device: Device, language: &str, said: &str) -> Result<()> {
    let house = House::open()?;
    let client = house.rig.layout.client.clone();
    let driver = browser::driver(&house.rig)?;
    house.web_is(&client, Family::V6, Door::Shut)?;
    browser::at_client(&client, || async {
        let visit = log_in(&house, device, language).await?;
        if visit.runs_scripts() {
            visit.says("[data-cross-said]", said).await?;
        } else {
            house.web_is(&client, Family::V6, Door::Shut)?;
            visit.submit("/cross").await?;
            visit.look("families-1-go").await?;
            let names = [(V6, "arrive"), (NAME, "return")];
            for (name, verb) in names {
                visit
                    .submit(&format!("https://{name}:8443/cross/{verb}"))
                    .await?;
                visit.look(&format!("families-2-{verb}")).await?;
            }
            visit.says("main", said).await?;
        }
        visit.look("families-3-open").await?;
        visit.close().await
    })?;
    house.web_is(&client, Family::V4, Door::Open)?;
    house.web_is(&client, Family::V6, Door::Open)?;
    house.web_is(&house.rig.layout.neighbour, Family::V6, Door::Shut)?;
    drop(driver);
    Ok(())
}

#[test]
fn the_script_opens_the_other_family_by_itself() -> Result<()> {
    walk(Device::Desktop, "en", "IPv6 open: ")
}

#[test]
fn the_script_opens_the_other_family_on_a_phone_in_japanese() -> Result<()> {
    walk(Device::Phone, "ja", "IPv6 も許可しました")
}

#[test]
fn a_browser_without_scripts_opens_the_other_family_by_buttons() -> Result<()> {
    walk(Device::DesktopWithoutScripts, "en", "IPv6 open: ")
}

/// Where a browser does not let the script go there, the button does.
#[test]
fn a_browser_that_asks_first_opens_the_other_family_by_one_button() -> Result<()> {
    let house = House::open()?;
    let client = house.rig.layout.client.clone();
    let driver = browser::driver(&house.rig)?;
    browser::at_client(&client, || async {
        let visit = log_in(&house, Device::DesktopThatAsks, "en").await?;
        visit
            .says("[data-cross-said]", "IPv6 could not be proven")
            .await?;
        house.web_is(&client, Family::V6, Door::Shut)?;
        visit.submit("/cross").await?;
        visit.says("main", "IPv6 open: ").await?;
        visit.close().await
    })?;
    house.web_is(&client, Family::V6, Door::Open)?;
    drop(driver);
    Ok(())
}

/// A machine without IPv6 is told so, and what is open stays open.
#[test]
fn a_family_that_is_not_there_is_said_to_be_unproven() -> Result<()> {
    let house = House::open()?;
    let client = house.rig.layout.client.clone();
    client.sysctl(&[("net.ipv6.conf.all.disable_ipv6", "1")])?;
    let driver = browser::driver(&house.rig)?;
    browser::at_client(&client, || async {
        let visit = log_in(&house, Device::Desktop, "en").await?;
        let said = "IPv6 could not be proven: this browser does not reach the portal";
        visit.says("[data-cross-said]", said).await?;
        visit.look("families-4-unproven").await?;
        visit.close().await
    })?;
    house.web_is(&client, Family::V4, Door::Open)?;
    drop(driver);
    Ok(())
}
