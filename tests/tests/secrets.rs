//! Nothing secret is ever written: both daemons log all they can while people do everything
//! they can, and then every file and every line is searched for what must not be there.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    portal::{
        ALICE_PASSWORD, ALICE_SECRET, Alice, BOB_PASSWORD, BOB_SECRET, Office, portal_config,
    },
    rig::replaced,
};
use xtask::codes::Phone;

/// Every file below a folder, with its bytes.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.ends_with("bpf") {
            // Objects of the kernel, not files.
        } else if path.is_dir() {
            files(&path, found)?;
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path)?));
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|part| part == secret.as_bytes())
}

/// The value of a hidden field.
fn hidden(body: &str, name: &str) -> Result<String> {
    let rest = body.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let value = rest.and_then(|rest| rest.split('"').next());
    let value = value.filter(|value| !value.is_empty());
    Ok(value.with_context(|| format!("no {name}"))?.to_owned())
}

#[test]
fn no_secret_is_logged_or_stored_in_the_clear() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    let config = replaced(
        &portal_config(&rig),
        "[portal]",
        "[portal]\npublic_url = \"https://access.example.com:8443\"",
    )? + "[dual_stack]\nipv4 = \"https://v4.access.example.com\"\n\
          ipv6 = \"https://v6.access.example.com\"\n";
    let office = Office::open_with(&rig, &config)?.with_people()?;
    let said = office.admin_ok(&["--json", "ticket", "issue", "--user", "bob"], "")?;
    let portal = office.run(&rig)?;
    let mut secrets = vec![
        ALICE_PASSWORD.to_owned(),
        BOB_PASSWORD.to_owned(),
        ALICE_SECRET.to_owned(),
        BOB_SECRET.to_owned(),
        "a mistyped password".to_owned(),
    ];
    let json: serde_json::Value = serde_json::from_str(&said)?;
    let ticket = json
        .get("code")
        .and_then(|code| code.as_str())
        .context("no code")?
        .to_owned();
    secrets.push(ticket.clone());

    let mut alice = Alice::at_client(&portal);
    let page = alice.log_in(&portal)?;
    let cookie = page.header("set-cookie").context("no cookie")?;
    let cookie = cookie
        .split(['=', ';'])
        .nth(1)
        .context("no value")?
        .to_owned();
    ensure!(cookie.len() >= 20, "a cookie of {} letters", cookie.len());
    secrets.push(cookie);
    let go = alice
        .browser
        .post(&format!("{}/cross", portal.url()), &[])?;
    let ticket_over = hidden(&go.body, "ticket")?;
    let seen = alice.browser.post(
        &format!("{}/cross/arrive", portal.url_v6()),
        &[("ticket", &ticket_over)],
    )?;
    secrets.extend([ticket_over, hidden(&seen.body, "receipt")?]);
    secrets.push(alice.phone.last()?);
    let code = alice.phone.fresh()?;
    portal.log_in(&alice.browser, "alice", "a mistyped password", &code)?;
    secrets.push(code);
    // People type the password where the name belongs; the name of nobody is nobody's to keep.
    portal.log_in(&alice.browser, ALICE_PASSWORD, ALICE_PASSWORD, "123456")?;
    let form = [
        ("username", "bob"),
        ("password", BOB_PASSWORD),
        ("ticket", &*ticket),
    ];
    let page = alice
        .browser
        .post(&format!("{}/ticket", portal.url()), &form)?;
    let (_, rest) = page
        .body
        .split_once("id=\"secret\">")
        .context("no enrolment page")?;
    let shown = rest.split('<').next().context("no secret")?.to_owned();
    secrets.push(Phone::new(&shown).fresh()?);
    secrets.push(shown.split_whitespace().collect());
    secrets.push(shown);
    alice.browser.get(&format!("{}/access", portal.url()))?;

    let logs = agent.daemon.log() + &portal.daemon.log();
    ensure!(
        logs.lines().count() > 20,
        "the daemons hardly log, so nothing was tested"
    );
    let mut written = Vec::new();
    files(rig.folder(), &mut written)?;
    for secret in &secrets {
        ensure!(secret.len() >= 6, "too short to search for");
        for (name, bytes) in &written {
            // The browser's own cookie jar is the person's.
            if name.contains("/cookies-") {
                continue;
            }
            // Six digits occur in binary files by chance; logs are searched for codes, too.
            let is_log = name.ends_with(".log");
            if (is_log || secret.len() > 6) && holds(bytes, secret) {
                anyhow::bail!("{name} holds a secret of {} letters", secret.len());
            }
        }
    }
    Ok(())
}

/// What a program was told at its start is there for everybody to read.
#[test]
fn no_secret_is_in_a_command_line() -> Result<()> {
    let rig = Rig::gateway()?;
    let agent = Agent::start(&rig)?;
    let office = Office::open(&rig)?.with_people()?;
    let portal = office.run(&rig)?;
    for pid in [agent.daemon.pid(), portal.daemon.pid()] {
        for name in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{pid}/{name}"))?;
            for secret in [ALICE_PASSWORD, ALICE_SECRET, BOB_PASSWORD, BOB_SECRET] {
                ensure!(!holds(&text, secret), "{name} of {pid} holds a secret");
            }
        }
    }
    Ok(())
}
