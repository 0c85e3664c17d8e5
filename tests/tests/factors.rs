//! Factors beyond the app on the phone, with real parts: passkeys in Chromium, a hardware token's
//! file and its codes from `oathtool`, recovery codes after a phone is lost.

use std::{fs, net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use tests::{
    Agent, Portal, Rig,
    browser::{self, Device, Visit},
    portal::{ALICE_PASSWORD, ALICE_SECRET, Office, must_refuse, portal_config},
    rig::{Family, must_be_open, must_be_shut, replaced},
};
use xtask::{codes::Phone, command};

const NAME: &str = "access.example.com";

struct House {
    agent: Agent,
    portal: Portal,
    office: Office,
    rig: Rig,
}

impl House {
    fn open(more: &str) -> Result<Self> {
        let rig = Rig::gateway()?;
        rig.serve()?;
        let agent = Agent::start(&rig)?;
        let public = format!("[portal]\npublic_url = \"https://{NAME}:8443\"");
        let config = replaced(&portal_config(&rig), "[portal]", &public)? + more;
        let office = Office::open_with(&rig, &config)?.with_people()?;
        let portal = office.run(&rig)?;
        Ok(Self {
            agent,
            portal,
            office,
            rig,
        })
    }

    fn web(&self) -> SocketAddr {
        self.rig.server(Family::V4, 80)
    }

    fn url(&self, path: &str) -> String {
        format!("https://{NAME}:8443{path}")
    }

    async fn visit(&self, device: Device, language: &str) -> Result<Visit> {
        let [v4, _] = self.rig.layout.portal_endpoints();
        let key = browser::key_of(&self.portal.ca().with_file_name("cert.pem"))?;
        let names = [(NAME, v4.ip())];
        browser::open_trusting(&self.rig, device, language, &names, Some(&key)).await
    }
}

async fn log_in(visit: &Visit, house: &House, phone: &mut Phone) -> Result<()> {
    visit.goto(&house.url("/")).await?;
    visit.type_into("username", "alice").await?;
    visit.type_into("password", ALICE_PASSWORD).await?;
    visit.type_into("code", &phone.fresh()?).await?;
    visit.submit("/login").await?;
    must_be_in(visit).await
}

async fn must_be_in(visit: &Visit) -> Result<()> {
    ensure!(
        visit.path().await? == "/access",
        "not logged in: {}",
        visit.text("main").await?
    );
    Ok(())
}

/// Made after a log-in with the phone; then it logs in alone, beside the password, and as one more
/// proof, and no longer when it is stopped.
fn passkey_walk(device: Device, language: &str) -> Result<()> {
    let house = House::open(
        "[[access]]\nservice = \"web\"\nfactors = [[\"pwd\", \"otp\"], [\"passkey\"]]\n",
    )?;
    let driver = browser::driver(&house.rig)?;
    let client = house.rig.layout.client.clone();
    let (web, echo) = (house.web(), house.rig.server(Family::V4, 7));
    browser::at_client(&client, || async {
        let visit = house.visit(device, language).await?;
        visit.add_authenticator().await?;
        let mut phone = Phone::new(ALICE_SECRET);
        log_in(&visit, &house, &mut phone).await?;
        visit.goto(&house.url("/devices")).await?;
        visit.look("p1-devices").await?;
        visit.type_into("passkey-name", "Laptop").await?;
        visit
            .press("form[action='/devices/passkey'] button")
            .await?;
        visit.look("p2-passkey-made").await?;
        let page = visit.text("main").await?;
        ensure!(page.contains("Laptop"), "no passkey on the page: {page}");
        visit.submit("/logoff").await?;
        must_be_shut(&client, web)?;

        visit.goto(&house.url("/")).await?;
        visit.look("p3-log-in").await?;
        visit.press("[data-passkey-log-in] button").await?;
        must_be_in(&visit).await?;
        must_be_open(&client, web)?;
        must_be_shut(&client, echo).context("echo wants the password, too")?;
        must_be_shut(&house.rig.layout.neighbour, web)?;
        visit.look("p4-one-more-step").await?;
        let field = visit
            .client
            .find(Locator::Css("input[name=password]"))
            .await?;
        field.send_keys(ALICE_PASSWORD).await?;
        visit.submit("/access/prove").await?;
        must_be_open(&client, echo)?;
        visit.submit("/logoff").await?;

        visit.goto(&house.url("/")).await?;
        visit.type_into("username", "alice").await?;
        visit.type_into("password", ALICE_PASSWORD).await?;
        visit.press("[data-passkey-log-in] button").await?;
        must_be_in(&visit).await?;
        must_be_open(&client, echo)?;
        visit.submit("/logoff").await?;

        let list = house
            .office
            .admin_ok(&["--json", "token", "list", "--user", "alice"], "")?;
        let list: serde_json::Value = serde_json::from_str(&list)?;
        let tokens = list.as_array().context("no list")?;
        let passkey = tokens.iter().find(|token| token["kind"] == "passkey");
        let id = passkey
            .and_then(|token| token["id"].as_str())
            .context("no passkey")?;
        house.office.admin_ok(&["token", "suspend", id], "")?;
        visit.goto(&house.url("/")).await?;
        visit.press("[data-passkey-log-in] button").await?;
        ensure!(
            visit.count("[role=alert]").await? == 1,
            "a stopped passkey got in"
        );
        must_be_shut(&client, web)?;
        visit.close().await
    })?;
    ensure!(house.agent.count("Granted")? > 0);
    drop(driver);
    Ok(())
}

#[test]
fn a_passkey_is_made_and_used_on_a_desktop_in_english() -> Result<()> {
    passkey_walk(Device::Desktop, "en")
}

#[test]
fn a_passkey_is_made_and_used_on_a_phone_in_japanese() -> Result<()> {
    passkey_walk(Device::Phone, "ja")
}

/// Printed codes, then the phone is lost: everything shuts, and another phone is set up.
#[test]
fn a_lost_phone_is_stopped_and_another_one_set_up_on_a_phone_in_japanese() -> Result<()> {
    let house = House::open("")?;
    let driver = browser::driver(&house.rig)?;
    let client = house.rig.layout.client.clone();
    let web = house.web();
    browser::at_client(&client, || async {
        let visit = house.visit(Device::Phone, "ja").await?;
        let mut phone = Phone::new(ALICE_SECRET);
        log_in(&visit, &house, &mut phone).await?;
        visit.goto(&house.url("/devices")).await?;
        visit.submit("/devices/recovery").await?;
        visit.look("r1-recovery-codes").await?;
        ensure!(visit.count("ol.codes li").await? == 10);
        let code = visit.text("ol.codes li code").await?;
        must_be_open(&client, web)?;

        visit.goto(&house.url("/lost")).await?;
        visit.look("r2-lost").await?;
        visit.type_into("username", "alice").await?;
        visit.type_into("password", ALICE_PASSWORD).await?;
        visit.type_into("recovery", &code).await?;
        let lost = visit.client.find(Locator::Css("input[value=lost]")).await?;
        lost.click().await?;
        visit.submit("/lost").await?;
        visit.look("r3-stopped").await?;
        must_be_shut(&client, web).context("what the lost phone opened is shut at once")?;
        let mut new = Phone::new(&visit.text("#secret").await?);
        visit.type_into("code", &new.fresh()?).await?;
        visit.submit("/ticket/confirm").await?;
        visit.look("r4-another-phone").await?;

        visit.goto(&house.url("/")).await?;
        visit.type_into("username", "alice").await?;
        visit.type_into("password", ALICE_PASSWORD).await?;
        visit.type_into("code", &phone.fresh()?).await?;
        visit.submit("/login").await?;
        ensure!(visit.path().await? != "/access", "the lost phone got in");
        log_in(&visit, &house, &mut new).await?;
        must_be_open(&client, web)?;
        visit.close().await
    })?;
    drop(driver);
    Ok(())
}

/// A maker's list, a token of it for bob, its codes from `oathtool`, pressed for nothing, out of
/// step, and back.
#[test]
fn a_hardware_token_comes_from_a_file_and_is_brought_back_into_step() -> Result<()> {
    let house = House::open("")?;
    let secret = "3132333435363738393031323334353637383930";
    let file = house.rig.path("tokens.csv");
    fs::write(
        &file,
        format!("serial,secret,type,digits\nHW-1,{secret},hotp,8\nHW-2,nothing,hotp,8\n"),
    )?;
    let file = file.to_string_lossy().into_owned();
    let import = ["hardware", "import", file.as_str(), "--format", "csv"];
    let dry = house.office.admin(&import)?;
    ensure!(!dry.status.success(), "half of the file is wrong");
    let stock = || house.office.admin_ok(&["--json", "hardware", "list"], "");
    ensure!(!stock()?.contains("HW-1"), "imported without --apply");
    let applied = house.office.admin(&[&import[..], &["--apply"]].concat())?;
    let said = String::from_utf8_lossy(&applied.stdout).into_owned();
    ensure!(
        !applied.status.success() && said.contains("hexadecimal"),
        "{said}"
    );
    ensure!(!said.contains(secret), "a secret is printed");
    ensure!(stock()?.contains("HW-1"));
    house
        .office
        .admin_ok(&["hardware", "assign", "HW-1", "--user", "alice"], "")?;
    ensure!(!stock()?.contains("HW-1"));

    let code = |counter: u32| -> Result<String> {
        let mut oathtool = Command::new("oathtool");
        oathtool.args([
            "--hotp",
            "--digits=8",
            "--counter",
            &counter.to_string(),
            "-",
        ]);
        Ok(command::piped(&mut oathtool, secret)?.trim().to_owned())
    };
    let client = &house.rig.layout.client;
    let alice = house.portal.browser(client, "alice");
    let page = house
        .portal
        .log_in(&alice, "alice", ALICE_PASSWORD, &code(3)?)?;
    ensure!(
        page.status == 303,
        "pressed for nothing a few times: {}",
        page.body
    );
    must_be_open(client, house.web())?;
    alice.post(&format!("{}/logoff", house.portal.url()), &[])?;
    must_refuse(
        &house
            .portal
            .log_in(&alice, "alice", ALICE_PASSWORD, &code(3)?)?,
        401,
    )?;
    must_refuse(
        &house
            .portal
            .log_in(&alice, "alice", ALICE_PASSWORD, &code(90)?)?,
        401,
    )?;
    let (first, next) = (code(90)?, code(91)?);
    let form = [
        ("username", "alice"),
        ("password", ALICE_PASSWORD),
        ("code", first.as_str()),
        ("next", next.as_str()),
    ];
    let page = alice.post(&format!("{}/resync", house.portal.url()), &form)?;
    ensure!(page.status == 200, "{}", page.body);
    must_be_shut(client, house.web())?;
    let page = house
        .portal
        .log_in(&alice, "alice", ALICE_PASSWORD, &code(92)?)?;
    ensure!(page.status == 303, "{}", page.body);
    must_be_open(client, house.web())?;

    let list = house
        .office
        .admin_ok(&["--json", "token", "list", "--user", "alice"], "")?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let tokens = list.as_array().context("no list")?;
    let hardware = tokens.iter().find(|token| token["serial"] == "HW-1");
    let id = hardware
        .and_then(|token| token["id"].as_str())
        .context("no hardware token")?;
    let pair = format!("{}\n{}", code(300)?, code(301)?);
    house.office.admin_ok(&["token", "resync", id], &pair)?;
    alice.post(&format!("{}/logoff", house.portal.url()), &[])?;
    let page = house
        .portal
        .log_in(&alice, "alice", ALICE_PASSWORD, &code(302)?)?;
    ensure!(page.status == 303, "{}", page.body);
    // Every secret is sealed anew, those in stock, too.
    house.office.admin_ok(&["key", "rotate"], "")?;
    alice.post(&format!("{}/logoff", house.portal.url()), &[])?;
    let page = house
        .portal
        .log_in(&alice, "alice", ALICE_PASSWORD, &code(303)?)?;
    ensure!(page.status == 303, "{}", page.body);
    Ok(())
}

/// Approved for one service and one network, with the password alone; ended before its time, it is
/// shut at once, and the record of it stays.
#[test]
fn an_exception_opens_one_service_from_one_network_and_ends() -> Result<()> {
    let house = House::open("")?;
    let (client, neighbour) = (&house.rig.layout.client, &house.rig.layout.neighbour);
    let (web, echo) = (house.web(), house.rig.server(Family::V4, 7));
    let source = house.rig.source(Family::V4).to_string();
    let add = |more: &[&str]| {
        let fixed = ["exception", "add", "--user", "alice", "--service", "web"];
        let why = [
            "--reason",
            "her phone is being repaired",
            "--approver",
            "carol",
        ];
        house.office.admin(&[&fixed[..], &why[..], more].concat())
    };
    for bad in [
        &["--from", &source][..],
        &["--for", "8h"],
        &["--from", "nowhere", "--for", "8h"],
        &["--from", &source, "--for", "400d"],
        &["--from", &source, "--until", "2001-01-01T00:00Z"],
    ] {
        let said = add(bad)?;
        ensure!(!said.status.success(), "{bad:?} was taken");
        ensure!(!said.stderr.is_empty(), "{bad:?} without a word");
    }
    let alice = house.portal.browser(client, "alice");
    let log_in = || house.portal.log_in(&alice, "alice", ALICE_PASSWORD, "");
    must_refuse(&log_in()?, 401)?;
    must_be_shut(client, web)?;

    let made = add(&["--from", &source, "--for", "8h"])?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let elsewhere = house.portal.browser(neighbour, "elsewhere");
    must_refuse(
        &house
            .portal
            .log_in(&elsewhere, "alice", ALICE_PASSWORD, "")?,
        401,
    )?;
    must_be_shut(neighbour, web)?;
    let page = log_in()?;
    ensure!(page.status == 303, "{}", page.body);
    must_be_open(client, web)?;
    must_be_shut(client, echo)?;

    let list = house
        .office
        .admin_ok(&["--json", "exception", "list"], "")?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let id = list
        .pointer("/0/id")
        .and_then(|id| id.as_str())
        .context("no id")?;
    house.office.admin_ok(&["exception", "end", id], "")?;
    must_be_shut(client, web).context("ended before its time")?;
    let page = alice.get(&format!("{}/access", house.portal.url()))?;
    ensure!(page.status == 303, "the log-in that stood on it goes on");
    let report = house
        .office
        .admin_ok(&["report", "exceptions", "--format", "csv"], "")?;
    ensure!(
        report.contains("carol") && report.contains("over"),
        "{report}"
    );
    Ok(())
}
