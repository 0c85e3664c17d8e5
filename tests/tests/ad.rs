//! The portal against a directory that answers as Active Directory does: what is found and what is
//! not, what is said of a refused password, what a log-in may cost, and how long a dead or slow
//! server holds people up.

use std::{
    net::{Ipv4Addr, TcpListener},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{
    fake_ad::{FakeAd, House},
    lookup::{Said, Scratch},
    portal::{ALICE_SECRET, BOB_SECRET, must_refuse},
    rig::{Family, must_be_open, must_be_shut},
    slapd::free_port,
};
use xtask::codes::Phone;

const ALICE: &str = "correct horse";
const BOB: &str = "battery staple";

/// One fake, asked through `sekisho-portal directory test`.
struct Desk {
    scratch: Scratch,
    ad: FakeAd,
}

impl Desk {
    fn open() -> Result<Self> {
        let scratch = Scratch::open()?;
        let ad = FakeAd::start(&scratch.certificates, None)?;
        Ok(Self { scratch, ad })
    }

    fn ask_at(&self, urls: &[String], more: &str, user: &str, password: &str) -> Result<Said> {
        let (folder, certificates) = (self.scratch.folder(), &self.scratch.certificates);
        let directory = self.ad.config(folder, certificates, urls)? + more;
        self.scratch.ask(&directory, user, password)
    }

    fn ask(&self, more: &str, user: &str, password: &str) -> Result<Value> {
        self.ask_at(&[self.ad.ldaps()], more, user, password)?
            .json()
    }

    /// What is said when there is no answer.
    fn unavailable(&self, user: &str) -> Result<String> {
        let said = self.ask_at(&[self.ad.ldaps()], "", user, ALICE)?;
        ensure!(said.took < Duration::from_secs(15), "took {:?}", said.took);
        said.is_unavailable()
    }
}

#[test]
fn a_person_is_found_by_both_names_with_guid_and_nested_groups() -> Result<()> {
    let desk = Desk::open()?;
    for name in ["alice", "ALICE", "alice@example.org"] {
        let said = desk.ask("", name, ALICE)?;
        ensure!(
            said["password"] == "right" && said["name"] == "alice",
            "{said}"
        );
        ensure!(said["groups"] == json!(["staff", "team"]), "nested: {said}");
        let id = said["id"].as_str().unwrap_or_default();
        ensure!(id == "ldap:e2e3e0e1-e4e5-e6e7-e9e8-ebeaedecefee", "{id}");
    }
    let walked = desk.ask("nested = \"walk\"\n", "alice", ALICE)?;
    ensure!(walked["groups"] == json!(["staff", "team"]), "{walked}");
    let direct = desk.ask("nested = \"none\"\n", "alice", ALICE)?;
    ensure!(direct["groups"] == json!(["team"]), "{direct}");
    Ok(())
}

#[test]
fn each_sub_code_is_called_by_its_name() -> Result<()> {
    let desk = Desk::open()?;
    let computed = "msDS-User-Account-Control-Computed";
    for (attribute, value, usual, word, state) in [
        (
            "userAccountControl",
            "514",
            "512",
            "ad-533-disabled",
            "disabled",
        ),
        (
            "accountExpires",
            "1",
            "0",
            "ad-701-account-expired",
            "expired",
        ),
        (computed, "16", "0", "ad-775-locked-out", "locked"),
        (
            "pwdLastSet",
            "0",
            "1",
            "ad-773-must-change",
            "must-change-password",
        ),
        (
            computed,
            "8388608",
            "0",
            "ad-532-password-expired",
            "must-change-password",
        ),
    ] {
        desk.ad.change(|forest| {
            forest.alter("alice", |alice| {
                alice.set(attribute, &[value]);
            });
        });
        let said = desk.ask("", "alice", ALICE)?;
        ensure!(said["password"] == word, "{attribute}: {said}");
        ensure!(said["state"] == state, "{attribute}: {said}");
        desk.ad.change(|forest| {
            forest.alter("alice", |alice| {
                alice.set(attribute, &[usual]);
            });
        });
    }
    let wrong = desk.ask("", "alice", "Correct horse")?;
    ensure!(wrong["password"] == "ad-52e-wrong-password", "{wrong}");
    Ok(())
}

#[test]
fn long_attributes_are_fetched_to_the_end_and_no_further() -> Result<()> {
    let desk = Desk::open()?;
    desk.ad.change(|forest| {
        for n in 0..95 {
            forest.add_group(
                &format!("g{n:02}"),
                &["CN=alice,OU=People,DC=example,DC=org"],
            );
        }
    });
    desk.ad.play(|tricks| tricks.piece = 10);
    let said = desk.ask(
        "nested = \"none\"\ngroup_filter = \"(cn={dn})\"\n",
        "alice",
        ALICE,
    )?;
    let groups = said["groups"].as_array().map_or(0, Vec::len);
    ensure!(groups == 96, "{groups} groups");
    desk.ad.play(|tricks| tricks.endless = true);
    desk.unavailable("alice")?;
    Ok(())
}

#[test]
fn referrals_are_never_followed() -> Result<()> {
    let desk = Desk::open()?;
    let trap = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = trap.local_addr()?.port();
    let url = format!("ldap://127.0.0.1:{port}/DC=DomainDnsZones,DC=example,DC=org");
    desk.ad.play(|tricks| tricks.referral = Some(url));
    let said = desk.ask("", "alice", ALICE)?;
    ensure!(said["password"] == "right", "{said}");
    trap.set_nonblocking(true)?;
    ensure!(trap.accept().is_err(), "a referral was followed");
    desk.ad.play(|tricks| tricks.only_referral = true);
    let text = desk.unavailable("alice")?;
    ensure!(text.contains("referral"), "{text}");
    Ok(())
}

#[test]
fn a_server_that_wants_stronger_connections_is_told_to_the_operator() -> Result<()> {
    let desk = Desk::open()?;
    desk.ad.play(|tricks| tricks.saw_no_tls = true);
    let text = desk.unavailable("alice")?;
    for word in ["strongerAuthRequired", "ldaps://", "3269", "starttls"] {
        ensure!(text.contains(word), "{text}");
    }
    Ok(())
}

#[test]
fn the_global_catalog_is_enough_for_a_log_in() -> Result<()> {
    let desk = Desk::open()?;
    let catalog = [desk.ad.global_catalog()];
    let said = desk.ask_at(&catalog, "", "bob", BOB)?.json()?;
    ensure!(
        said["password"] == "right" && said["state"] == "active",
        "{said}"
    );
    ensure!(
        said["groups"] == json!(["admins", "staff", "team"]),
        "{said}"
    );
    // What the catalog does not hold is told by the bind.
    desk.ad.change(|forest| {
        forest.alter("bob", |bob| {
            bob.set("accountExpires", &["1"]);
        });
    });
    let said = desk.ask_at(&catalog, "", "bob", BOB)?.json()?;
    ensure!(said["password"] == "ad-701-account-expired", "{said}");
    Ok(())
}

#[test]
fn answers_that_lie_are_no_answers() -> Result<()> {
    let desk = Desk::open()?;
    for garbage in [
        &b"this is not LDAP at all, but quite long for what it says\n"[..],
        b"\x30\x84\xff\xff\xff\xff\x02\x01\x01",
        b"\x30\x0c\x02\x01\x02\x64\x07\x04\x00\x30\x03\x30\x01\x04",
        b"\x30\x80\x02\x01\x02\x00\x00",
    ] {
        desk.ad.play(|tricks| tricks.garbage = garbage.to_vec());
        desk.unavailable("alice")
            .with_context(|| format!("{garbage:x?}"))?;
    }
    desk.ad.play(|tricks| tricks.garbage.clear());
    desk.ad.play(|tricks| tricks.copies = 1_000);
    let said = desk.ask("", "alice", ALICE)?;
    ensure!(said["found"] == false, "a thousand entries for one: {said}");
    desk.ad.play(|tricks| tricks.copies = 0);
    desk.ad
        .change(|forest| forest.alter("alice", |alice| alice.remove("objectGUID")));
    let text = desk.unavailable("alice")?;
    ensure!(text.contains("has no objectGUID"), "{text}");
    ensure!(desk.ad.binds_of("alice") == 0, "no bind on a lie");
    Ok(())
}

/// A portal that finds its people under LDAPS.
fn house(more: &str) -> Result<House> {
    House::open(|ad| Ok(vec![ad.ldaps()]), more)
}

#[test]
fn from_log_in_to_an_open_door_with_one_bind_and_none_for_a_wrong_code() -> Result<()> {
    let house = House::open(
        |ad| {
            Ok(vec![
                format!("ldaps://127.0.0.1:{}", free_port()?),
                ad.ldaps(),
            ])
        },
        "",
    )?;
    let (client, web) = (&house.rig.layout.client, house.rig.server(Family::V4, 80));
    let browser = house.portal.browser(client, "alice");
    let mut phone = Phone::new(ALICE_SECRET);
    must_be_shut(client, web)?;
    for _ in 0..4 {
        let code = phone.wrong()?;
        let page = house.portal.log_in(&browser, "alice", ALICE, &code)?;
        must_refuse(&page, 401)?;
    }
    ensure!(
        house.ad.binds_of("alice") == 0,
        "a wrong code costs no bind"
    );
    let code = phone.fresh()?;
    let page = house.portal.log_in(&browser, "alice", ALICE, &code)?;
    ensure!(page.status == 303, "{}", page.body);
    ensure!(house.ad.binds_of("alice") == 1, "one log-in, one bind");
    // Staff by way of team.
    must_be_open(client, web)?;
    must_be_shut(&house.rig.layout.neighbour, web)?;
    must_be_shut(client, house.rig.server(Family::V4, 22))
}

#[test]
fn must_change_is_told_after_the_code_and_in_the_persons_language() -> Result<()> {
    let house = house("")?;
    house.ad.change(|forest| {
        forest.alter("alice", |alice| {
            alice.set("pwdLastSet", &["0"]);
        });
    });
    let browser = house.portal.browser(&house.rig.layout.client, "alice");
    let mut phone = Phone::new(ALICE_SECRET);
    let code = phone.wrong()?;
    let page = house.portal.log_in(&browser, "alice", ALICE, &code)?;
    must_refuse(&page, 401)?;
    ensure!(!page.body.contains("must be changed"), "{}", page.body);
    let code = phone.fresh()?;
    let page = house.portal.log_in(&browser, "alice", ALICE, &code)?;
    ensure!(page.body.contains("must be changed"), "{}", page.body);
    must_be_shut(&house.rig.layout.client, house.rig.server(Family::V4, 80))
}

#[test]
fn a_bind_that_hangs_holds_up_nobody_else() -> Result<()> {
    let house = house("connections = 2\n")?;
    let client = &house.rig.layout.client;
    house.ad.stall("alice");
    let (mut hers, mut his) = (Phone::new(ALICE_SECRET), Phone::new(BOB_SECRET));
    let (alices, bobs) = (hers.fresh()?, his.fresh()?);
    thread::scope(|scope| -> Result<()> {
        let stuck = scope.spawn(|| {
            let browser = house.portal.browser(client, "alice");
            house.portal.log_in(&browser, "alice", ALICE, &alices)
        });
        thread::sleep(Duration::from_millis(500));
        ensure!(house.ad.binds_of("alice") == 1, "hers hangs");
        let browser = house.portal.browser(client, "bob");
        let page = house.portal.log_in(&browser, "bob", BOB, &bobs)?;
        ensure!(page.status == 303, "{}", page.body);
        ensure!(
            page.took < Duration::from_millis(1500),
            "took {:?}",
            page.took
        );
        let page = stuck.join().map_err(|_| anyhow::anyhow!("a panic"))??;
        must_refuse(&page, 503)?;
        ensure!(page.took < Duration::from_secs(8), "took {:?}", page.took);
        Ok(())
    })
}

#[test]
fn a_dead_server_costs_its_time_once_and_not_each_log_in() -> Result<()> {
    let house = house("")?;
    let browser = house.portal.browser(&house.rig.layout.client, "alice");
    house.ad.play(|tricks| tricks.silent = true);
    let phone = Phone::new(ALICE_SECRET);
    let ask = || -> Result<Duration> {
        let code = phone.wrong()?;
        let page = house.portal.log_in(&browser, "alice", ALICE, &code)?;
        must_refuse(&page, 503)?;
        Ok(page.took)
    };
    let first = ask()?;
    ensure!(first < Duration::from_secs(10), "took {first:?}");
    let again = ask()?.min(ask()?);
    ensure!(again < Duration::from_secs(1), "took {again:?} again");
    house.ad.play(|tricks| tricks.silent = false);
    thread::sleep(Duration::from_secs(6));
    let code = phone.wrong()?;
    let page = house.portal.log_in(&browser, "alice", ALICE, &code)?;
    must_refuse(&page, 401)
}
