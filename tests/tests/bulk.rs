//! Lists of people and reports against a real directory and a real agent, as an operator runs them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    slapd::{BASE, Certificates, SEARCHER, SEARCHER_PASSWORD, Slapd},
    tools::{self, both},
};

/// slapd with alice and bob, an agent with `web` for staff and `ssh` for admins.
struct Site {
    config: PathBuf,
    _slapd: Slapd,
    _agent: Agent,
    rig: Rig,
}

impl Site {
    fn open(more: &str) -> Result<Self> {
        let rig = Rig::gateway()?;
        let agent = Agent::start(&rig)?;
        let certificates = Certificates::make(&rig.path("tls"), "IP:127.0.0.1")?;
        let slapd = Slapd::start(&rig.path("slapd"), &certificates)?;
        let secret = rig.path("search.password");
        fs::write(&secret, SEARCHER_PASSWORD)?;
        let (config, folder) = (rig.path("portal.toml"), rig.folder().display());
        fs::write(
            &config,
            format!(
                "[portal]\nname = \"Test\"\nissuer = \"Test\"\ncontact = \"desk\"\n\
                 listen = [\"127.0.0.1:1\"]\ndata = \"{folder}/data\"\n\
                 key_file = \"{folder}/portal.key\"\nagent_socket = \"{folder}/agent.sock\"\n\
                 [tls]\nself_signed = \"{folder}/data/tls\"\n\
                 [directory]\nkind = \"ldap\"\nurls = [{:?}]\nca = {:?}\nbind_dn = \"{SEARCHER}\"\n\
                 bind_password_file = {secret:?}\nbase = \"{BASE}\"\ntimeout = \"3s\"\n{more}",
                slapd.ldaps(),
                certificates.ca,
            ),
        )?;
        let site = Self {
            config,
            _slapd: slapd,
            _agent: agent,
            rig,
        };
        let key = site.rig.path("portal.key");
        site.ok(&["key", "new", "--out", &key.to_string_lossy()])?;
        Ok(site)
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(tools::portal()?);
        command.arg("--config").arg(&self.config).args(arguments);
        command.output().context("cannot start sekisho-portal")
    }

    fn ok(&self, arguments: &[&str]) -> Result<String> {
        let said = self.run(arguments)?;
        ensure!(said.status.success(), "{arguments:?}: {}", both(&said));
        Ok(String::from_utf8(said.stdout)?)
    }

    fn tickets(&self) -> Result<usize> {
        let list: serde_json::Value =
            serde_json::from_str(&self.ok(&["--json", "ticket", "list"])?)?;
        Ok(list.as_array().context("no list")?.len())
    }
}

#[test]
fn a_list_of_people_gives_tickets_to_the_right_half_of_it() -> Result<()> {
    let site = Site::open("")?;
    let file = site.rig.path("people.ldif");
    fs::write(
        &file,
        "version: 1\n# exported\ndn: uid=alice,ou=people,dc=example,dc=org\nuid:: YWxpY2U=\n\n\
         dn: cn=nobody,dc=example,dc=org\ncn: nobody\n\n\
         dn: uid=carol,dc=example,dc=org\nuid: car\n ol\n\ndn: uid=bob,dc=example\nuid: bob\n",
    )?;
    let file = file.to_string_lossy().into_owned();
    let dry = site.run(&["--json", "import", "people", &file])?;
    ensure!(dry.status.code() == Some(1), "{}", both(&dry));
    let said: serde_json::Value = serde_json::from_slice(&dry.stdout)?;
    let results: Vec<&str> = said["lines"]
        .as_array()
        .context("no lines")?
        .iter()
        .filter_map(|line| line["status"].as_str())
        .collect();
    ensure!(
        results == ["ok", "bad-line", "unknown-person", "ok"],
        "{said}"
    );
    ensure!(
        said["lines"][2]["user"] == "carol" && said["applied"] == false,
        "{said}"
    );
    ensure!(site.tickets()? == 0, "a dry run issued something");

    let out = site.rig.path("codes.csv");
    let out_text = out.to_string_lossy().into_owned();
    let done = site.run(&["import", "people", &file, "--apply", "--out", &out_text])?;
    ensure!(done.status.code() == Some(1), "{}", both(&done));
    ensure!(site.tickets()? == 2);
    ensure!(fs::metadata(&out)?.permissions().mode() & 0o777 == 0o600);
    let codes = fs::read_to_string(&out)?;
    ensure!(codes.lines().count() == 3, "{codes}");
    let code = codes.lines().nth(1).and_then(|row| row.split(',').nth(2));
    ensure!(
        !both(&done).contains(code.context("no code")?),
        "a code is on the screen"
    );
    Ok(())
}

#[test]
fn reports_list_the_directory_page_by_page_with_both_ways_of_groups() -> Result<()> {
    for more in [
        "",
        "member_of = \"none\"\ngroup_base = \"ou=groups,dc=example,dc=org\"\n",
    ] {
        let site = Site::open(more)?;
        let none = site.ok(&["report", "no-second-factor", "--format", "csv"])?;
        ensure!(
            none == "user,groups,mail\r\nalice,staff,shared@example.org\r\n\
                     bob,admins staff,shared@example.org\r\n",
            "{none}"
        );
        let groups = site.ok(&["--json", "report", "enrolment"])?;
        let groups: serde_json::Value = serde_json::from_str(&groups)?;
        ensure!(
            groups
                == serde_json::json!([
                    { "group": "admins", "people": 1, "enrolled": 0, "share": 0.0 },
                    { "group": "staff", "people": 2, "enrolled": 0, "share": 0.0 },
                ]),
            "{groups}"
        );
        let table = site.ok(&["report", "no-second-factor"])?;
        ensure!(
            table.contains("alice") && !table.contains("\r\n"),
            "{table}"
        );
    }
    Ok(())
}
