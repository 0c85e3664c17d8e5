//! A network of a test's own: client and neighbour on one wire, a gate, a server behind it, at
//! the same documentation addresses as the laboratory's but in namespaces with other names.

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    ops::Deref,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::Uid,
};
use tempfile::TempDir;
use xtask::{
    lab::{ETH, Layout, OUTER, PORTAL_UID, Topology},
    net::Namespace,
    traffic,
};

/// How long an attempt waits before the door counts as shut. A packet of a granted source is
/// answered in well under a millisecond.
pub const SHUT: Duration = Duration::from_millis(400);
/// How long an open door may take on a machine that is busy with other tests.
pub const OPEN: Duration = Duration::from_secs(3);

/// The network, a folder, and a bpf file system. All gone when dropped.
pub struct Rig {
    pub layout: Layout,
    folder: TempDir,
}

/// Address of the gate's card in a quiet rig.
pub const GATE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];

static NUMBER: AtomicU32 = AtomicU32::new(0);
static SWEPT: Once = Once::new();
/// Names of namespaces and folders begin so and go on with the pid of the test process.
const PREFIX: &str = "skt";
const FOLDER: &str = "sekisho-test-";

impl Rig {
    /// The filter on a gateway, services on the server behind it.
    pub fn gateway() -> Result<Self> {
        Self::of(Topology::Gateway)
    }

    /// The filter on the services' own host.
    pub fn host() -> Result<Self> {
        Self::of(Topology::Host)
    }

    /// Only a client and a gate on one cable, and a client whose kernel says nothing by itself:
    /// every packet the filter sees is one the test sent.
    pub fn quiet() -> Result<Self> {
        let rig = Self::empty(Topology::Gateway)?;
        let Layout {
            client,
            gate,
            gate_at,
            ..
        } = &rig.layout;
        client.create()?;
        gate.create()?;
        client.cable(ETH, gate, OUTER)?;
        client.sysctl(&[("net.ipv6.conf.all.disable_ipv6", "1")])?;
        client.ip([format!("link set {ETH} arp off").as_str()])?;
        let [a, b, c, d, e, f] = GATE_MAC;
        gate.ip([
            format!("link set {OUTER} address {a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}").as_str(),
            format!("address add {}/24 dev {OUTER}", gate_at.v4).as_str(),
            format!("address add {}/64 dev {OUTER} nodad", gate_at.v6).as_str(),
        ])?;
        Ok(rig)
    }

    /// The filter on the outer port of a bridge, in front of the server.
    pub fn bridge() -> Result<Self> {
        Self::of(Topology::Bridge)
    }

    /// Any of them.
    pub fn of(topology: Topology) -> Result<Self> {
        let rig = Self::empty(topology)?;
        rig.layout.create()?;
        Ok(rig)
    }

    /// Names, a folder and a bpf file system, but no network yet.
    fn empty(topology: Topology) -> Result<Self> {
        if !Uid::effective().is_root() {
            bail!("this test makes network namespaces and loads a kernel program: run it as root");
        }
        SWEPT.call_once(sweep);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{number}", std::process::id());
        let folder = TempDir::with_prefix(format!("{FOLDER}{}-", std::process::id()))?;
        // The portal, under its own user, has to reach its files below.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let rig = Self {
            layout: Layout::of(topology, &prefix),
            folder,
        };
        fs::create_dir(rig.path("bpf"))?;
        mount_bpf(&rig.path("bpf"))?;
        Ok(rig)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An agent configuration for this network: `web` for staff, `ssh` for admins, `echo` for
    /// staff, the whole server protected (and all behind a gateway), the portal at the gate.
    pub fn agent_config(&self) -> String {
        let folder = self.folder().display();
        let [v4, v6] = self.layout.server_at.both();
        let endpoints = self
            .layout
            .portal_endpoints()
            .map(|endpoint| endpoint.to_string());
        let protect = match self.layout.topology {
            Topology::Gateway => "[\"198.51.100.0/24\", \"2001:db8:2::/64\"]".to_owned(),
            Topology::Host | Topology::Bridge => format!("[\"{v4}\", \"{v6}\"]"),
        };
        format!(
            r#"[agent]
socket = "{folder}/agent.sock"
ledger = "{folder}/ledger.sqlite"

[filter]
interfaces = ["{OUTER}"]
capacity = 1024
protect = {protect}
bpffs = "{folder}/bpf"

[portal]
user = {PORTAL_UID}
endpoints = {endpoints:?}

[[service]]
name = "web"
targets = ["{v4} tcp/80", "{v4} tcp/443", "{v6} tcp/80", "{v6} tcp/443"]
groups = ["staff"]

[[service]]
name = "ssh"
targets = ["{v4} tcp/22", "{v6} tcp/22"]
groups = ["admins"]

[[service]]
name = "echo"
targets = ["{v4} udp/7", "{v4} tcp/7", "{v6} udp/7", "{v6} tcp/7"]
groups = ["staff"]
"#
        )
    }

    /// Answers TCP on ports 80, 22 and 7 and UDP on port 7 of the server, both families.
    pub fn serve(&self) -> Result<()> {
        let any = IpAddr::from([0_u16; 8]);
        for port in [80, 22, 7] {
            let listener = self
                .layout
                .server
                .inside(|| TcpListener::bind((any, port)))??;
            thread::spawn(move || traffic::echo_streams(&listener));
        }
        let socket = self.layout.server.inside(|| UdpSocket::bind((any, 7)))??;
        thread::spawn(move || traffic::echo_datagrams(&socket));
        Ok(())
    }

    /// One more machine, with no cable yet.
    pub fn machine(&self, role: &str) -> Result<Machine> {
        let machine = Machine(self.layout.named(role));
        machine.create()?;
        Ok(machine)
    }

    /// The server's address of a family, with a port.
    pub fn server(&self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(family.of(self.layout.server_at), port)
    }

    /// The client's source address of a family.
    pub fn source(&self, family: Family) -> IpAddr {
        family.of(self.layout.client_at)
    }

    /// The neighbour's source address of a family.
    pub fn neighbour_source(&self, family: Family) -> IpAddr {
        family.of(self.layout.neighbour_at)
    }
}

/// A machine beside those of the layout. Gone when dropped.
pub struct Machine(Namespace);

impl Deref for Machine {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.0
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.0.remove());
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    fn of(self, pair: xtask::lab::Pair) -> IpAddr {
        match self {
            Self::V4 => pair.v4.into(),
            Self::V6 => pair.v6.into(),
        }
    }
}

/// An error unless the attempt is left without any answer.
pub fn must_be_shut(from: &Namespace, to: SocketAddr) -> Result<()> {
    match from.connect(to, SHUT)? {
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Ok(()),
        Err(error) => bail!("{} to {to} was answered: {error}", from.name()),
        Ok(_) => bail!("{} reached {to}, which must be shut", from.name()),
    }
}

/// An error unless a connection comes about.
pub fn must_be_open(from: &Namespace, to: SocketAddr) -> Result<()> {
    from.connect(to, OPEN)?
        .with_context(|| format!("{} does not reach {to}, which must be open", from.name()))?;
    Ok(())
}

/// Mounts a bpf file system, seen by this machine only under that path.
pub fn mount_bpf(at: &Path) -> Result<()> {
    let none: Option<&str> = None;
    mount(Some("bpf"), at, Some("bpf"), MsFlags::empty(), none)
        .with_context(|| format!("cannot mount a bpf file system at {}", at.display()))
}

/// Text with one passage replaced; an error if the passage is not there, so that a test never
/// passes because its change did not take.
pub fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "the text holds no {from:?}:\n{text}");
    Ok(text.replacen(from, to, 1))
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Pins keep the program in force; with the file system they go.
        let _ = umount2(&self.path("bpf"), MntFlags::MNT_DETACH);
        drop(self.layout.remove());
    }
}

/// Removes what test processes that were killed left behind.
fn sweep() {
    for name in left_behind(Path::new("/run/netns"), PREFIX) {
        // Two test processes may sweep at once; one of them finds it gone.
        drop(Namespace::named(name).remove());
    }
    let temporary = std::env::temp_dir();
    for name in left_behind(&temporary, FOLDER) {
        let _ = umount2(&temporary.join(&name).join("bpf"), MntFlags::MNT_DETACH);
        drop(fs::remove_dir_all(temporary.join(name)));
    }
}

/// Entries of a folder that carry the pid of a process that is no more.
fn left_behind(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_left = |name: &String| {
        let pid = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
    };
    names.filter(is_left).collect()
}
