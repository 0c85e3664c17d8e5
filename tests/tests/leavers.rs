//! Who leaves the directory loses what is open within the interval, on real packets; who leaves a
//! group loses what the group opened and nothing else.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tests::{
    Agent, Portal, Rig,
    portal::{ALICE_SECRET, BOB_SECRET, Office, portal_config},
    rig::{Family, SHUT, must_be_open, must_be_shut, replaced},
    slapd::{ALICE_PASSWORD, BASE, BOB_PASSWORD, Certificates, Slapd},
    tools::both,
};
use xtask::{clock, codes::Phone};

/// The shortest there is.
const EVERY: Duration = Duration::from_secs(5);
/// What a round, the closing and this test's own looking may take.
const MORE: Duration = Duration::from_secs(2);

struct House {
    slapd: Slapd,
    office: Office,
    portal: Portal,
    agent: Agent,
    rig: Rig,
}

impl House {
    fn open() -> Result<Self> {
        let rig = Rig::gateway()?;
        rig.serve()?;
        let agent = Agent::start(&rig)?;
        let certificates = Certificates::make(&rig.path("tls"), "IP:127.0.0.1")?;
        let gate = Some(&rig.layout.gate);
        let overlay = "overlay ppolicy\n";
        let slapd = Slapd::start_with(&rig.path("slapd"), &certificates, gate, "", overlay)?;
        let local = format!(
            "kind = \"local\"\nfile = \"{}/portal/users.toml\"\n",
            rig.folder().display()
        );
        let directory = slapd.config(&certificates)? + "watch = \"5s\"\n";
        let config = replaced(&portal_config(&rig), &local, &directory)?;
        let office = Office::open_with(&rig, &config)?;
        office.token("alice", ALICE_SECRET)?;
        office.token("bob", BOB_SECRET)?;
        let portal = office.run(&rig)?;
        Ok(Self {
            slapd,
            office,
            portal,
            agent,
            rig,
        })
    }

    /// Logs somebody in at the client.
    fn enter(&self, name: &str, password: &str, secret: &str) -> Result<()> {
        let browser = self.portal.browser(&self.rig.layout.client, name);
        let code = Phone::new(secret).fresh()?;
        let page = self.portal.log_in(&browser, name, password, &code)?;
        ensure!(page.status == 303, "{}", page.body);
        Ok(())
    }

    /// How long the door to a port stays open from now.
    fn shuts(&self, port: u16, since: Instant) -> Result<Duration> {
        let (client, to) = (&self.rig.layout.client, self.rig.server(Family::V4, port));
        loop {
            let asked = since.elapsed();
            if client.connect(to, SHUT)?.is_err() {
                return Ok(asked);
            }
            if asked > EVERY * 4 {
                bail!("{to} stays open");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn status(&self) -> Result<Value> {
        let output = self.office.admin(&["--json", "directory", "status"])?;
        serde_json::from_slice(&output.stdout).context("no JSON")
    }
}

#[test]
fn a_disabled_person_loses_running_access_within_the_interval_and_two_seconds() -> Result<()> {
    let house = House::open()?;
    let (client, web) = (&house.rig.layout.client, house.rig.server(Family::V4, 80));
    must_be_shut(client, web)?;
    house.enter("alice", ALICE_PASSWORD, ALICE_SECRET)?;
    must_be_open(client, web)?;
    let since = clock::instant();
    house.slapd.change(&format!(
        "dn: uid=alice,ou=people,{BASE}\nchangetype: modify\n\
         replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    ))?;
    let took = house.shuts(80, since)?;
    eprintln!("disabled to shut: {took:?}");
    ensure!(took <= EVERY + MORE, "it took {took:?}");
    let audit = house.agent.cli_ok(&["audit"])?;
    ensure!(audit.contains("leaver"), "{audit}");
    let tokens = house.office.admin_ok(&["token", "list"], "")?;
    ensure!(tokens.contains("suspended"), "{tokens}");
    let status = house.status()?;
    ensure!(status["condition"] == "fine", "{status}");
    ensure!(
        status["age_seconds"].as_i64().is_some_and(|age| age <= 6),
        "{status}"
    );
    // Not by another code, either.
    let browser = house.portal.browser(client, "again");
    let code = Phone::new(ALICE_SECRET).fresh()?;
    let page = house
        .portal
        .log_in(&browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(page.status == 401, "{}", page.body);
    must_be_shut(client, web)
}

#[test]
fn out_of_a_group_its_service_closes_and_the_rest_stays_open() -> Result<()> {
    let house = House::open()?;
    let (client, web) = (&house.rig.layout.client, house.rig.server(Family::V4, 80));
    house.enter("bob", BOB_PASSWORD, BOB_SECRET)?;
    must_be_open(client, web)?;
    must_be_open(client, house.rig.server(Family::V4, 22))?;
    let since = clock::instant();
    house.slapd.change(&format!(
        "dn: cn=admins,ou=groups,{BASE}\nchangetype: modify\n\
         replace: member\nmember: uid=alice,ou=people,{BASE}\n"
    ))?;
    let took = house.shuts(22, since)?;
    eprintln!("out of the group to shut: {took:?}");
    ensure!(took <= EVERY + MORE, "it took {took:?}");
    must_be_open(client, web)?;
    let audit = house.agent.cli_ok(&["audit"])?;
    ensure!(audit.contains("left-group"), "{audit}");
    Ok(())
}

#[test]
fn a_directory_that_is_down_ends_nothing_and_a_sweep_by_hand_says_so() -> Result<()> {
    let house = House::open()?;
    let (client, web) = (&house.rig.layout.client, house.rig.server(Family::V4, 80));
    house.enter("alice", ALICE_PASSWORD, ALICE_SECRET)?;
    house.enter("bob", BOB_PASSWORD, BOB_SECRET)?;
    // Both at once are everybody: held back.
    house.slapd.change(&format!(
        "dn: uid=alice,ou=people,{BASE}\nchangetype: delete\n\n\
         dn: uid=bob,ou=people,{BASE}\nchangetype: delete\n"
    ))?;
    thread::sleep(EVERY + MORE);
    must_be_open(client, web)?;
    ensure!(
        house.status()?["condition"] == "leavers-held",
        "{}",
        house.status()?
    );
    let health = house.portal.browser(&house.rig.layout.gate, "health");
    let health = health.get(&format!("{}/health", house.portal.url()))?;
    ensure!(
        health.body.contains("warning: leavers-held"),
        "{}",
        health.body
    );
    let dry = house.office.admin(&["directory", "sweep", "--dry-run"])?;
    let dry = String::from_utf8_lossy(&dry.stdout).into_owned();
    ensure!(dry.contains("alice: left, deleted"), "{dry}");
    must_be_open(client, web)?;
    let House {
        slapd,
        office,
        portal,
        agent,
        rig,
    } = house;
    let sweep = office.admin(&["directory", "sweep", "--force"])?;
    ensure!(sweep.status.success(), "{}", both(&sweep));
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 80))?;
    slapd.stop()?;
    let sweep = office.admin(&["directory", "sweep"])?;
    let said = both(&sweep);
    ensure!(!sweep.status.success(), "{said}");
    ensure!(said.contains("nothing ended"), "{said}");
    drop((portal, agent));
    Ok(())
}
