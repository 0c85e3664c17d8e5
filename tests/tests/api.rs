//! Who may say what on the agent's socket, what it refuses, and what the audit keeps.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::Output,
    time::Duration,
};

use agent_api::{AuditKind, AuditQuery, ClientError, CloseRequest, ProblemCode, Role};
use anyhow::{Context as _, Result, bail, ensure};
use tests::{
    Agent, Rig,
    agent::grant_request,
    portal::as_portal,
    rig::Family,
    tools::{block_on, both, program},
};

/// `curl --unix-socket` as the portal's user; prints status code after the body.
fn as_portal_curl(rig: &Rig, agent: &Agent, arguments: &[&str]) -> Result<(u16, String)> {
    let mut curl = as_portal(&rig.layout.gate, &program("curl")?)?;
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "--unix-socket",
    ])
    .arg(&agent.socket)
    .args(["--header", "Content-Type: application/json"])
    .args(["--write-out", "\n%{http_code}"])
    .args(arguments);
    answer(&curl.output()?)
}

fn answer(output: &Output) -> Result<(u16, String)> {
    ensure!(output.status.success(), "curl failed: {}", both(output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

fn grant_body(rig: &Rig, service: &str, seconds: u64, exact: bool) -> Result<String> {
    let mut request = grant_request(rig.source(Family::V4), service, "alice", seconds);
    request.exact = exact;
    request.factor = Some("pwd otp".into());
    Ok(serde_json::to_string(&request)?)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Result<agent_api::Problem> {
    match result {
        Err(ClientError::Refused(problem)) => Ok(problem),
        other => bail!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn root_is_an_operator_and_the_portals_user_is_the_portal() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    ensure!(agent.status()?.you_are == Role::Operator);
    let (status, body) = as_portal_curl(&rig, &agent, &["http://agent/v1/status"])?;
    ensure!(
        status == 200 && body.contains("\"you_are\":\"portal\""),
        "{status} {body}"
    );
    Ok(())
}

#[test]
fn the_portal_may_grant_within_the_cap_and_close_its_own() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let post = |path: &str, body: &str| {
        as_portal_curl(
            &rig,
            &agent,
            &["--data-binary", body, &format!("http://agent{path}")],
        )
    };
    let (status, body) = post("/v1/grants", &grant_body(&rig, "web", 600, false)?)?;
    ensure!(status == 200 || status == 201, "{status} {body}");

    // A day and a second is capped, or refused when the caller wants it exactly.
    let day = 24 * 3600;
    let (status, body) = post("/v1/grants", &grant_body(&rig, "web", day + 1, false)?)?;
    let grant: agent_api::Grant = serde_json::from_str(&body).with_context(|| body.clone())?;
    ensure!(
        (200..300).contains(&status) && grant.remaining_seconds <= day,
        "{status} {body}"
    );
    let (status, body) = post("/v1/grants", &grant_body(&rig, "web", day + 1, true)?)?;
    ensure!(
        status == 403 && body.contains("beyond-cap"),
        "{status} {body}"
    );

    // What an operator opened is not the portal's to close.
    agent.grant(rig.source(Family::V4), "web", "bob", 600)?;
    let mine = r#"{"user":"alice"}"#;
    let theirs = r#"{"user":"bob"}"#;
    let (status, body) = post("/v1/grants/close", theirs)?;
    ensure!(
        status == 403 || body.contains("\"count\":0"),
        "{status} {body}"
    );
    let (status, body) = post("/v1/grants/close", mine)?;
    ensure!(
        status == 200 && body.contains("\"count\":1"),
        "{status} {body}"
    );
    ensure!(
        agent.status()?.holders == 1,
        "bob's grant must be there still"
    );
    Ok(())
}

#[test]
fn what_only_operators_may_do_is_refused_to_the_portal() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "bob", 600)?;
    for (method, path, body) in [
        ("PUT", "/v1/mode", r#"{"mode":"observe"}"#),
        ("PUT", "/v1/lockdown", r#"{"on":true}"#),
        ("POST", "/v1/reload", "{}"),
        ("POST", "/v1/detach", "{}"),
        ("POST", "/v1/denies/lift", r#"{"prefix":"192.0.2.0/24"}"#),
        ("GET", "/v1/audit", ""),
    ] {
        let url = format!("http://agent{path}");
        let mut arguments = vec!["--request", method, &url];
        if !body.is_empty() {
            arguments.extend(["--data-binary", body]);
        }
        let (status, answer) = as_portal_curl(&rig, &agent, &arguments)?;
        ensure!(
            status == 403 && answer.contains("forbidden"),
            "{method} {path}: {status} {answer}"
        );
    }
    let status = agent.status()?;
    ensure!(status.mode == agent_api::Mode::Enforce && !status.lockdown && status.holders == 1);
    Ok(())
}

/// Somebody who is neither: does not even reach the socket, or is refused by it.
#[test]
fn other_users_are_refused() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let mut curl = rig.layout.gate.command_as(65_534, program("curl")?);
    curl.args(["--silent", "--show-error", "--unix-socket"])
        .arg(&agent.socket);
    let output = curl
        .args(["--write-out", "\n%{http_code}", "http://agent/v1/status"])
        .output()?;
    if output.status.success() {
        let (status, body) = answer(&output)?;
        ensure!(status == 403, "{status} {body}");
    }
    // Even where the file would let them in, the uid decides.
    fs::set_permissions(
        &agent.socket,
        std::os::unix::fs::PermissionsExt::from_mode(0o666),
    )?;
    let (status, body) = answer(&curl.output()?)?;
    ensure!(
        status == 403 && body.contains("forbidden"),
        "{status} {body}"
    );
    Ok(())
}

#[test]
fn sources_that_cannot_be_are_refused() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    for source in [
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "127.0.0.1",
        "::1",
    ] {
        let request = grant_request(source.parse()?, "web", "alice", 300);
        let problem = refusal(block_on(agent.client().grant(&request))?)?;
        ensure!(problem.message.contains(source), "{source}: {problem:?}");
    }
    let request = grant_request(rig.source(Family::V4), "web", "alice", 0);
    let problem = refusal(block_on(agent.client().grant(&request))?)?;
    ensure!(problem.code == ProblemCode::BadRequest, "{problem:?}");
    let request = grant_request(rig.source(Family::V4), "nosuch", "alice", 300);
    let problem = refusal(block_on(agent.client().grant(&request))?)?;
    ensure!(problem.code == ProblemCode::NotFound && problem.message.contains("nosuch"));
    let request = grant_request(rig.source(Family::V4), "portal", "alice", 300);
    refusal(block_on(agent.client().grant(&request))?)?;
    ensure!(agent.status()?.holders == 0);
    Ok(())
}

/// The kernel shows such a client as IPv4, so its grant has to be an IPv4 grant.
#[test]
fn a_v4_mapped_source_is_the_ipv4_source() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let grant = agent.grant("::ffff:192.0.2.10".parse()?, "web", "alice", 300)?;
    ensure!(grant.source == rig.source(Family::V4).into(), "{grant:?}");
    Ok(())
}

#[test]
fn a_body_of_ten_megabytes_is_refused_and_the_agent_lives() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let mut request = grant_request(rig.source(Family::V4), "web", "alice", 300);
    request.reason = Some("x".repeat(10_000_000));
    match block_on(agent.client().grant(&request))? {
        Err(ClientError::Refused(problem)) => {
            ensure!(problem.code == ProblemCode::TooLarge, "{problem:?}");
        }
        // It may hang up on a caller that goes on sending; but nothing may have been opened.
        Err(ClientError::Broken { .. }) => {}
        other => bail!("{other:?}"),
    }
    ensure!(agent.status()?.holders == 0);
    Ok(())
}

/// Bytes that are not HTTP, and a caller who never finishes: the others are served.
#[test]
fn garbage_and_slow_callers_do_not_stop_the_others() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = UnixStream::connect(&agent.socket)?;
        stream.write_all(b"POST /v1/grants HTTP/1.1\r\nHost: a\r\nContent-Le")?;
        slow.push(stream);
    }
    let mut garbage = UnixStream::connect(&agent.socket)?;
    garbage.write_all(&[0xff; 1000])?;
    garbage.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reply = Vec::new();
    drop(garbage.read_to_end(&mut reply));
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    Ok(())
}

#[test]
fn the_description_of_the_api_is_served_and_complete() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let (status, body) = as_portal_curl(&rig, &agent, &["http://agent/v1/openapi.json"])?;
    ensure!(status == 200, "{status} {body}");
    let api: serde_json::Value = serde_json::from_str(&body)?;
    let paths = api
        .get("paths")
        .and_then(|paths| paths.as_object())
        .context("no paths")?;
    for path in [
        "/v1/status",
        "/v1/services",
        "/v1/grants",
        "/v1/grants/close",
        "/v1/denies",
        "/v1/denies/lift",
        "/v1/counters",
        "/v1/mode",
        "/v1/lockdown",
        "/v1/reload",
        "/v1/detach",
        "/v1/audit",
        "/v1/audit/verify",
        "/v1/events",
    ] {
        ensure!(paths.contains_key(path), "{path} is not described");
    }
    Ok(())
}

#[test]
fn every_change_is_in_the_audit_and_the_chain_holds() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let source = rig.source(Family::V4);
    agent.grant(source, "web", "alice", 300)?;
    agent.close_source(source)?;
    agent.cli_ok(&["mode", "observe"])?;
    agent.cli_ok(&["lockdown", "on"])?;
    agent.cli_ok(&["deny", "203.0.113.0/24", "--for", "1h"])?;
    agent.cli_ok(&["reload"])?;
    drop(agent.grant("0.0.0.0".parse()?, "web", "alice", 300));
    let page = block_on(agent.client().audit(&AuditQuery::default()))??;
    let kinds: Vec<_> = page.records.iter().map(|record| record.kind).collect();
    for kind in [
        AuditKind::Start,
        AuditKind::Grant,
        AuditKind::Close,
        AuditKind::Mode,
        AuditKind::Lockdown,
        AuditKind::Deny,
        AuditKind::Config,
        AuditKind::Refuse,
    ] {
        ensure!(kinds.contains(&kind), "no {kind:?} in {kinds:?}");
    }
    let numbers: Vec<_> = page.records.iter().map(|record| record.seq).collect();
    ensure!(
        numbers == (1..=numbers.len() as u64).collect::<Vec<_>>(),
        "{numbers:?}"
    );
    let grant = page
        .records
        .iter()
        .find(|record| record.kind == AuditKind::Grant);
    let grant = grant.context("no grant")?;
    ensure!(
        grant.actor == "uid 0" && grant.source == Some(source.into()),
        "{grant:?}"
    );
    let chain = block_on(agent.client().audit_verify())??;
    ensure!(
        chain.intact && chain.records == numbers.len() as u64,
        "{chain:?}"
    );
    agent.cli_ok(&["audit", "--verify"]).map(drop)
}

/// Somebody with the disk in hand changes one word of the past.
#[test]
fn a_changed_record_is_noticed() -> Result<()> {
    let rig = Rig::quiet()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    agent.grant(rig.source(Family::V6), "web", "alice", 300)?;
    agent.daemon.stop()?;
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1])\n\
        tables = [r[0] for r in db.execute(\"select name from sqlite_master where type='table' and name like '%audit%'\")]\n\
        triggers = [r[0] for r in db.execute(\"select name from sqlite_master where type='trigger'\")]\n\
        for name in triggers: db.execute(f'drop trigger \"{name}\"')\n\
        changed = 0\n\
        for table in tables:\n\
        \x20   for column in [r[1] for r in db.execute(f'pragma table_info(\"{table}\")')]:\n\
        \x20       if column == 'user':\n\
        \x20           changed += db.execute(f\"update {table} set user = 'mallory' where user = 'alice'\").rowcount\n\
        \x20       elif column in ('body', 'record', 'canonical', 'json', 'text'):\n\
        \x20           changed += db.execute(f\"update {table} set {column} = replace({column}, 'alice', 'mallo')\").rowcount\n\
        db.commit()\n\
        print(changed)\n";
    let changed = std::process::Command::new(program("python3")?)
        .args(["-c", script])
        .arg(rig.path("ledger.sqlite"))
        .output()?;
    let count: u64 = both(&changed)
        .trim()
        .parse()
        .with_context(|| both(&changed))?;
    ensure!(count > 0, "nothing was changed, so nothing was tested");
    let agent = Agent::start(&rig)?;
    let chain = block_on(agent.client().audit_verify())??;
    ensure!(!chain.intact && chain.problem.is_some(), "{chain:?}");
    let output = agent.cli(&["audit", "--verify"])?;
    ensure!(!output.status.success(), "{}", both(&output));
    Ok(())
}

/// Ten thousand refusals of one kind must not become ten thousand records.
#[test]
fn a_flood_of_refusals_folds() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let client = agent.client();
    let request = grant_request("0.0.0.0".parse()?, "web", "mallory", 300);
    block_on(async {
        for _ in 0..600 {
            refusal(client.grant(&request).await)?;
        }
        Ok::<_, anyhow::Error>(())
    })??;
    let query = AuditQuery {
        limit: Some(10_000),
        ..AuditQuery::default()
    };
    let page = block_on(client.audit(&query))??;
    let refused: Vec<_> = page
        .records
        .iter()
        .filter(|record| record.kind == AuditKind::Refuse)
        .collect();
    ensure!(
        !refused.is_empty() && refused.len() < 300,
        "{} records",
        refused.len()
    );
    ensure!(block_on(client.audit_verify())??.intact);
    Ok(())
}

#[test]
fn events_arrive_as_they_happen() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    let client = agent.client();
    let request = grant_request(rig.source(Family::V4), "web", "alice", 300);
    let record = block_on(async {
        let mut events = client.events().await?;
        client.grant(&request).await?;
        let wait = tokio::time::timeout(Duration::from_secs(5), events.next());
        wait.await
            .context("no event within 5 s")?
            .context("the stream ended")?
            .map_err(Into::into)
    })?;
    let record: Result<agent_api::AuditRecord, anyhow::Error> = record;
    let record = record?;
    ensure!(record.kind == AuditKind::Grant && record.user.as_deref() == Some("alice"));
    Ok(())
}

#[test]
fn closing_needs_to_say_what() -> Result<()> {
    let rig = Rig::quiet()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 300)?;
    let problem = refusal(block_on(agent.client().close(&CloseRequest::default()))?)?;
    ensure!(problem.code == ProblemCode::BadRequest, "{problem:?}");
    ensure!(agent.status()?.holders == 1);
    let all = CloseRequest {
        all: true,
        ..CloseRequest::default()
    };
    ensure!(block_on(agent.client().close(&all))??.count == 1);
    Ok(())
}
