//! The help desk with real parts: a desk person in Chromium stops a lost phone whose access is open,
//! the ticket leads to another one, and the person is told by mail; a second person approves; nobody
//! else gets in.

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fantoccini::Locator;
use tests::{
    Agent, Portal, Rig,
    browser::{self, Device, Visit},
    portal::{ALICE_PASSWORD, ALICE_SECRET, BOB_SECRET, Office, portal_config},
    rig::{Family, must_be_open, must_be_shut},
    slapd::Certificates,
    smtp::{PASSWORD, Sink, USER},
};
use xtask::{
    codes::Phone,
    curl::{Browser, Page},
};

const ALICE: &str = "alice@example.org";
const DESK_PASSWORD: &str = "nine tired otters";
const ERIN_SECRET: &str = "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK";
const DAVE_SECRET: &str = "NBSWY3DPO5XXE3DENBSWY3DPO5XXE3DE";
const PATIENCE: Duration = Duration::from_secs(20);

/// Alice of staff, carol who carries out cases, dave who approves, erin who audits.
struct House {
    agent: Agent,
    office: Office,
    portal: Portal,
    sink: Sink,
    rig: Rig,
}

impl House {
    fn open(more: &str) -> Result<Self> {
        let rig = Rig::gateway()?;
        rig.serve()?;
        let certificates = Certificates::make(&rig.path("mail-tls"), "IP:127.0.0.1")?;
        let sink = Sink::start(&rig.layout.gate, &certificates)?;
        let secret = rig.path("mail.password");
        fs::write(&secret, format!("{PASSWORD}\n"))?;
        let config = format!(
            "{}\n[mail]\nserver = {:?}\nca = {:?}\nfrom = \"Access <access@example.org>\"\n\
             user = {USER:?}\npassword_file = {secret:?}\n\
             [desk]\nhelpdesk_groups = [\"it-desk\"]\napprover_groups = [\"leads\"]\n\
             auditor_groups = [\"audit\"]\nfrom = [\"{}\"]\n{more}\n",
            portal_config(&rig),
            sink.address(),
            certificates.ca,
            ipnet(&rig),
        );
        let agent = Agent::start(&rig)?;
        let office = Office::open_with(&rig, &config)?;
        let add = ["user", "add", "alice", "--group", "staff", "--mail", ALICE];
        office.admin_ok(&add, ALICE_PASSWORD)?;
        office.token("alice", ALICE_SECRET)?;
        for (name, group, secret) in [
            ("carol", "it-desk", BOB_SECRET),
            ("dave", "leads", DAVE_SECRET),
            ("erin", "audit", ERIN_SECRET),
        ] {
            office.user(name, group, DESK_PASSWORD)?;
            office.token(name, secret)?;
        }
        let portal = office.run(&rig)?;
        Ok(Self {
            agent,
            office,
            portal,
            sink,
            rig,
        })
    }

    fn web(&self) -> SocketAddr {
        self.rig.server(Family::V4, 80)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.portal.url())
    }

    /// Alice, at the neighbour's place.
    fn alice(&self) -> Browser {
        self.portal.browser(&self.rig.layout.neighbour, "alice")
    }

    fn alice_logs_in(&self, phone: &mut Phone) -> Result<Page> {
        let code = phone.fresh()?;
        self.portal
            .log_in(&self.alice(), "alice", ALICE_PASSWORD, &code)
    }

    /// Somebody of the desk, logged in at the client without a window.
    fn officer(&self, name: &str, secret: &str) -> Result<Browser> {
        let browser = self.portal.browser(&self.rig.layout.client, name);
        let code = Phone::new(secret).fresh()?;
        let page = self.portal.log_in(&browser, name, DESK_PASSWORD, &code)?;
        ensure!(page.status == 303, "{name}: {}", page.body);
        Ok(browser)
    }

    /// Sets another phone up with a ticket.
    fn redeem(&self, ticket: &str) -> Result<Phone> {
        let alice = self.alice();
        let form = [
            ("ticket", ticket),
            ("username", "alice"),
            ("password", ALICE_PASSWORD),
        ];
        let page = alice.post(&self.url("/ticket"), &form)?;
        let secret = between(&page.body, "<code id=\"secret\">", "</code>")?;
        let token = between(&page.body, "name=\"token\" value=\"", "\"")?;
        let mut phone = Phone::new(secret);
        let code = phone.fresh()?;
        let form = [("token", token), ("code", &*code), ("name", "New phone")];
        let done = alice.post(&self.url("/ticket/confirm"), &form)?;
        ensure!(done.status == 200, "{}", done.body);
        Ok(phone)
    }
}

fn ipnet(rig: &Rig) -> String {
    format!("{}/32", rig.source(Family::V4))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Result<&'a str> {
    let rest = text.split(before).nth(1);
    let found = rest.and_then(|rest| rest.split(after).next());
    found.with_context(|| format!("no {before:?} in\n{text}"))
}

async fn carol_logs_in(visit: &Visit, house: &House) -> Result<()> {
    visit.goto(&house.url("/")).await?;
    visit.type_into("username", "carol").await?;
    visit.type_into("password", DESK_PASSWORD).await?;
    let code = Phone::new(BOB_SECRET).fresh()?;
    visit.type_into("code", &code).await?;
    visit.submit("/login").await?;
    ensure!(
        visit.path().await? == "/access",
        "{}",
        visit.text("main").await?
    );
    Ok(())
}

async fn click(visit: &Visit, selector: &str) -> Result<()> {
    let found = visit.client.find(Locator::Css(selector)).await;
    found
        .with_context(|| format!("no {selector}"))?
        .click()
        .await?;
    Ok(())
}

/// From the search to the ticket's code.
async fn lost_phone(visit: &Visit, house: &House) -> Result<String> {
    visit.goto(&house.url("/desk")).await?;
    visit.look("desk-1-home").await?;
    visit.type_into("user", "ali").await?;
    visit.submit("/desk/find").await?;
    ensure!(visit.path().await? == "/desk/person");
    visit.look("desk-2-person").await?;
    let page = visit.text("main").await?;
    let source = house.rig.neighbour_source(Family::V4).to_string();
    ensure!(page.contains("web") && page.contains(&source), "{page}");
    click(visit, "#case-lost summary").await?;
    click(visit, "#case-lost input[name=evidence]").await?;
    visit.type_into("note-lost", "came to the counter").await?;
    visit.look("desk-3-lost").await?;
    must_be_open(&house.rig.layout.neighbour, house.web())?;
    visit.press("#case-lost form button").await?;
    visit.look("desk-4-ticket").await?;
    must_be_shut(&house.rig.layout.neighbour, house.web()).context("shut at once")?;
    visit.text("#ticket-code").await
}

fn walk(language: &str) -> Result<()> {
    let house = House::open("")?;
    let driver = browser::driver(&house.rig)?;
    let client = house.rig.layout.client.clone();
    let neighbour = &house.rig.layout.neighbour;
    let mut phone = Phone::new(ALICE_SECRET);
    let page = house.alice_logs_in(&mut phone)?;
    ensure!(page.status == 303, "{}", page.body);
    must_be_open(neighbour, house.web())?;
    must_be_shut(&client, house.web())?;
    browser::at_client(&client, || async {
        let visit = browser::open(&house.rig, Device::Desktop, language).await?;
        carol_logs_in(&visit, &house).await?;
        let code = lost_phone(&visit, &house).await?;
        let letter = house
            .sink
            .wait_for(ALICE, "The desk did something", PATIENCE)?;
        ensure!(letter.body.contains("suspended"), "{}", letter.body);
        ensure!(!letter.whole().contains(&code), "a code in a mail");

        let old = house.alice_logs_in(&mut phone)?;
        ensure!(old.status == 401, "the lost phone got in");
        let mut new = house.redeem(&code)?;
        must_be_shut(neighbour, house.web()).context("enrolment opens nothing")?;
        let page = house.alice_logs_in(&mut new)?;
        ensure!(page.status == 303, "{}", page.body);
        must_be_open(neighbour, house.web())?;
        must_be_shut(&client, house.web())?;

        visit.goto(&house.url("/desk/figures")).await?;
        visit.look("desk-5-figures").await?;
        ensure!(visit.count("svg[role=img] rect").await? > 0, "no picture");
        visit.goto(&house.url("/desk")).await?;
        visit.look("desk-6-cases").await?;
        visit.close().await
    })?;
    drop(driver);
    let report = ["report", "recoveries", "--format", "json"];
    let report: serde_json::Value = serde_json::from_str(&house.office.admin_ok(&report, "")?)?;
    let case = report.get(0).context("no case")?;
    ensure!(case["stopped_after_seconds"] == 0, "{report}");
    ensure!(case["enrolled_after_seconds"].is_number(), "{report}");
    let audit = house.agent.cli_ok(&["--json", "audit"])?;
    for word in ["case-opened", "desk-stopped", "by carol", "seen in person"] {
        ensure!(audit.contains(word), "no {word:?} in the audit:\n{audit}");
    }
    Ok(())
}

#[test]
fn the_desk_stops_a_lost_phone_and_a_ticket_leads_to_another_in_english() -> Result<()> {
    walk("en")
}

#[test]
fn the_desk_stops_a_lost_phone_and_a_ticket_leads_to_another_in_japanese() -> Result<()> {
    walk("ja")
}

#[test]
fn a_second_person_approves_and_nobody_else_does_anything() -> Result<()> {
    let house =
        House::open("second_approver = [\"ticket\"]\napprover_mail = [\"leads@example.org\"]")?;
    let neighbour = &house.rig.layout.neighbour;
    let mut phone = Phone::new(ALICE_SECRET);
    ensure!(house.alice_logs_in(&mut phone)?.status == 303);
    must_be_open(neighbour, house.web())?;
    let erin = house.officer("erin", ERIN_SECRET)?;
    let dave = house.officer("dave", DAVE_SECRET)?;
    let carol = house.officer("carol", BOB_SECRET)?;
    let form = [
        ("case", "lost"),
        ("user", "alice"),
        ("evidence", "manager vouched"),
        ("note", "her manager is here"),
    ];
    let open = house.url("/desk/open");
    for (who, browser, status) in [
        ("alice", house.alice(), 404),
        ("erin", erin, 403),
        ("dave", dave, 403),
    ] {
        let page = browser.post(&open, &form)?;
        ensure!(
            page.status == status,
            "{who}: {} {}",
            page.status,
            page.body
        );
    }
    must_be_open(neighbour, house.web()).context("nothing was done")?;
    let page = carol.post(&open, &form)?;
    ensure!(page.status == 303, "{}", page.body);
    must_be_shut(neighbour, house.web()).context("what stops waits for nobody")?;
    let leads = "leads@example.org";
    let letter = house
        .sink
        .wait_for(leads, "waits for a second person", PATIENCE)?;
    ensure!(
        letter.body.contains("/desk/case?id=c") && letter.body.contains("carol"),
        "{}",
        letter.body
    );
    ensure!(
        !letter.whole().contains("her manager is here"),
        "the note stays at the desk: {}",
        letter.whole()
    );

    let waiting = house
        .office
        .admin_ok(&["--json", "case", "list", "--open"], "")?;
    let waiting: serde_json::Value = serde_json::from_str(&waiting)?;
    let case = waiting[0]["id"].as_str().context("no case")?;
    let note = [("id", case), ("note", "I know her manager")];
    let own = carol.post(&house.url("/desk/approve"), &note)?;
    ensure!(own.status == 403, "{}", own.body);
    let early = carol.post(&house.url("/desk/take"), &note)?;
    ensure!(early.status == 409, "{}", early.body);
    let dave = house.portal.browser(&house.rig.layout.client, "dave");
    let approved = dave.post(&house.url("/desk/approve"), &note)?;
    ensure!(approved.status == 303, "{}", approved.body);
    let taken = carol.post(&house.url("/desk/take"), &note)?;
    let code = between(&taken.body, "<code id=\"ticket-code\">", "</code>")?;
    let mut new = house.redeem(code)?;
    ensure!(house.alice_logs_in(&mut new)?.status == 303);
    must_be_open(neighbour, house.web())?;

    let away = house.portal.browser(neighbour, "carol");
    let page = away.get(&house.url("/desk"))?;
    ensure!(page.status == 403, "from another network: {}", page.status);
    let log = house.portal.daemon.log();
    ensure!(!log.contains(code), "a ticket's code in the log");
    Ok(())
}
