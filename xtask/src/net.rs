//! Network namespaces through `ip`, the tool every administrator can repeat by hand. Makes and
//! removes only namespaces that its caller named.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns};

use crate::{clock, command};

/// One network namespace, by name. Dropping the value does nothing; [`Namespace::remove`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// Names a namespace that may or may not exist yet.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// The file that holds the namespace while it exists.
    pub fn file(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.0)
    }

    pub fn exists(&self) -> bool {
        self.file().exists()
    }

    /// Makes it, with loopback up and without the kernel's own chatter: no duplicate address
    /// detection (addresses work at once) and no router solicitations.
    pub fn create(&self) -> Result<()> {
        command::output(Command::new("ip").args(["netns", "add", &self.0]))?;
        self.sysctl(&[
            ("net.ipv6.conf.all.accept_dad", "0"),
            ("net.ipv6.conf.default.accept_dad", "0"),
            ("net.ipv6.conf.all.accept_ra", "0"),
            ("net.ipv6.conf.default.accept_ra", "0"),
            ("net.ipv6.conf.default.router_solicitations", "0"),
        ])?;
        self.ip(["link set lo up"])
    }

    /// Removes it if it exists.
    pub fn remove(&self) -> Result<()> {
        if self.exists() {
            command::output(Command::new("ip").args(["netns", "delete", &self.0]))?;
        }
        Ok(())
    }

    /// Runs lines of `ip` (without the word `ip`) inside, in one go.
    pub fn ip<'a>(&self, lines: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let text: String = lines.into_iter().flat_map(|line| [line, "\n"]).collect();
        let mut child = Command::new("ip")
            .args(["-netns", &self.0, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start ip")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("ip in namespace {}: {complaint}after:\n{text}", self.0);
        }
        Ok(())
    }

    /// Sets kernel settings of this namespace.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<()> {
        let mut script = String::new();
        for (name, value) in settings {
            script.push_str(&format!(
                "echo {value} > /proc/sys/{}\n",
                name.replace('.', "/")
            ));
        }
        command::output(self.command("sh").args(["-e", "-c", &script]))?;
        Ok(())
    }

    /// A command that will run inside. The process is the program itself, so its pid is the
    /// child's; only the network differs from ours, not the mounts.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.file().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Like [`Namespace::command`], as another user without any privilege.
    pub fn command_as(&self, uid: u32, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.command("setpriv");
        command
            .args([format!("--reuid={uid}"), format!("--regid={uid}")])
            .args([
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
                "--no-new-privs",
            ])
            .arg("--")
            .arg(program);
        command
    }

    /// Runs `work` on a thread of its own that has moved inside. Sockets it returns stay inside.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = File::open(self.file()).with_context(|| format!("no namespace {}", self.0))?;
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET)?;
                Ok::<T, nix::Error>(work())
            });
            match worker.join() {
                Ok(result) => result.with_context(|| format!("cannot enter {}", self.0)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Opens a TCP connection from inside; the time it took, or why there is none.
    pub fn connect(&self, to: SocketAddr, patience: Duration) -> Result<io::Result<Duration>> {
        self.inside(|| {
            let start = clock::instant();
            TcpStream::connect_timeout(&to, patience).map(|_| start.elapsed())
        })
    }

    /// Makes a bridge that forwards at once, with these ports.
    pub fn bridge(&self, name: &str, ports: &[&str]) -> Result<()> {
        let mut lines = vec![
            format!("link add {name} type bridge stp_state 0 forward_delay 0"),
            format!("link set {name} up"),
        ];
        lines.extend(
            ports
                .iter()
                .map(|port| format!("link set {port} master {name}")),
        );
        self.ip(lines.iter().map(String::as_str))
    }

    /// Makes it a router.
    pub fn forward(&self) -> Result<()> {
        self.sysctl(&[
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv6.conf.all.forwarding", "1"),
        ])
    }

    /// Joins two namespaces by a virtual cable and brings both ends up.
    pub fn cable(&self, name: &str, other: &Self, other_name: &str) -> Result<()> {
        self.ip([
            format!(
                "link add {name} type veth peer name {other_name} netns {}",
                other.0
            )
            .as_str(),
            format!("link set {name} up").as_str(),
        ])?;
        other.ip([format!("link set {other_name} up").as_str()])
    }
}
