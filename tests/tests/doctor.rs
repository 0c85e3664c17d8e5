//! `sekisho doctor` names what is wrong on a machine, with what to do, and its exit code says how
//! bad it is.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    Agent, Rig,
    rig::replaced,
    tools::{self, both},
};
use xtask::lab::OUTER;

fn doctor(rig: &Rig, arguments: &[&str]) -> Result<Output> {
    let mut command = rig.layout.gate.command(tools::sekisho()?);
    command
        .args(arguments)
        .arg("doctor")
        .arg("--config")
        .arg(rig.path("agent.toml"));
    command.output().context("cannot start sekisho")
}

fn findings(output: &Output) -> Result<Vec<Value>> {
    let value: Value = serde_json::from_slice(&output.stdout).with_context(|| both(output))?;
    let list = value.get("findings").and_then(Value::as_array);
    Ok(list
        .with_context(|| format!("no findings: {value}"))?
        .clone())
}

fn text<'a>(finding: &'a Value, key: &str) -> &'a str {
    finding.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The findings of a level about a subject, as one text.
fn about(findings: &[Value], level: &str, subject: &str) -> String {
    let found = findings
        .iter()
        .filter(|f| text(f, "level") == level && text(f, "subject") == subject);
    found.map(|f| format!("{}\n", text(f, "found"))).collect()
}

#[test]
fn a_running_agent_is_found_well() -> Result<()> {
    let rig = Rig::gateway()?;
    let _agent = Agent::start(&rig)?;
    let output = doctor(&rig, &["--json"])?;
    let found = findings(&output)?;
    let problems: Vec<&Value> = found
        .iter()
        .filter(|f| text(f, "level") == "problem")
        .collect();
    ensure!(problems.is_empty(), "{problems:?}");
    let interface = format!("interface {OUTER}");
    for (subject, words) in [
        ("kernel", "BTF"),
        ("bpffs", "is one"),
        ("capabilities", "may load"),
        ("clock", "boot clock"),
        ("configuration", "is valid"),
        ("agent", "answers"),
        ("slots", "are free"),
        (interface.as_str(), "our program"),
    ] {
        let said = about(&found, "ok", subject);
        ensure!(said.contains(words), "{subject}: no {words:?} in {said:?}");
    }
    // What is no more than a warning still says what to do.
    for finding in &found {
        let fine = text(finding, "level") == "ok" || !text(finding, "advice").is_empty();
        ensure!(fine, "no advice: {finding}");
    }
    let worst = found.iter().any(|f| text(f, "level") == "warning");
    ensure!(
        output.status.code() == Some(i32::from(worst)),
        "{}",
        both(&output)
    );
    Ok(())
}

#[test]
fn what_is_wrong_is_named_and_ends_in_2() -> Result<()> {
    let rig = Rig::gateway()?;
    let config = replaced(
        &rig.agent_config(),
        "[\"outer\"]",
        "[\"outer\", \"nosuch0\"]",
    )?;
    std::fs::write(rig.path("agent.toml"), config)?;
    nix::mount::umount(&rig.path("bpf"))?;
    let output = doctor(&rig, &["--json"])?;
    ensure!(output.status.code() == Some(2), "{}", both(&output));
    let found = findings(&output)?;
    for (subject, words) in [
        ("interface nosuch0", "no such interface"),
        ("agent", "cannot reach"),
        ("bpffs", "mount"),
    ] {
        let said = about(&found, "problem", subject);
        ensure!(said.contains(words), "{subject}: no {words:?} in {said:?}");
    }
    ensure!(about(&found, "warning", "portal").contains("cannot be reached"));
    let said = both(&doctor(&rig, &[])?);
    ensure!(said.contains("PROBLEM") && said.contains("-> "), "{said}");
    std::fs::write(rig.path("agent.toml"), "[filter\n")?;
    let output = doctor(&rig, &["--json"])?;
    ensure!(output.status.code() == Some(2), "{}", both(&output));
    ensure!(!about(&findings(&output)?, "problem", "configuration").is_empty());
    Ok(())
}
