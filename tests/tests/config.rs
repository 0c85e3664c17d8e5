//! Configurations: the annotated samples are accepted, and everything that cannot be right is
//! refused with exit code 64, file, line, column, and what to do.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use tests::tools::{self, both};
use xtask::command;

/// Valid; each test spoils one passage.
const AGENT: &str = r#"[agent]
socket = "/tmp/agent.sock"

[filter]
interfaces = ["eth0"]
capacity = 1024

[portal]
user = 901
endpoints = ["192.0.2.1:8443"]

[grants]
default = "8h"

[[service]]
name = "web"
targets = ["198.51.100.10 tcp/80"]
groups = ["staff"]

[[service]]
name = "ssh"
targets = ["198.51.100.10 tcp/22"]
groups = ["admins"]
"#;

const PORTAL: &str = r#"[portal]
name = "Example Corp access"
issuer = "Example Corp"
contact = "IT desk"
listen = ["192.0.2.1:8443"]

[tls]
self_signed = "/var/lib/sekisho-portal/tls"

[directory]
kind = "local"
file = "/etc/sekisho/users.toml"
"#;

/// Exit code and words of `check` on a text.
fn check(binary: &Path, text: &str) -> Result<(Option<i32>, String)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("given.toml");
    fs::write(&file, text)?;
    let mut command = Command::new(binary);
    // The agent's verb takes the option, the portal's command has it; both accept this order.
    if binary.ends_with("sekisho") {
        command.args(["check", "--config"]).arg(&file);
    } else {
        command.arg("--config").arg(&file).arg("check");
    }
    let output = command.output()?;
    Ok((output.status.code(), both(&output)))
}

/// Replaces the first `from`; the complaint must point at the line of `to` and say `words`.
fn spoiled(binary: &Path, good: &str, from: &str, to: &str, words: &[&str]) -> Result<()> {
    let text = tests::rig::replaced(good, from, to)?;
    let (code, said) = check(binary, &text)?;
    ensure!(
        code == Some(64),
        "{to:?}: exit {code:?}, expected 64:\n{said}"
    );
    let start = good
        .find(from)
        .with_context(|| format!("where is {from:?}"))?;
    let first = 1 + good.get(..start).unwrap_or_default().matches('\n').count();
    let mut lines = first..=first + to.matches('\n').count();
    ensure!(
        lines.any(|line| said.contains(&format!("given.toml:{line}:"))),
        "{to:?}: does not point at line {first}:\n{said}"
    );
    for word in words {
        ensure!(
            said.contains(word),
            "{to:?}: does not say {word:?}:\n{said}"
        );
    }
    ensure!(!said.contains("panicked"), "{said}");
    Ok(())
}

#[test]
fn annotated_samples_are_accepted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let deploy = command::root().join("deploy");
    let mut agent = tools::as_installed(folder.path(), &tools::sekisho()?)?;
    agent
        .args(["check", "--config"])
        .arg(deploy.join("agent.toml"));
    // The portal's verb also looks at key, certificate and directory, which are not here; its
    // first line is about the configuration alone.
    let mut portal = tools::as_installed(folder.path(), &tools::portal()?)?;
    portal
        .arg("--config")
        .arg(deploy.join("portal.toml"))
        .arg("check");
    for mut check in [agent, portal] {
        let output = check.output()?;
        let said = both(&output);
        let accepted = output.status.success() || said.contains("the configuration is valid");
        ensure!(accepted && output.status.code() != Some(64), "{said}");
    }
    Ok(())
}

/// The same file with every setting that is only mentioned taken into use. `but`: sections that
/// show two ways of which one counts.
fn with_all_settings(text: &str, but: &[&str]) -> String {
    let mut section = "";
    let lines = text.lines().map(|line| {
        if line.starts_with('[') {
            section = line;
        }
        match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') && !but.contains(&section) => setting,
            _ => line,
        }
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// What a comment shows as a default must be something that can be written there.
#[test]
fn settings_in_comments_are_valid_too() -> Result<()> {
    let deploy = command::root().join("deploy");
    let agent = fs::read_to_string(deploy.join("agent.toml"))?;
    let agent = tests::rig::replaced(&agent, "user = \"sekisho-portal\"", "user = 901")?;
    let portal = fs::read_to_string(deploy.join("portal.toml"))?;
    for (binary, text) in [
        (tools::sekisho()?, with_all_settings(&agent, &[])),
        (
            tools::portal()?,
            with_all_settings(&portal, &["[tls]", "[directory]"]),
        ),
    ] {
        let (code, said) = check(&binary, &text)?;
        let accepted = code == Some(0) || said.contains("the configuration is valid");
        ensure!(
            accepted && code != Some(64),
            "exit {code:?}:\n{said}\n{text}"
        );
    }
    let ldap = portal.replace("kind = \"local\"\nfile = \"/etc/sekisho/users.toml\"\n", "");
    let ldap = with_all_settings(&ldap, &["[tls]"]);
    let (code, said) = check(&tools::portal()?, &ldap)?;
    ensure!(code != Some(64), "exit {code:?}:\n{said}\n{ldap}");
    Ok(())
}

/// The promises a reader of the units relies on.
#[test]
fn units_run_apart_and_leave_the_filter_in_force() -> Result<()> {
    let unit = |name: &str| fs::read_to_string(command::root().join("deploy").join(name));
    let (agent, portal) = (
        unit("sekisho-agent.service")?,
        unit("sekisho-portal.service")?,
    );
    let sets = |unit: &str, line: &str| unit.lines().any(|found| found == line);
    ensure!(sets(&portal, "User=sekisho-portal") && sets(&portal, "CapabilityBoundingSet="));
    ensure!(
        !agent.lines().any(|line| line.starts_with("User=")),
        "the agent runs as root"
    );
    for unit in [&agent, &portal] {
        ensure!(
            !unit.lines().any(|line| line.starts_with("ExecStop")),
            "stopping must not detach"
        );
        for line in [
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "RestartPreventExitStatus=64",
        ] {
            ensure!(sets(unit, line), "{line} is missing");
        }
    }
    Ok(())
}

/// A sample that leaves out a setting hides it from its readers.
#[test]
fn annotated_samples_mention_every_setting() -> Result<()> {
    let folder = command::root().join("deploy");
    let agent = fs::read_to_string(folder.join("agent.toml"))?;
    for key in [
        "socket",
        "ledger",
        "operators",
        "interfaces",
        "xdp_mode",
        "mode",
        "capacity",
        "other_ports",
        "protect",
        "bpffs",
        "debug_log",
        "user",
        "endpoints",
        "default",
        "max",
        "idle",
        "name",
        "kind",
        "targets",
        "groups",
        "allow",
    ] {
        ensure!(
            agent.contains(&format!("{key} = ")),
            "deploy/agent.toml does not mention {key}"
        );
    }
    let portal = fs::read_to_string(folder.join("portal.toml"))?;
    for key in [
        "name",
        "issuer",
        "contact",
        "listen",
        "data",
        "key_file",
        "agent_socket",
        "account",
        "public_url",
        "time_zone",
        "source_per_minute",
        "failures_in_a_row",
        "refusal_ms",
        "cookie_max",
        "factors",
        "sources",
        "enrol_at_first_login",
        "default_language",
        "certificate",
        "key",
        "self_signed",
        "trusted",
        "proxy_protocol",
        "kind",
        "file",
        "urls",
        "starttls",
        "ca",
        "bind_dn",
        "bind_password_file",
        "base",
        "user_filter",
        "group_filter",
        "mail_attribute",
        "server",
        "password_file",
        "operators",
        "templates",
        "favicon",
        "feedback",
        "networks",
        "hours",
        "covers",
        "approver_mail",
        "every",
    ] {
        ensure!(
            portal.contains(&format!("{key} = ")),
            "deploy/portal.toml does not mention {key}"
        );
    }
    Ok(())
}

#[test]
fn good_texts_are_good() -> Result<()> {
    for (binary, text) in [(tools::sekisho()?, AGENT), (tools::portal()?, PORTAL)] {
        let (code, said) = check(&binary, text)?;
        let accepted = code == Some(0) || said.contains("the configuration is valid");
        ensure!(accepted && code != Some(64), "exit {code:?}:\n{said}");
    }
    Ok(())
}

#[test]
fn agent_refuses_unknown_keys() -> Result<()> {
    let agent = tools::sekisho()?;
    spoiled(
        &agent,
        AGENT,
        "capacity = 1024",
        "capacitty = 1024",
        &["capacitty"],
    )?;
    spoiled(&agent, AGENT, "[grants]", "[grant]", &["grant"])?;
    spoiled(
        &agent,
        AGENT,
        "name = \"ssh\"",
        "name = \"ssh\"\nport = 22",
        &["port"],
    )
}

#[test]
fn agent_refuses_two_services_on_one_target() -> Result<()> {
    let agent = tools::sekisho()?;
    let twice = "targets = [\"198.51.100.10 tcp/80\", \"198.51.100.10 tcp/22\"]";
    spoiled(
        &agent,
        AGENT,
        "targets = [\"198.51.100.10 tcp/22\"]",
        twice,
        &["web", "tcp/80"],
    )
}

#[test]
fn agent_refuses_a_service_nobody_may_open() -> Result<()> {
    let agent = tools::sekisho()?;
    spoiled(
        &agent,
        AGENT,
        "groups = [\"admins\"]",
        "groups = []",
        &["ssh", "group"],
    )?;
    spoiled(
        &agent,
        AGENT,
        "groups = [\"admins\"]",
        "groups = [\"\"]",
        &["ssh", "group"],
    )
}

#[test]
fn agent_refuses_to_shut_its_own_portal() -> Result<()> {
    let agent = tools::sekisho()?;
    let inside = "targets = [\"192.0.2.0/24 tcp/8000-9000\"]";
    spoiled(
        &agent,
        AGENT,
        "targets = [\"198.51.100.10 tcp/22\"]",
        inside,
        &["portal", "8443"],
    )
}

#[test]
fn agent_refuses_what_cannot_be() -> Result<()> {
    let agent = tools::sekisho()?;
    for (from, to, words) in [
        (
            "interfaces = [\"eth0\"]",
            "interfaces = []",
            &["interface"][..],
        ),
        ("capacity = 1024", "capacity = 0", &["capacity"]),
        ("capacity = 1024", "capacity = \"many\"", &[]),
        ("default = \"8h\"", "default = \"8 fortnights\"", &[]),
        ("default = \"8h\"", "default = \"48h\"", &["max"]),
        ("user = 901", "user = 0", &["root"]),
        ("user = 901", "user = \"nosuchuser\"", &["nosuchuser"]),
        ("\"192.0.2.1:8443\"", "\"192.0.2.1\"", &["192.0.2.1"]),
        ("198.51.100.10 tcp/80", "198.51.100.10 tcp/0", &[]),
        ("198.51.100.10 tcp/80", "198.51.100.10 tcp/90-80", &[]),
        (
            "198.51.100.10 tcp/80",
            "198.51.100.300 tcp/80",
            &["198.51.100.300"],
        ),
        ("198.51.100.10 tcp/80", "198.51.100.10/33 tcp/80", &[]),
        ("name = \"ssh\"", "name = \"web\"", &["web"]),
        ("name = \"ssh\"", "name = \"portal\"", &["portal"]),
        ("name = \"ssh\"", "name = \"a b\"", &[]),
    ] {
        spoiled(&agent, AGENT, from, to, words)?;
    }
    Ok(())
}

#[test]
fn agent_says_everything_that_is_wrong_at_once() -> Result<()> {
    let text = AGENT
        .replace("capacity = 1024", "capacity = 0")
        .replace("[\"admins\"]", "[]");
    let (code, said) = check(&tools::sekisho()?, &text)?;
    ensure!(
        code == Some(64) && said.contains(":6:") && said.contains("ssh"),
        "{said}"
    );
    Ok(())
}

#[test]
fn agent_names_a_file_that_is_not_there_or_not_toml() -> Result<()> {
    let mut command = Command::new(tools::sekisho()?);
    let output = command
        .args(["check", "--config", "/nonexistent/agent.toml"])
        .output()?;
    let text = both(&output);
    ensure!(output.status.code() == Some(64), "{text}");
    ensure!(text.contains("/nonexistent/agent.toml"), "{text}");
    let (code, said) = check(&tools::sekisho()?, "[filter\ninterfaces = 1\n")?;
    ensure!(code == Some(64) && said.contains("given.toml:1:"), "{said}");
    Ok(())
}

/// `run` refuses exactly as `check` does, before it asks whether it is root.
#[test]
fn run_refuses_a_bad_configuration_before_anything_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("agent.toml");
    fs::write(&file, AGENT.replace("capacity = 1024", "capacity = 0"))?;
    let output = Command::new("timeout")
        .arg("10")
        .arg(tools::sekisho()?)
        .args(["run", "--config"])
        .arg(&file)
        .output()?;
    ensure!(output.status.code() == Some(64), "{}", both(&output));
    Ok(())
}

#[test]
fn portal_refuses_what_cannot_be() -> Result<()> {
    let portal = tools::portal()?;
    for (from, to, words) in [
        (
            "contact = \"IT desk\"",
            "contacts = \"IT desk\"",
            &["contacts"][..],
        ),
        ("listen = [\"192.0.2.1:8443\"]", "listen = []", &["listen"]),
        (
            "listen = [\"192.0.2.1:8443\"]",
            "listen = [\"192.0.2.1\"]",
            &[],
        ),
        (
            "issuer = \"Example Corp\"",
            "issuer = \"Example: Corp\"",
            &["issuer"],
        ),
        ("kind = \"local\"", "kind = \"oracle\"", &["oracle"]),
    ] {
        spoiled(&portal, PORTAL, from, to, words)?;
    }
    let plain = "[directory]\nkind = \"ldap\"\nurls = [\"ldap://dc1\"]\nbase = \"dc=example\"\n";
    let (start, _) = PORTAL.split_once("[directory]").context("no directory")?;
    let (code, said) = check(&portal, &format!("{start}{plain}"))?;
    ensure!(
        code == Some(64) && said.contains("ldaps"),
        "a plain connection: {said}"
    );
    let limits = format!("{PORTAL}\n[limits]\nrefusal_ms = 1\n");
    let (code, said) = check(&portal, &limits)?;
    ensure!(code == Some(64) && said.contains("250"), "a bound: {said}");
    Ok(())
}

#[test]
fn portal_refuses_hours_and_networks_that_are_none_at_their_place() -> Result<()> {
    let portal = tools::portal()?;
    let good = format!(
        "{PORTAL}\n[enrolment]\nnetworks = [\"192.0.2.0/24\"]\nhours = [\"mon-fri 08:00-18:00\"]\n\n\
         [review]\nevery = \"365d\"\n"
    );
    let (code, said) = check(&portal, &good)?;
    ensure!(code != Some(64), "{said}");
    for (from, to, words) in [
        (
            "mon-fri 08:00-18:00",
            "mon-fri",
            &["mon-fri 08:00-18:00"][..],
        ),
        ("mon-fri 08:00-18:00", "mon 22:00-06:00", &["two entries"]),
        ("\"192.0.2.0/24\"", "\"office\"", &[]),
        ("365d", "1d", &["not within 30d to 3650d"]),
    ] {
        spoiled(&portal, &good, from, to, words)?;
    }
    let empty = good.replace("hours = ", "covers = []\nhours = ");
    let (code, said) = check(&portal, &empty)?;
    ensure!(code == Some(64) && said.contains("covers"), "{said}");
    // No way back is allowed, and said.
    let closed = format!("{good}\n[recovery]\nopens = \"nothing\"\n");
    let (code, said) = check(&portal, &closed)?;
    ensure!(
        code != Some(64) && said.contains("warning: [enrolment]"),
        "{said}"
    );
    Ok(())
}
