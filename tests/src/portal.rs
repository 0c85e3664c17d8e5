//! The portal under test: `sekisho-portal run` as a child process under its own user, its verbs,
//! its people, and browsers that talk to it.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use xtask::{
    codes::Phone,
    command,
    curl::{Browser, Page},
    lab::PORTAL_UID,
    net::Namespace,
};

use crate::{
    Rig,
    tools::{self, Daemon},
};

/// Base32 of 160 bits that every test may know.
pub const ALICE_SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
pub const BOB_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
pub const ALICE_PASSWORD: &str = "correct horse battery staple";
pub const BOB_PASSWORD: &str = "hunter2 hunter2";

/// A running portal. Ended when dropped.
pub struct Portal {
    pub daemon: Daemon,
    pub config: PathBuf,
    folder: PathBuf,
    layout: xtask::lab::Layout,
}

/// The portal's files of a rig, before or while it runs.
pub struct Office {
    pub config: PathBuf,
    folder: PathBuf,
    layout: xtask::lab::Layout,
}

impl Office {
    /// Makes folder, key and configuration; no people yet.
    pub fn open(rig: &Rig) -> Result<Self> {
        Self::open_with(rig, &portal_config(rig))
    }

    pub fn open_with(rig: &Rig, config: &str) -> Result<Self> {
        let folder = rig.path("portal");
        fs::create_dir_all(&folder)?;
        chown(&folder, Some(PORTAL_UID), Some(PORTAL_UID))?;
        let office = Self {
            config: rig.path("portal.toml"),
            folder: folder.clone(),
            layout: rig.layout.clone(),
        };
        fs::write(&office.config, config)?;
        office.admin_ok(
            &[
                "key",
                "new",
                "--out",
                &folder.join("portal.key").to_string_lossy(),
            ],
            "",
        )?;
        Ok(office)
    }

    /// Alice of staff and bob of admins, each with a token already.
    pub fn with_people(self) -> Result<Self> {
        self.user("alice", "staff", ALICE_PASSWORD)?;
        self.user("bob", "admins", BOB_PASSWORD)?;
        self.token("alice", ALICE_SECRET)?;
        self.token("bob", BOB_SECRET)?;
        Ok(self)
    }

    pub fn user(&self, name: &str, group: &str, password: &str) -> Result<()> {
        self.admin_ok(&["user", "add", name, "--group", group], password)
            .map(drop)
    }

    pub fn token(&self, user: &str, secret: &str) -> Result<()> {
        self.admin_ok(
            &["token", "import", "--user", user, "--name", "phone"],
            secret,
        )
        .map(drop)
    }

    /// One of the portal's verbs, with a line on its standard input; what it printed.
    pub fn admin_ok(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = self.command()?;
        command.arg("--config").arg(&self.config).args(arguments);
        command::piped(&mut command, &format!("{input}\n"))
    }

    /// One of the portal's verbs, whatever the outcome.
    pub fn admin(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command()?;
        command.arg("--config").arg(&self.config).args(arguments);
        command.output().context("cannot start sekisho-portal")
    }

    /// Starts the portal and waits until it is healthy.
    pub fn run(&self, rig: &Rig) -> Result<Portal> {
        let mut command = self.command()?;
        command
            .arg("--config")
            .arg(&self.config)
            .arg("run")
            .env("RUST_LOG", "debug");
        let daemon = Daemon::start("portal", command, rig.path("portal.log"))?;
        let mut portal = Portal {
            daemon,
            config: self.config.clone(),
            folder: self.folder.clone(),
            layout: self.layout.clone(),
        };
        let gate = portal.browser(&self.layout.gate, "health");
        let url = format!("{}/health", portal.url());
        portal
            .daemon
            .ready(|| gate.get(&url).is_ok_and(|page| page.status == 200))?;
        Ok(portal)
    }

    fn command(&self) -> Result<Command> {
        as_portal(&self.layout.gate, &tools::portal()?)
    }
}

impl Portal {
    /// Files, people and the running portal in one go.
    pub fn start(rig: &Rig) -> Result<(Office, Self)> {
        let office = Office::open(rig)?.with_people()?;
        let portal = office.run(rig)?;
        Ok((office, portal))
    }

    /// `https://…` over IPv4.
    pub fn url(&self) -> String {
        let [v4, _] = self.layout.portal_endpoints();
        format!("https://{v4}")
    }

    /// `https://…` over IPv6.
    pub fn url_v6(&self) -> String {
        let [_, v6] = self.layout.portal_endpoints();
        format!("https://{v6}")
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.join("tls/ca.pem")
    }

    /// A browser in a namespace, with cookies of its own under a name.
    pub fn browser(&self, at: &Namespace, name: &str) -> Browser {
        let cookies = self.folder.with_file_name(format!("cookies-{name}"));
        Browser::new(Some(at.clone()), &self.ca(), cookies)
    }

    /// Posts the log-in form.
    pub fn log_in(
        &self,
        browser: &Browser,
        user: &str,
        password: &str,
        code: &str,
    ) -> Result<Page> {
        let form = [("username", user), ("password", password), ("code", code)];
        browser.post(&format!("{}/login", self.url()), &form)
    }
}

/// Alice at the client, with her phone.
pub struct Alice {
    pub browser: Browser,
    pub phone: Phone,
}

impl Alice {
    pub fn at_client(portal: &Portal) -> Self {
        Self {
            browser: portal.browser(&portal.layout.client, "alice"),
            phone: Phone::new(ALICE_SECRET),
        }
    }

    /// Logs in with everything right; an error unless she is in.
    pub fn log_in(&mut self, portal: &Portal) -> Result<Page> {
        let code = self.phone.fresh()?;
        let page = portal.log_in(&self.browser, "alice", ALICE_PASSWORD, &code)?;
        ensure!(
            page.status == 303,
            "log-in answered {}:\n{}",
            page.status,
            page.body
        );
        Ok(page)
    }
}

/// The usual configuration of a rig's portal.
pub fn portal_config(rig: &Rig) -> String {
    let folder = rig.folder().display();
    format!(
        r#"[portal]
name = "Example Corp access"
issuer = "Example Corp"
contact = "IT desk, ext. 1234"
listen = {:?}
data = "{folder}/portal"
key_file = "{folder}/portal/portal.key"
agent_socket = "{folder}/agent.sock"

[tls]
self_signed = "{folder}/portal/tls"

[directory]
kind = "local"
file = "{folder}/portal/users.toml"
"#,
        rig.layout
            .portal_endpoints()
            .map(|endpoint| endpoint.to_string())
    )
}

/// A command as the portal's user without any privilege. The program is opened before privileges
/// go, since the build folder may lie in a home that nobody else may enter.
pub fn as_portal(gate: &Namespace, program: &Path) -> Result<Command> {
    const SCRIPT: &str = "exec 9<\"$0\"; uid=$1; shift; \
         exec setpriv --reuid=\"$uid\" --regid=\"$uid\" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- /proc/self/fd/9 \
         \"$@\"";
    ensure!(program.is_file(), "{} is missing", program.display());
    let mut command = gate.command("sh");
    command
        .args(["-c", SCRIPT])
        .arg(program)
        .arg(PORTAL_UID.to_string());
    Ok(command)
}

/// An error unless a refusal came with this status.
pub fn must_refuse(page: &Page, status: u16) -> Result<()> {
    ensure!(
        page.status == status,
        "expected {status}, got {}:\n{}",
        page.status,
        page.body
    );
    ensure!(
        page.body.contains("role=\"alert\""),
        "no alert on the page:\n{}",
        page.body
    );
    ensure!(
        page.body.contains("data-request-id"),
        "no request id on the page:\n{}",
        page.body
    );
    Ok(())
}
