//! Notices by mail through a real SMTP server over STARTTLS: what is told to whom in which language,
//! what the link of a mail ends, and that a mail server in trouble is nobody else's.

use std::{fs, path::PathBuf, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Portal, Rig,
    portal::{ALICE_PASSWORD, ALICE_SECRET, Alice, Office, portal_config},
    rig::{Family, must_be_open, must_be_shut},
    slapd::Certificates,
    smtp::{Mood, PASSWORD, Sink, USER},
    tools::both,
};
use xtask::clock;

const ALICE: &str = "alice@example.org";
const DESK: &str = "desk@example.org";
const PATIENCE: Duration = Duration::from_secs(20);

/// A network, a mail server at the gate, and a configuration that names it.
struct Post {
    sink: Sink,
    config: String,
    rig: Rig,
}

impl Post {
    fn open(more: &str) -> Result<Self> {
        let rig = Rig::gateway()?;
        let certificates = Certificates::make(&rig.path("mail-tls"), "IP:127.0.0.1")?;
        let sink = Sink::start(&rig.layout.gate, &certificates)?;
        let secret = rig.path("mail.password");
        fs::write(&secret, format!("{PASSWORD}\n"))?;
        let config = format!(
            "{}\n[mail]\nserver = {:?}\nca = {:?}\nfrom = \"Access <access@example.org>\"\n\
             user = {USER:?}\npassword_file = {secret:?}\noperators = [{DESK:?}]\n\
             timeout = \"2s\"\n{more}",
            portal_config(&rig),
            sink.address(),
            certificates.ca,
        );
        Ok(Self { sink, config, rig })
    }

    fn office(&self) -> Result<Office> {
        Office::open_with(&self.rig, &self.config)
    }
}

/// Everything running, and alice with her phone and an address.
struct House {
    agent: Agent,
    office: Office,
    portal: Portal,
    post: Post,
}

impl House {
    fn open(more: &str) -> Result<Self> {
        let post = Post::open(more)?;
        post.rig.serve()?;
        let agent = Agent::start(&post.rig)?;
        let office = post.office()?;
        let add = ["user", "add", "alice", "--group", "staff", "--mail", ALICE];
        office.admin_ok(&add, ALICE_PASSWORD)?;
        office.token("alice", ALICE_SECRET)?;
        let portal = office.run(&post.rig)?;
        Ok(Self {
            agent,
            office,
            portal,
            post,
        })
    }

    fn alice(&self) -> Alice {
        let mut alice = Alice::at_client(&self.portal);
        alice.browser = alice.browser.with_header("Accept-Language: ja");
        alice
    }

    fn web_is_open(&self) -> Result<()> {
        must_be_open(
            &self.post.rig.layout.client,
            self.post.rig.server(Family::V4, 80),
        )
    }

    fn web_is_shut(&self) -> Result<()> {
        must_be_shut(
            &self.post.rig.layout.client,
            self.post.rig.server(Family::V4, 80),
        )
    }

    /// How many notices wait, as the verb says.
    fn waiting(&self) -> Result<usize> {
        let list = self.office.admin_ok(&["--json", "mail", "list"], "")?;
        let list: serde_json::Value = serde_json::from_str(&list)?;
        Ok(list.as_array().context("no list")?.len())
    }

    fn empties(&self) -> Result<()> {
        for _ in 0..100 {
            if self.waiting()? == 0 {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(200));
        }
        anyhow::bail!("notices go on waiting:\n{}", self.portal.daemon.log())
    }

    fn audit_says(&self, word: &str) -> Result<()> {
        let audit = self.agent.cli_ok(&["--json", "audit"])?;
        ensure!(audit.contains(word), "no {word:?} in the audit:\n{audit}");
        Ok(())
    }
}

#[test]
fn a_log_in_from_a_new_network_is_told_and_the_mails_link_ends_it() -> Result<()> {
    let house = House::open("")?;
    let sink = &house.post.sink;
    let added = sink.wait_for(ALICE, "A device was added", PATIENCE)?;
    ensure!(added.link().is_some() && !added.whole().contains(ALICE_SECRET));

    house.web_is_shut()?;
    let mut alice = house.alice();
    alice.log_in(&house.portal)?;
    house.web_is_open()?;
    let letter = sink.wait_for(ALICE, "新しいネットワークからのログイン", PATIENCE)?;
    ensure!(
        letter.body.contains("alice") && letter.body.contains("192.0.2."),
        "{}",
        letter.body
    );
    ensure!(
        letter.head.contains("Auto-Submitted: auto-generated"),
        "{}",
        letter.head
    );
    let link = letter.link().context("no link")?;

    // A scanner looks at it, at another place and without a cookie.
    let stranger = house
        .portal
        .browser(&house.post.rig.layout.neighbour, "scanner");
    for _ in 0..2 {
        let page = stranger.get(link)?;
        ensure!(
            page.status == 200 && !page.body.contains("alice"),
            "{}",
            page.body
        );
    }
    house.web_is_open()?;

    let token = link.rsplit('=').next().context("no token")?;
    let to = format!("{}/not-me", house.portal.url());
    let page = stranger.post(&to, &[("link", token)])?;
    ensure!(
        page.status == 200 && page.body.contains("IT desk, ext. 1234"),
        "{}",
        page.body
    );
    house.web_is_shut()?;
    let code = alice.phone.fresh()?;
    let page = house
        .portal
        .log_in(&alice.browser, "alice", ALICE_PASSWORD, &code)?;
    ensure!(
        page.status == 401,
        "her token still counts: {}",
        page.status
    );
    sink.wait_for(DESK, "alice", PATIENCE)?;
    house.audit_says("not-me")?;

    let again = stranger.post(&to, &[("link", token)])?;
    let foreign = stranger.get(&format!("{to}?link=foreign"))?;
    ensure!((again.status, foreign.status) == (410, 410));
    ensure!(sink.naked() == 0, "a mail went without TLS or log-in");
    Ok(())
}

#[test]
fn a_mail_server_in_trouble_slows_no_log_in_and_gets_the_mail_later() -> Result<()> {
    let mut house = House::open("")?;
    house
        .post
        .sink
        .wait_for(ALICE, "A device was added", PATIENCE)?;
    house.post.sink.go_down();
    let mut alice = house.alice();
    let started = clock::instant();
    alice.log_in(&house.portal)?;
    ensure!(
        started.elapsed() < Duration::from_secs(3),
        "took {:?}",
        started.elapsed()
    );
    house.web_is_open()?;
    thread::sleep(Duration::from_secs(3));
    ensure!(house.waiting()? == 1);
    let browser = house.portal.browser(&house.post.rig.layout.gate, "health");
    let health = browser.get(&format!("{}/health", house.portal.url()))?;
    ensure!(
        health.status == 200 && health.body.contains("mail: 1 waiting"),
        "{}",
        health.body
    );

    // It is there again, but says nothing: the portal gives up on it in time, and goes on.
    house.post.sink.set_mood(Mood::Silent);
    house.post.sink.come_back()?;
    let started = clock::instant();
    alice.log_in(&house.portal)?;
    ensure!(
        started.elapsed() < Duration::from_secs(3),
        "took {:?}",
        started.elapsed()
    );
    house.post.sink.set_mood(Mood::Takes);
    let patience = Duration::from_secs(60);
    house
        .post
        .sink
        .wait_for(ALICE, "新しいネットワーク", patience)?;
    house.empties()
}

#[test]
fn what_the_server_never_takes_is_dropped_and_audited() -> Result<()> {
    let house = House::open("")?;
    house
        .post
        .sink
        .wait_for(ALICE, "A device was added", PATIENCE)?;
    house.post.sink.set_mood(Mood::NoSuchUser);
    house.alice().log_in(&house.portal)?;
    house.empties()?;
    house.audit_says("mail-not-sent")?;
    house.audit_says("550")
}

#[test]
fn a_ticket_is_told_of_without_its_code() -> Result<()> {
    let house = House::open("")?;
    let said = house
        .office
        .admin_ok(&["--json", "ticket", "issue", "--user", "alice"], "")?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let code = said["code"].as_str().context("no code")?;
    let letter = house
        .post
        .sink
        .wait_for(ALICE, "A ticket was issued for you", PATIENCE)?;
    let start = code.get(..9).context("a short code")?;
    ensure!(!letter.whole().contains(start), "{}", letter.body);
    Ok(())
}

#[test]
fn nothing_is_sent_to_a_server_with_a_strange_certificate() -> Result<()> {
    let post = Post::open("")?;
    let other = Certificates::make(&post.rig.path("other-tls"), "IP:127.0.0.1")?;
    let strange = post.config.replace(
        &format!("{:?}", post.rig.path("mail-tls/ca.pem")),
        &format!("{:?}", other.ca),
    );
    ensure!(strange != post.config);
    let office = Office::open_with(&post.rig, &strange)?;
    let said = office.admin(&["mail", "test", ALICE])?;
    ensure!(!said.status.success(), "{}", both(&said));
    ensure!(
        both(&said).to_lowercase().contains("certificate"),
        "{}",
        both(&said)
    );
    ensure!(post.sink.letters().is_empty() && post.sink.naked() == 0);
    let good = Office::open_with(&post.rig, &post.config);
    ensure!(good.is_err(), "the key file is there already");
    fs::write(&office.config, &post.config)?;
    office.admin_ok(&["mail", "test", ALICE], "")?;
    post.sink.wait_for(ALICE, "mail test", PATIENCE).map(drop)
}

#[test]
fn a_broken_template_is_refused_at_start_with_its_file() -> Result<()> {
    let post = Post::open("")?;
    let folder = post.rig.path("templates");
    fs::create_dir(&folder)?;
    let config = format!("{}templates = {folder:?}\n", post.config);
    let office = Office::open_with(&post.rig, &config)?;
    let file: PathBuf = folder.join("new-device.ja.txt");
    for (text, what) in [
        ("Subject: x\n\n{device}\n", "must use {link}"),
        (
            "Subject: x\n\n{device} {link} {password}\n",
            "{password} is no value",
        ),
    ] {
        fs::write(&file, text)?;
        for verb in ["run", "check"] {
            let said = office.admin(&[verb])?;
            let text = both(&said);
            ensure!(!said.status.success(), "{verb} went on: {text}");
            ensure!(
                text.contains("new-device.ja.txt") && text.contains(what),
                "{text}"
            );
        }
    }
    fs::write(&file, "Subject: 端末\n\n「{device}」 {link}\n")?;
    let preview = ["mail", "preview", "new-device", "--language", "ja"];
    let text = office.admin_ok(&preview, "")?;
    ensure!(
        text.starts_with("Subject: 端末\n\n「Phone」 https://"),
        "{text}"
    );
    Ok(())
}
