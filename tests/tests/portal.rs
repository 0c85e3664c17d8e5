//! The portal over HTTPS, with `curl` as the browser and `oathtool` as the phone: what gets in,
//! what does not, and that the door follows.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Portal, Rig,
    portal::{
        ALICE_PASSWORD, ALICE_SECRET, Alice, BOB_PASSWORD, BOB_SECRET, Office, must_refuse,
        portal_config,
    },
    rig::{Family, must_be_open, must_be_shut},
    tools::both,
};
use xtask::{codes::Phone, curl::encoded};

/// Everything running, alice and bob with their phones.
struct House {
    agent: Agent,
    office: Office,
    portal: Portal,
    rig: Rig,
}

impl House {
    fn open() -> Result<Self> {
        let rig = Rig::gateway()?;
        let config = portal_config(&rig);
        Self::open_with(rig, &config)
    }

    /// Limits so wide that a test meets only what it is about.
    fn open_wide() -> Result<Self> {
        let rig = Rig::gateway()?;
        let config = portal_config(&rig)
            + "\n[limits]\nsource_per_minute = 10000\nsource_per_hour = 100000\n\
               global_per_minute = 1000000\nfree_failures = 10\n";
        Self::open_with(rig, &config)
    }

    fn open_with(rig: Rig, config: &str) -> Result<Self> {
        rig.serve()?;
        let agent = Agent::start(&rig)?;
        let office = Office::open_with(&rig, config)?.with_people()?;
        let portal = office.run(&rig)?;
        Ok(Self {
            agent,
            office,
            portal,
            rig,
        })
    }

    /// What the health page says once it has this status; it may be some seconds behind.
    fn health_becomes(&self, status: u16) -> Result<String> {
        let browser = self.portal.browser(&self.rig.layout.gate, "health");
        for _ in 0..50 {
            let page = browser.get(&format!("{}/health", self.portal.url()))?;
            if page.status == status {
                return Ok(page.body);
            }
            thread::sleep(Duration::from_millis(200));
        }
        anyhow::bail!("the health page did not become {status} within 10 s")
    }

    fn web_is_shut(&self) -> Result<()> {
        must_be_shut(&self.rig.layout.client, self.rig.server(Family::V4, 80))
    }

    fn web_is_open(&self) -> Result<()> {
        must_be_open(&self.rig.layout.client, self.rig.server(Family::V4, 80))
    }
}

#[test]
fn password_and_code_open_what_the_groups_allow() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    house.web_is_shut()?;
    let page = alice.log_in(&house.portal)?;
    ensure!(
        page.header("location")
            .is_some_and(|to| to.starts_with("/access")),
        "{}",
        page.headers
    );
    house.web_is_open()?;
    must_be_shut(
        &house.rig.layout.neighbour,
        house.rig.server(Family::V4, 80),
    )?;
    must_be_shut(&house.rig.layout.client, house.rig.server(Family::V4, 22))?;

    let list = house
        .agent
        .cli_json(&["list", "--user", "alice"])?
        .to_string();
    ensure!(list.contains("otp"), "the factor is not recorded: {list}");
    let page = alice
        .browser
        .get(&format!("{}/access", house.portal.url()))?;
    ensure!(page.status == 200 && page.body.contains("web") && !page.body.contains("ssh"));

    let page = alice
        .browser
        .post(&format!("{}/access/close", house.portal.url()), &[])?;
    ensure!(page.status == 303, "{}", page.status);
    house.web_is_shut()
}

#[test]
fn the_portal_works_over_ipv6_for_ipv6() -> Result<()> {
    let house = House::open()?;
    let browser = house.portal.browser(&house.rig.layout.client, "six");
    let mut phone = Phone::new(ALICE_SECRET);
    let form = [
        ("username", "alice"),
        ("password", ALICE_PASSWORD),
        ("code", &phone.fresh()?),
    ];
    let page = browser.post(&format!("{}/login", house.portal.url_v6()), &form)?;
    ensure!(page.status == 303, "{}:\n{}", page.status, page.body);
    must_be_open(&house.rig.layout.client, house.rig.server(Family::V6, 80))?;
    house.web_is_shut()
}

#[test]
fn wrong_code_wrong_password_and_replay_open_nothing() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    // With the cookie of a success a repeated form is answered as the first one was.
    let elsewhere = house.portal.browser(&house.rig.layout.client, "elsewhere");
    let portal = &house.portal;
    let wrong = alice.phone.wrong()?;
    must_refuse(
        &portal.log_in(&alice.browser, "alice", ALICE_PASSWORD, &wrong)?,
        401,
    )?;

    let code = alice.phone.fresh()?;
    must_refuse(
        &portal.log_in(&alice.browser, "alice", "not it", &code)?,
        401,
    )?;
    // That attempt used the code up, although it failed.
    must_refuse(
        &portal.log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    house.web_is_shut()?;

    alice.log_in(portal)?;
    let code = alice.phone.last()?;
    must_refuse(
        &portal.log_in(&elsewhere, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    for far in [-3, 3] {
        let code = alice.phone.steps_from_now(far)?;
        must_refuse(
            &portal.log_in(&elsewhere, "alice", ALICE_PASSWORD, &code)?,
            401,
        )?;
    }
    Ok(())
}

/// Who asks for somebody who does not exist learns nothing from the answer or its time.
#[test]
fn unknown_people_are_refused_like_known_ones() -> Result<()> {
    let house = House::open_wide()?;
    let alice = Alice::at_client(&house.portal);
    let known = house
        .portal
        .log_in(&alice.browser, "alice", "not it", &alice.phone.wrong()?)?;
    let unknown = house
        .portal
        .log_in(&alice.browser, "nobody", "not it", "123456")?;
    must_refuse(&known, 401)?;
    must_refuse(&unknown, 401)?;
    for page in [&known, &unknown] {
        ensure!(
            page.took >= Duration::from_millis(250),
            "answered after {:?}",
            page.took
        );
    }
    let alert = |page: &xtask::curl::Page| {
        let (_, rest) = page.body.split_once("role=\"alert\"")?;
        let (_, text) = rest.split_once('>')?;
        Some(text.split_once("</div>")?.0.to_owned())
    };
    ensure!(alert(&known).is_some() && alert(&known) == alert(&unknown));
    Ok(())
}

#[test]
fn two_hundred_parallel_log_ins_with_one_code_give_one_success() -> Result<()> {
    let house = House::open_wide()?;
    let code = Phone::new(ALICE_SECRET).current()?;
    let start = Arc::new(Barrier::new(200));
    let threads: Vec<_> = (0..200)
        .map(|thread| {
            let (start, code) = (start.clone(), code.clone());
            let browser = house
                .portal
                .browser(&house.rig.layout.client, &format!("p{thread}"));
            let url = format!("{}/login", house.portal.url());
            thread::spawn(move || -> Result<u16> {
                let form = [
                    ("username", "alice"),
                    ("password", ALICE_PASSWORD),
                    ("code", &*code),
                ];
                start.wait();
                Ok(browser.post(&url, &form)?.status)
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for thread in threads {
        statuses.push(thread.join().ok().context("a thread panicked")??);
    }
    ensure!(statuses.len() == 200);
    let successes = statuses.iter().filter(|status| **status == 303).count();
    ensure!(successes == 1, "{successes} of 200 got in: {statuses:?}");
    let others = statuses
        .iter()
        .filter(|status| !matches!(**status, 303 | 401 | 429 | 503));
    ensure!(others.count() == 0, "{statuses:?}");
    Ok(())
}

#[test]
fn a_form_of_a_megabyte_is_refused_and_the_portal_lives() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    let url = format!("{}/login", house.portal.url());
    let form = [
        ("username", "alice"),
        ("password", &*"x".repeat(1 << 20)),
        ("code", "1"),
    ];
    // It may hang up before all is sent; if it answers, then with a refusal.
    if let Ok(page) = alice.browser.post_body(&url, &encoded(&form)) {
        ensure!(page.status == 413, "{}", page.status);
    }
    alice.log_in(&house.portal).map(drop)
}

#[test]
fn strange_user_names_are_refused_like_wrong_ones() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    let long = "a".repeat(10_000);
    for name in [
        "*)(",
        "*",
        "alice)(uid=*",
        "",
        " ",
        "alice\0",
        "ALICE*",
        "../alice",
        &long,
    ] {
        let page = house
            .portal
            .log_in(&alice.browser, name, ALICE_PASSWORD, "123456")?;
        ensure!(
            page.status == 401 || page.status == 400,
            "{name:.20?}: {}",
            page.status
        );
        ensure!(
            page.body.len() < 100_000,
            "a name of 10,000 letters comes back"
        );
    }
    let page = house
        .portal
        .log_in(&alice.browser, "<script>x</script>", "x", "1")?;
    ensure!(
        !page.body.contains("<script>x"),
        "what was typed comes back as markup"
    );
    alice.log_in(&house.portal).map(drop)
}

#[test]
fn empty_and_overlong_passwords_are_refused() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    for password in ["", "\0", &"x".repeat(129), &"x".repeat(5000)] {
        let code = alice.phone.wrong()?;
        let page = house
            .portal
            .log_in(&alice.browser, "alice", password, &code)?;
        ensure!(page.status == 401 || page.status == 400, "{}", page.status);
    }
    house.web_is_shut()?;
    alice.log_in(&house.portal).map(drop)
}

/// Failures cost time, for that person, wherever they come from; and they cost nobody else any.
#[test]
fn failures_slow_down_one_person_and_nobody_else() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    for _ in 0..3 {
        let wrong = alice.phone.wrong()?;
        must_refuse(
            &house
                .portal
                .log_in(&alice.browser, "alice", ALICE_PASSWORD, &wrong)?,
            401,
        )?;
    }
    let code = alice.phone.fresh()?;
    let page = house
        .portal
        .log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(page.status != 303, "three failures in a row cost nothing");
    house.web_is_shut()?;

    let bob = house.portal.browser(&house.rig.layout.neighbour, "bob");
    let code = Phone::new(BOB_SECRET).fresh()?;
    let page = house.portal.log_in(&bob, "bob", BOB_PASSWORD, &code)?;
    ensure!(
        page.status == 303,
        "bob has to wait for alice's failures: {}",
        page.status
    );
    thread::sleep(Duration::from_secs(6));
    alice.log_in(&house.portal).map(drop)
}

#[test]
fn one_source_cannot_try_for_ever() -> Result<()> {
    let house = House::open()?;
    let browser = house.portal.browser(&house.rig.layout.client, "flood");
    let mut limited = 0;
    for number in 0..25 {
        let name = format!("user{number}");
        let page = house.portal.log_in(&browser, &name, "guess", "123456")?;
        ensure!(matches!(page.status, 401 | 429), "{}", page.status);
        limited += usize::from(page.status == 429);
    }
    ensure!(limited >= 10, "only {limited} of 25 attempts were limited");
    Ok(())
}

#[test]
fn headers_forbid_what_a_browser_might_allow() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    let page = alice.log_in(&house.portal)?;
    let cookie = page.header("set-cookie").context("no cookie")?;
    for part in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        ensure!(cookie.contains(part), "{part} is missing: {cookie}");
    }
    for path in ["/", "/access", "/devices", "/help", "/nosuchpage"] {
        let page = alice
            .browser
            .get(&format!("{}{path}", house.portal.url()))?;
        let policy = page.header("content-security-policy").context("no CSP")?;
        ensure!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        ensure!(!policy.contains("unsafe-inline"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            ensure!(
                page.header(name) == Some(value),
                "{path}: {name}: {:?}",
                page.header(name)
            );
        }
        ensure!(
            page.header("strict-transport-security").is_some(),
            "{path}: no HSTS"
        );
    }
    for path in ["/access", "/devices"] {
        let page = alice
            .browser
            .get(&format!("{}{path}", house.portal.url()))?;
        let cache = page.header("cache-control").unwrap_or_default();
        ensure!(cache.contains("no-store"), "{path}: {cache}");
    }
    Ok(())
}

/// A page elsewhere makes the person's browser post; and no GET changes anything.
#[test]
fn other_sites_cannot_act_for_alice() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    alice.log_in(&house.portal)?;
    let foreign = alice
        .browser
        .clone()
        .with_header("Origin: https://evil.example")
        .with_header("Sec-Fetch-Site: cross-site");
    let page = foreign.post(&format!("{}/access/close", house.portal.url()), &[])?;
    ensure!(page.status == 403, "{}", page.status);
    for path in ["/access/close", "/logoff", "/login", "/devices/revoke"] {
        let page = alice
            .browser
            .get(&format!("{}{path}", house.portal.url()))?;
        ensure!(
            page.status == 405 || page.status == 404,
            "GET {path}: {}",
            page.status
        );
    }
    house.web_is_open()
}

/// Nobody but a listed proxy may say where a client is.
#[test]
fn a_forwarded_header_from_a_stranger_changes_nothing() -> Result<()> {
    let house = House::open()?;
    let browser = house
        .portal
        .browser(&house.rig.layout.neighbour, "liar")
        .with_header("X-Forwarded-For: 192.0.2.10")
        .with_header("Forwarded: for=192.0.2.10");
    let code = Phone::new(ALICE_SECRET).fresh()?;
    let page = house
        .portal
        .log_in(&browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(page.status == 303, "{}", page.status);
    must_be_open(
        &house.rig.layout.neighbour,
        house.rig.server(Family::V4, 80),
    )?;
    house.web_is_shut()
}

#[test]
fn pages_speak_japanese_and_english() -> Result<()> {
    let house = House::open()?;
    for (language, tag, word) in [("ja,en;q=0.5", "ja", "ログイン"), ("en", "en", "Log in")] {
        let browser = house
            .portal
            .browser(&house.rig.layout.client, tag)
            .with_header(&format!("Accept-Language: {language}"));
        let page = browser.get(&format!("{}/", house.portal.url()))?;
        ensure!(
            page.body.contains(&format!("<html lang=\"{tag}\"")),
            "{tag}:\n{}",
            page.body
        );
        let lower = page.body.to_lowercase();
        ensure!(
            lower.contains(&word.to_lowercase()) || lower.contains("sign in"),
            "{tag}: no {word}:\n{}",
            page.body
        );
        for said in ["Example Corp access", "Example Corp", "IT desk, ext. 1234"] {
            ensure!(page.body.contains(said), "{tag}: {said} is missing");
        }
        ensure!(page.body.contains("autocomplete=\"one-time-code\""));
    }
    Ok(())
}

/// R10: one verb, and a lost phone is worth nothing.
#[test]
fn lockout_ends_everything_of_a_person() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    alice.log_in(&house.portal)?;
    house.web_is_open()?;
    house.office.admin_ok(&["user", "lockout", "alice"], "")?;
    house.web_is_shut()?;
    let page = alice
        .browser
        .get(&format!("{}/access", house.portal.url()))?;
    ensure!(page.status != 200, "the cookie is still good");
    let code = alice.phone.fresh()?;
    let page = house
        .portal
        .log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(page.status == 401 || page.status == 429, "{}", page.status);
    house.web_is_shut()
}

#[test]
fn tokens_are_suspended_resumed_and_revoked_by_verbs() -> Result<()> {
    let house = House::open_wide()?;
    let mut alice = Alice::at_client(&house.portal);
    let listed = house
        .office
        .admin_ok(&["--json", "token", "list", "--user", "alice"], "")?;
    let json: serde_json::Value = serde_json::from_str(&listed).with_context(|| listed.clone())?;
    let token = json
        .pointer("/0/id")
        .or_else(|| json.pointer("/tokens/0/id"));
    let id = token.map(|id| id.to_string().trim_matches('"').to_owned());
    let id = id.with_context(|| format!("no id in {listed}"))?;
    ensure!(!listed.contains(ALICE_SECRET), "the list shows the secret");

    house.office.admin_ok(&["token", "suspend", &id], "")?;
    let code = alice.phone.fresh()?;
    must_refuse(
        &house
            .portal
            .log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    house.office.admin_ok(&["token", "resume", &id], "")?;
    let elsewhere = house.portal.browser(&house.rig.layout.client, "elsewhere");
    alice.log_in(&house.portal)?;
    house.office.admin_ok(&["token", "revoke", &id], "")?;
    let code = alice.phone.fresh()?;
    must_refuse(
        &house
            .portal
            .log_in(&elsewhere, "alice", ALICE_PASSWORD, &code)?,
        401,
    )?;
    let output = house.office.admin(&["token", "suspend", "nosuchtoken"])?;
    ensure!(!output.status.success(), "{}", both(&output));
    Ok(())
}

/// A ticket works once, with the password, and by POST: mail scanners open every link.
#[test]
fn a_ticket_is_used_up_by_the_right_password_only() -> Result<()> {
    let house = House::open_wide()?;
    house.office.user("carol", "staff", "carols password")?;
    let said = house
        .office
        .admin_ok(&["--json", "ticket", "issue", "--user", "carol"], "")?;
    let json: serde_json::Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let code = json
        .get("code")
        .and_then(|code| code.as_str())
        .context("no code")?;
    let url = json
        .get("url")
        .and_then(|url| url.as_str())
        .context("no url")?;
    let browser = house.portal.browser(&house.rig.layout.client, "carol");
    for _ in 0..3 {
        let page = browser.get(url)?;
        ensure!(
            page.status == 200 && !page.body.contains("id=\"secret\""),
            "{}",
            page.status
        );
    }
    let redeem = |user: &str, password: &str| {
        let form = [("username", user), ("password", password), ("ticket", code)];
        browser.post(&format!("{}/ticket", house.portal.url()), &form)
    };
    ensure!(!redeem("carol", "wrong")?.body.contains("id=\"secret\""));
    ensure!(
        !redeem("alice", ALICE_PASSWORD)?
            .body
            .contains("id=\"secret\""),
        "alice took it"
    );
    let page = redeem("carol", "carols password")?;
    ensure!(page.status == 200, "{}:\n{}", page.status, page.body);
    let between = |start: &str, end: char| {
        let (_, rest) = page.body.split_once(start)?;
        Some(rest.split(end).next()?.to_owned())
    };
    let secret = between("id=\"secret\">", '<').context("no secret")?;
    let token = between("name=\"token\" value=\"", '"').context("no token")?;
    ensure!(
        secret.split_whitespace().collect::<String>().len() == 32,
        "160 bits: {secret}"
    );
    ensure!(
        page.header("cache-control")
            .is_some_and(|value| value.contains("no-store"))
    );
    let again = redeem("carol", "carols password")?;
    ensure!(
        !again.body.contains("id=\"secret\""),
        "a ticket worked twice"
    );

    let mut phone = Phone::new(&secret);
    let code = phone.fresh()?;
    let form = [("token", &*token), ("code", &code), ("name", "phone")];
    let page = browser.post(&format!("{}/ticket/confirm", house.portal.url()), &form)?;
    ensure!(page.status == 200, "{}:\n{}", page.status, page.body);
    house.web_is_shut().context("enrolment must open nothing")?;
    // The code that confirmed the token is used up, too.
    must_refuse(
        &house
            .portal
            .log_in(&browser, "carol", "carols password", &code)?,
        401,
    )?;
    let page = house
        .portal
        .log_in(&browser, "carol", "carols password", &phone.fresh()?)?;
    ensure!(page.status == 303, "{}:\n{}", page.status, page.body);
    house.web_is_open()
}

/// R15: nothing new opens, the page says so, and what is open keeps its deadline.
#[test]
fn with_the_agent_down_nothing_opens_and_a_page_says_so() -> Result<()> {
    let mut house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    alice.log_in(&house.portal)?;
    house.agent.daemon.kill()?;
    house.web_is_open()?;
    let bob = house.portal.browser(&house.rig.layout.neighbour, "bob");
    let code = Phone::new(BOB_SECRET).fresh()?;
    let page = house.portal.log_in(&bob, "bob", BOB_PASSWORD, &code)?;
    ensure!(page.status == 503, "{}:\n{}", page.status, page.body);
    ensure!(page.body.contains("data-request-id"), "{}", page.body);
    let sick = house.health_becomes(503)?;
    ensure!(sick.contains("agent"), "{sick}");
    must_be_shut(
        &house.rig.layout.neighbour,
        house.rig.server(Family::V4, 22),
    )?;

    house.agent = Agent::start(&house.rig)?;
    house.health_becomes(200)?;
    house.web_is_open()
}

/// Log-ins and refusals are in the agent's audit, with who and from where.
#[test]
fn authentication_is_in_the_agents_audit() -> Result<()> {
    let house = House::open()?;
    let mut alice = Alice::at_client(&house.portal);
    let wrong = alice.phone.wrong()?;
    let page = house
        .portal
        .log_in(&alice.browser, "alice", ALICE_PASSWORD, &wrong)?;
    must_refuse(&page, 401)?;
    let (_, rest) = page
        .body
        .split_once("data-request-id=\"")
        .context("no request id")?;
    let request = rest.split('"').next().context("no request id")?.to_owned();
    alice.log_in(&house.portal)?;
    for _ in 0..100 {
        let audit = house.agent.cli_ok(&["--json", "audit"])?;
        let login = |outcome: &str| {
            audit
                .lines()
                .any(|line| line.contains("\"login\"") && line.contains(outcome))
                || audit.contains("\"login\"") && audit.contains(outcome)
        };
        if login("\"ok\"") && audit.contains(&request) && audit.contains("192.0.2.10") {
            house.agent.cli_ok(&["audit", "--verify"])?;
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!(
        "not in the audit: {}",
        house.agent.cli_ok(&["--json", "audit"])?
    )
}

/// The key that encrypts the secrets changes, and everybody's phone goes on.
#[test]
fn key_rotation_disturbs_nobody() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let _agent = Agent::start(&rig)?;
    let office = Office::open(&rig)?.with_people()?;
    office.admin_ok(&["key", "rotate"], "")?;
    let portal = office.run(&rig)?;
    Alice::at_client(&portal).log_in(&portal)?;
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))
}
