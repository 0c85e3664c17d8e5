//! One version of the agent follows another, up and down, under traffic: what is granted and what
//! is under way goes on, and a program that judges otherwise does not come in unseen.
//!
//! The other make of the agent is the binary under test with another number in its kernel program;
//! another version's pins are its own, moved to where that version would have them.

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::PathBuf,
    thread,
    time::Duration,
};

use agent_api::AuditQuery;
use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    agent::refused_start,
    loaded,
    rig::{Family, must_be_open, must_be_shut},
    tools::{self, block_on, both},
};
use xtask::traffic;

const PATIENCE: Duration = Duration::from_secs(3);

/// An instruction's last four bytes, the number it works with (`struct bpf_insn` in
/// include/uapi/linux/bpf.h), and another number.
struct Patch {
    code: u8,
    number: u32,
    instead: u32,
}

/// How often last-seen is written, in nanoseconds: one more changes the program and no verdict.
const HARMLESS: Patch = Patch {
    code: 0xb7,
    number: 1_000_000_000,
    instead: 1_000_000_001,
};
/// The EtherType of LLDP, which passes as control traffic: another one drops.
const DEAF_TO_LLDP: Patch = Patch {
    code: 0x15,
    number: 0x88cc,
    instead: 0x88cd,
};

/// A copy of the agent whose kernel program has another number in it.
fn patched(rig: &Rig, patch: &Patch) -> Result<PathBuf> {
    let object = loaded::object()?;
    let mut binary = fs::read(tools::sekisho()?)?;
    let start = object.get(..4_096).context("the object is short")?;
    let at = binary
        .windows(start.len())
        .position(|window| window == start)
        .context("the binary does not hold its object")?;
    let embedded = binary
        .get_mut(at..at + object.len())
        .context("the object is cut")?;
    let mut patches = 0;
    for instruction in embedded.chunks_exact_mut(8) {
        let (head, number) = instruction.split_at_mut(4);
        if head.first() == Some(&patch.code) && *number == patch.number.to_le_bytes() {
            number.copy_from_slice(&patch.instead.to_le_bytes());
            patches += 1;
        }
    }
    ensure!(patches > 0, "the program does not hold {}", patch.number);
    let path = rig.path("sekisho-other");
    fs::write(&path, binary)?;
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Moves what is pinned to where another version has it, whose tables mean something else.
fn as_version(rig: &Rig, from: u32, to: u32) -> Result<()> {
    let pins = rig.path("bpf").join("sekisho");
    fs::rename(pins.join(format!("v{from}")), pins.join(format!("v{to}")))?;
    let maps = pins.join(format!("v{to}/maps"));
    for entry in fs::read_dir(&maps)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(table) = name.strip_suffix(&format!("@{from}"))
            && ["SETTINGS", "TARGETS", "SOURCES"].contains(&table)
        {
            fs::rename(maps.join(&name), maps.join(format!("{table}@{to}")))?;
        }
    }
    Ok(())
}

/// A question that the protected server asked an outside host, who answers when told to.
struct Question {
    asked: UdpSocket,
    outside: UdpSocket,
    from: SocketAddr,
}

impl Question {
    fn ask(rig: &Rig) -> Result<Self> {
        let own = rig.server(Family::V4, 0).ip();
        let asked = rig.layout.server.inside(|| UdpSocket::bind((own, 0)))??;
        let at = rig.neighbour_source(Family::V4);
        let outside = rig.layout.neighbour.inside(|| UdpSocket::bind((at, 0)))??;
        for socket in [&asked, &outside] {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        asked.send_to(b"who", outside.local_addr()?)?;
        let mut text = [0; 8];
        let (_, from) = outside
            .recv_from(&mut text)
            .context("the question is lost")?;
        Ok(Self {
            asked,
            outside,
            from,
        })
    }

    /// Nothing was sent by the server since, so only a flow that was carried over lets it in.
    fn is_answered(&self) -> Result<()> {
        self.outside.send_to(b"me", self.from)?;
        let mut text = [0; 8];
        let (length, _) = self
            .asked
            .recv_from(&mut text)
            .context("the answer to a question of before does not pass")?;
        ensure!(text.get(..length) == Some(b"me".as_slice()));
        Ok(())
    }
}

/// What the agent wrote down when it took over.
fn start_record(agent: &Agent) -> Result<String> {
    let records = block_on(agent.client().audit(&AuditQuery::default()))??.records;
    let start = records
        .into_iter()
        .rev()
        .find(|record| record.kind == agent_api::AuditKind::Start);
    start
        .and_then(|record| record.reason)
        .context("no record of the start")
}

/// An agent of another version and another make was in force; this one takes over while a granted
/// flow and a stranger's are under way.
fn takes_over_from(version: u32) -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    fs::write(rig.path("agent.toml"), rig.agent_config())?;
    let mut other = Agent::start_make(&rig, &patched(&rig, &HARMLESS)?)?;
    for family in Family::BOTH {
        other.grant(rig.source(family), "echo", "alice", 600)?;
    }
    other.cli_ok(&["deny", "203.0.113.0/24", "--for", "1h"])?;
    let question = Question::ask(&rig)?;
    question.is_answered()?;
    let ours = other.status()?.abi;
    let before = other.count("Reply")?;
    other.daemon.kill()?;
    as_version(&rig, ours, version)?;

    let to = rig.server(Family::V4, 7);
    let flow = |from: &xtask::net::Namespace| {
        let from = from.clone();
        thread::spawn(move || from.inside(|| traffic::flow(to, 500, Duration::from_secs(3)))?)
    };
    let (granted, stranger) = (flow(&rig.layout.client), flow(&rig.layout.neighbour));
    thread::sleep(Duration::from_millis(200));
    let agent = Agent::start(&rig);
    let granted = granted.join().ok().context("a flow panicked")??;
    let stranger = stranger.join().ok().context("a flow panicked")??;
    let agent = agent?;
    ensure!(
        granted.sent > 100 && granted.lost() == 0,
        "the granted flow: {granted:?}"
    );
    ensure!(
        stranger.sent > 100 && stranger.returned == 0,
        "the stranger's flow: {stranger:?}"
    );

    let status = agent.status()?;
    ensure!(status.took_over && status.abi == ours, "{status:?}");
    ensure!(status.denied == 1 && status.holders == 2, "{status:?}");
    question.is_answered()?;
    ensure!(agent.count("Reply")? > before, "the counters began anew");
    for family in Family::BOTH {
        must_be_open(&rig.layout.client, rig.server(family, 7))?;
        must_be_shut(&rig.layout.neighbour, rig.server(family, 7))?;
    }
    let record = start_record(&agent)?;
    ensure!(
        record.contains("of another make") && record.contains("judged alike"),
        "{record}"
    );
    let pins = rig.path("bpf").join("sekisho");
    let versions = fs::read_dir(&pins)?.count();
    ensure!(versions == 1, "{versions} versions are pinned");
    // What is revoked now is revoked by the program that took over.
    agent.close_source(rig.source(Family::V4))?;
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 7))
}

#[test]
fn a_later_version_takes_over_without_a_gap() -> Result<()> {
    takes_over_from(2)
}

#[test]
fn an_earlier_version_takes_over_without_a_gap() -> Result<()> {
    takes_over_from(9)
}

/// The same version made anew: tables and all are shared, and compared all the same.
#[test]
fn a_program_that_judges_alike_is_replaced() -> Result<()> {
    let rig = Rig::gateway()?;
    fs::write(rig.path("agent.toml"), rig.agent_config())?;
    let mut other = Agent::start_make(&rig, &patched(&rig, &HARMLESS)?)?;
    for last in 20..120_u8 {
        other.grant(IpAddr::from([192, 0, 2, last]), "web", "alice", 600)?;
    }
    other.daemon.kill()?;
    let mut agent = Agent::start(&rig)?;
    let record = start_record(&agent)?;
    ensure!(record.contains("judged alike"), "{record}");
    // The very same program again: nothing to compare.
    agent.daemon.kill()?;
    let record = start_record(&Agent::start(&rig)?)?;
    ensure!(record == "took over a running filter", "{record}");
    Ok(())
}

#[test]
fn a_program_that_judges_otherwise_is_refused_until_somebody_accepts_it() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    fs::write(rig.path("agent.toml"), rig.agent_config())?;
    let mut other = Agent::start_make(&rig, &patched(&rig, &DEAF_TO_LLDP)?)?;
    other.grant(rig.source(Family::V4), "web", "alice", 600)?;
    other.daemon.kill()?;

    let output = refused_start(&rig, &rig.agent_config())?;
    let text = both(&output);
    ensure!(!output.status.success(), "{text}");
    for word in ["LLDP", "EtherType", "Control", "--accept-differences"] {
        ensure!(text.contains(word), "does not say {word:?}:\n{text}");
    }
    // The running program stays, with all that it lets in and keeps out.
    let web = rig.server(Family::V4, 80);
    must_be_open(&rig.layout.client, web)?;
    must_be_shut(&rig.layout.neighbour, web)?;

    let sekisho = tools::sekisho()?;
    let mut command = rig.layout.gate.command("timeout");
    let accepted = command
        .args(["--signal=TERM", "5"])
        .arg(&sekisho)
        .args(["run", "--accept-differences", "--config"])
        .arg(rig.path("agent.toml"))
        .output()?;
    ensure!(
        both(&accepted).contains("ready"),
        "not accepted:\n{}",
        both(&accepted)
    );
    let agent = Agent::start(&rig)?;
    ensure!(agent.status()?.took_over);
    must_be_open(&rig.layout.client, web)?;
    must_be_shut(&rig.layout.neighbour, web)
}
