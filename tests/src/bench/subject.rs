//! Our filter as it is shipped: an agent with a configuration of some services, and grants that
//! come from its ledger, so that every map is written by the agent itself. Opens the running
//! program by the id the agent tells, and never writes a map.

use std::{collections::BTreeMap, fs, net::IpAddr, sync::Mutex, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use sqlx::{Connection as _, SqliteConnection};
use xtask::{clock, lab::OUTER};

use super::sys::Program;
use crate::{Agent, Rig, packet, rig::GATE_MAC, tools::block_on};

/// The first 96 bits of every granted IPv6 source, as the ledger's hexadecimal.
const PREFIX_V6: &str = "20010db800aa000000000000";
/// Room for a million grants of each family.
pub(super) const CAPACITY: u32 = 1_048_576;

/// What an agent is started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Live grants of IPv4 sources, and as many of IPv6 ones.
    pub(super) grants: u32,
    /// Each with an address and a port of its own.
    pub(super) services: u16,
}

/// A running agent with its program.
pub(super) struct Subject {
    pub(super) agent: Agent,
    pub(super) program: Program,
    pub(super) shape: Shape,
    /// Last, so that it goes last.
    pub(super) rig: Rig,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Subject {
    /// In a network of its own, where nothing but the bench sends.
    pub(super) fn start(shape: Shape) -> Result<Self> {
        Self::start_in(Rig::quiet()?, shape)
    }

    pub(super) fn start_in(rig: Rig, shape: Shape) -> Result<Self> {
        empty_ledger(&rig, shape)?;
        seed(&rig, shape, &Seed::default())?;
        let agent = start_agent(&rig, shape)?;
        let status = agent.status()?;
        ensure!(
            status.grants_v4.used == u64::from(shape.grants)
                && status.grants_v6.used == u64::from(shape.grants),
            "the agent holds {} and {} grants instead of {}",
            status.grants_v4.used,
            status.grants_v6.used,
            shape.grants
        );
        let interface = status.interfaces.first().context("no interface")?;
        Ok(Self {
            program: Program::by_id(interface.program_id)?,
            agent,
            shape,
            rig,
        })
    }

    /// A datagram to the busiest service: the last one, which a list would find last.
    pub(super) fn frame(&self, from: IpAddr) -> Result<Vec<u8>> {
        frame(from, self.shape.services - 1)
    }
}

/// A datagram to a service's own address and port.
pub(super) fn frame(from: IpAddr, service: u16) -> Result<Vec<u8>> {
    let to = match from {
        IpAddr::V4(_) => target_v4(service),
        IpAddr::V6(_) => target_v6(service),
    };
    packet::datagram(GATE_MAC, from, to, port(service), &[0; 18])
}

/// An agent with its configuration, logging as it does when it is installed.
pub(super) fn start_agent(rig: &Rig, shape: Shape) -> Result<Agent> {
    fs::write(rig.path("agent.toml"), config(rig, shape))?;
    Agent::start_by(rig, "env", &["RUST_LOG=info"])
}

fn config(rig: &Rig, shape: Shape) -> String {
    let folder = rig.folder().display();
    let mut text = format!(
        r#"[agent]
socket = "{folder}/agent.sock"
ledger = "{folder}/ledger.sqlite"

[filter]
interfaces = ["{OUTER}"]
capacity = {CAPACITY}
protect = ["198.18.0.0/16", "2001:db8:2::/64"]
bpffs = "{folder}/bpf"

[grants]
idle = "none"
"#
    );
    for number in 0..shape.services {
        let (v4, v6, port) = (target_v4(number), target_v6(number), port(number));
        text.push_str(&format!(
            "\n[[service]]\nname = \"{}\"\ntargets = [\"{v4} udp/{port}\", \"{v6} udp/{port}\", \
             \"{v4} tcp/{port}\", \"{v6} tcp/{port}\"]\ngroups = [\"staff\"]\n",
            name(number)
        ));
    }
    text
}

pub(super) fn name(service: u16) -> String {
    format!("s{service}")
}

pub(super) fn port(service: u16) -> u16 {
    1000 + service
}

pub(super) fn target_v4(service: u16) -> IpAddr {
    let [high, low] = (service + 1).to_be_bytes();
    IpAddr::from([198, 18, high, low])
}

pub(super) fn target_v6(service: u16) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 2, 0, 0, 0, 0, service + 1])
}

/// The source of the grant with this number; the ledger is filled the same way.
pub(super) fn granted(family: Family, number: u32) -> IpAddr {
    let [a, b, c, d] = (0x0a00_0000 | number).to_be_bytes();
    match family {
        Family::V4 => IpAddr::from([a, b, c, d]),
        Family::V6 => {
            let high = u16::from_be_bytes([a, b]);
            IpAddr::from([
                0x2001,
                0xdb8,
                0xaa,
                0,
                0,
                0,
                high,
                u16::from_be_bytes([c, d]),
            ])
        }
    }
}

/// A source that never holds a grant.
pub(super) fn stranger(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([203, 0, 113, 77]),
        Family::V6 => IpAddr::from([0x2001, 0xdb8, 0xbb, 0, 0, 0, 0, 77]),
    }
}

/// Ledgers as an agent makes them for so many services, before any grant.
static LEDGERS: Mutex<BTreeMap<u16, Vec<u8>>> = Mutex::new(BTreeMap::new());

/// Has an agent make its ledger, or takes one that was made for the same services before.
fn empty_ledger(rig: &Rig, shape: Shape) -> Result<()> {
    let path = rig.path("ledger.sqlite");
    let known = LEDGERS
        .lock()
        .map(|ledgers| ledgers.get(&shape.services).cloned());
    if let Ok(Some(bytes)) = known {
        return Ok(fs::write(path, bytes)?);
    }
    // An agent that ends in peace leaves a ledger in one file.
    start_agent(rig, shape)?.daemon.stop()?;
    let whole = !rig.path("ledger.sqlite-wal").exists();
    if let (true, Ok(mut ledgers)) = (whole, LEDGERS.lock()) {
        ledgers.insert(shape.services, fs::read(path)?);
    }
    Ok(())
}

/// Whose the grants are and how long they live.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    pub(super) first: u32,
    pub(super) user: String,
    pub(super) live: Duration,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            first: 0,
            user: "somebody".into(),
            live: Duration::from_secs(20 * 3600),
        }
    }
}

/// Empties the ledger of an agent that does not run.
pub(super) fn clear(rig: &Rig) -> Result<()> {
    block_on(async {
        let mut ledger = SqliteConnection::connect(&url(rig)).await?;
        sqlx::query("DELETE FROM holders")
            .execute(&mut ledger)
            .await?;
        ledger.close().await?;
        Ok(())
    })?
}

fn url(rig: &Rig) -> String {
    format!("sqlite://{}", rig.path("ledger.sqlite").display())
}

/// Writes the shape's grants into the ledger of an agent that does not run.
pub(super) fn seed(rig: &Rig, shape: Shape, seed: &Seed) -> Result<()> {
    let boot = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    let ends_boot_ns = i64::try_from((boot + seed.live).as_nanos())?;
    let now_ms = i64::try_from(clock::unix_micros() / 1000)?;
    let ends_ms = now_ms + i64::try_from(seed.live.as_millis())?;
    block_on(async {
        let mut ledger = SqliteConnection::connect(&url(rig)).await?;
        for prefix in ["", PREFIX_V6] {
            sqlx::query(
                "WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n \
                 WHERE i + 1 < $1 + $2) \
                 INSERT INTO holders SELECT unhex($3 || printf('0a%06x', i)), \
                 (SELECT id FROM services WHERE name = $4), $5, 'pwd otp', $6, 'portal', $7, $8, 0 \
                 FROM n WHERE $2 > 0",
            )
            .bind(i64::from(seed.first))
            .bind(i64::from(shape.grants))
            .bind(prefix)
            .bind(name(shape.services - 1))
            .bind(&seed.user)
            .bind(now_ms)
            .bind(ends_ms)
            .bind(ends_boot_ns)
            .execute(&mut ledger)
            .await?;
        }
        ledger.close().await?;
        Ok(())
    })?
}
