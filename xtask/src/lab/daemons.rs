//! Starts what runs in the laboratory: servers, agent, portal; and fills in its people.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{
    config,
    layout::{self, HOME, Layout, PORTAL_UID, home},
    process::{self, Process, log_file},
    record::{Addresses, Bin, Interfaces, Lab, Namespaces, Portal, User},
};
use crate::{build::Binaries, command, net::Namespace};

/// Names in the list of processes.
pub(super) const AGENT: &str = "agent";
const PORTAL: &str = "portal";
const WEB: &str = "web";
const ECHO: &str = "echo";

pub(super) fn start(layout: &Layout, binaries: &Binaries) -> Result<Lab> {
    folders()?;
    install(&binaries.sekisho, "sekisho")?;
    install(&binaries.portal, "sekisho-portal")?;
    // By this name, since the build just now may have replaced the file we were started from.
    install(Path::new("/proc/self/exe"), "xtask")?;
    fs::write(home("agent.toml"), config::agent(layout)?)?;
    fs::write(home("portal.toml"), config::portal(layout))?;
    servers(&layout.server)?;
    let lab = describe(layout, config::people()?);
    start_agent(&lab)?;
    enrol(&lab)?;
    start_portal(layout, &lab)?;
    Ok(lab)
}

fn folders() -> Result<()> {
    for name in ["", "agent", "bin", "bpf", "log", "portal", "www"] {
        fs::create_dir_all(home(name)).with_context(|| format!("cannot make {HOME}/{name}"))?;
    }
    chown(home("portal"), Some(PORTAL_UID), Some(PORTAL_UID))?;
    let none: Option<&str> = None;
    mount(
        Some("bpf"),
        &home("bpf"),
        Some("bpf"),
        MsFlags::empty(),
        none,
    )
    .context("cannot mount a bpf file system")
}

/// Copies a program to where every user may start it; the build folder may be private.
fn install(program: &Path, name: &str) -> Result<()> {
    let copy = home("bin").join(name);
    fs::copy(program, &copy).with_context(|| format!("cannot copy {}", program.display()))?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// An ordinary web server with something large to fetch, and an echo on other ports.
fn servers(server: &Namespace) -> Result<()> {
    fs::write(home("www/index.html"), "<h1>behind the gate</h1>\n")?;
    // Takes no room: nothing was ever written into it.
    fs::File::create(home("www/large"))?.set_len(1 << 40)?;
    let python = if Path::new("/usr/bin/python3").exists() {
        "/usr/bin/python3"
    } else {
        "python3"
    };
    let mut web = server.command(python);
    web.args(["-m", "http.server", "80", "--bind", "::", "--directory"])
        .arg(home("www"));
    let web = Process::start(WEB, web)?;
    let mut echo = server.command(home("bin/xtask"));
    echo.args(["serve-echo", "--udp", "7", "--tcp", "7", "--tcp", "22"]);
    let echo = Process::start(ECHO, echo)?;
    let local = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    for (process, port) in [(web, config::WEB), (echo, config::SSH)] {
        wait_for(&process, || {
            server
                .connect(local(port), Duration::from_millis(200))
                .is_ok_and(|r| r.is_ok())
        })?;
    }
    Ok(())
}

/// Starts the agent and returns when it answers.
pub(super) fn start_agent(lab: &Lab) -> Result<Process> {
    let mut agent = Namespace::named(&*lab.namespaces.gate).command(&lab.bin.sekisho);
    agent.arg("run").arg("--config").arg(&lab.config);
    let agent = Process::start(AGENT, agent)?;
    wait_for(&agent, || {
        command::output(lab.sekisho().arg("status")).is_ok()
    })?;
    Ok(agent)
}

fn start_portal(layout: &Layout, lab: &Lab) -> Result<()> {
    let mut portal = layout.gate.command_as(PORTAL_UID, &lab.bin.portal);
    portal.arg("--config").arg(home("portal.toml")).arg("run");
    let portal = Process::start(PORTAL, portal)?;
    let url = format!("{}/health", lab.portal.url_v4);
    wait_for(&portal, || {
        let mut curl = layout.gate.command("curl");
        curl.args(["--silent", "--fail", "--max-time", "2", "--cacert"])
            .arg(&lab.portal.ca);
        command::output(curl.arg(&url)).is_ok()
    })
}

/// People with a password in the local directory, and the token each already has.
fn enrol(lab: &Lab) -> Result<()> {
    admin(
        lab,
        &[
            "key",
            "new",
            "--out",
            &home("portal/portal.key").to_string_lossy(),
        ],
        "",
    )?;
    for (user, (name, group)) in lab.users.iter().zip(config::PEOPLE) {
        admin(
            lab,
            &["user", "add", name, "--group", group],
            &user.password,
        )?;
        admin(
            lab,
            &["token", "import", "--user", name, "--name", "phone"],
            &user.totp_secret,
        )?;
    }
    Ok(())
}

/// One of the portal's own verbs, with a secret on its standard input.
fn admin(lab: &Lab, arguments: &[&str], secret: &str) -> Result<()> {
    let mut words = lab.portal_admin.iter();
    let mut command = Command::new(words.next().context("portal_admin is empty")?);
    command::piped(command.args(words).args(arguments), &format!("{secret}\n"))?;
    Ok(())
}

fn describe(layout: &Layout, users: Vec<User>) -> Lab {
    let [url_v4, url_v6] = layout
        .portal_endpoints()
        .map(|endpoint| format!("https://{endpoint}"));
    let name = |namespace: &Namespace| namespace.name().to_owned();
    let path = |name: &str| home(name).to_string_lossy().into_owned();
    let uid = PORTAL_UID.to_string();
    Lab {
        namespaces: Namespaces {
            client: name(&layout.client),
            neighbour: name(&layout.neighbour),
            gate: name(&layout.gate),
            server: name(&layout.server),
        },
        addresses: Addresses {
            client_v4: layout.client_at.v4.to_string(),
            client_v6: layout.client_at.v6.to_string(),
            neighbour_v4: layout.neighbour_at.v4.to_string(),
            neighbour_v6: layout.neighbour_at.v6.to_string(),
            gate_v4: layout.gate_at.v4.to_string(),
            gate_v6: layout.gate_at.v6.to_string(),
            server_v4: layout.server_at.v4.to_string(),
            server_v6: layout.server_at.v6.to_string(),
        },
        interfaces: Interfaces {
            client: layout::ETH.to_owned(),
            gate_outer: layout::OUTER.to_owned(),
            gate_inner: layout.gate_inner().to_owned(),
            server: layout.server_interface().to_owned(),
        },
        portal: Portal {
            url_v4,
            url_v6,
            ca: home("portal/tls/ca.pem"),
        },
        users,
        services: config::services(layout),
        agent_socket: home("agent/agent.sock"),
        portal_admin: vec![
            "setpriv".into(),
            format!("--reuid={uid}"),
            format!("--regid={uid}"),
            "--clear-groups".into(),
            "--".into(),
            path("bin/sekisho-portal"),
            "--config".into(),
            path("portal.toml"),
        ],
        config: home("agent.toml"),
        bin: Bin {
            sekisho: home("bin/sekisho"),
            portal: home("bin/sekisho-portal"),
        },
    }
}

/// Waits until a process does its work; an error if it ends first or takes 20 seconds.
fn wait_for(process: &Process, mut ready: impl FnMut() -> bool) -> Result<()> {
    for _ in 0..400 {
        if ready() {
            return Ok(());
        }
        if !process.is_alive() {
            bail!("{} ended instead of starting", process.name);
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("{} was not ready within 20 s", process.name)
}

/// The last lines of every log, for the reader of a failure.
pub(super) fn show_logs() {
    for name in [AGENT, PORTAL, ECHO, WEB] {
        let text = fs::read_to_string(log_file(name)).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(20)) {
            println!("{name}: {line}");
        }
    }
}

pub(super) fn stop() -> Result<()> {
    // The last started first: the portal needs the agent, the agent needs nobody.
    for process in process::remembered().iter().rev() {
        process.stop();
    }
    let bpf = home("bpf");
    // With its last mount the file system goes, and with its pins the filter.
    for _ in 0..8 {
        if umount2(&bpf, MntFlags::MNT_DETACH).is_err() {
            break;
        }
    }
    Ok(())
}

pub(super) fn remove_files() -> Result<()> {
    if Path::new(HOME).exists() {
        fs::remove_dir_all(HOME).with_context(|| format!("cannot remove {HOME}"))?;
    }
    Ok(())
}
