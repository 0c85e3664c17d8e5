//! A million grants: restored at start, and not at the cost of the machine's memory. The promise
//! of two seconds is the optimised build's, on a machine that does nothing else; here the bound
//! only says that the work grows with the number of grants and not with its square.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    rig::{Family, must_be_open, must_be_shut, replaced},
    tools::{both, program},
};
use xtask::clock;

/// Fills the ledger as if a million people had opened `web` just now; the client is one of them.
const FILL: &str = "
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1])
[service] = db.execute(\"select id from services where name = 'web'\").fetchone()
now = time.time_ns() // 1_000_000
boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
hour = 3600
def rows():
    for number in range(1_000_000):
        source = bytes([10]) + (number + 1).to_bytes(3, 'big') if number else bytes([192, 0, 2, 10])
        yield (source, service, f'user{number}', 'pwd otp', now, 'portal',
               now + hour * 1000, boot + hour * 1_000_000_000, 0)
db.executemany('insert into holders values (?, ?, ?, ?, ?, ?, ?, ?, ?)', rows())
db.commit()
print(db.execute('select count(*) from holders').fetchone()[0])
";

#[test]
fn a_million_grants_are_restored_at_start() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let config = replaced(&rig.agent_config(), "capacity = 1024", "capacity = 1048576")?;
    let mut agent = Agent::start_with(&rig, &config)?;
    agent.daemon.stop()?;
    let output = Command::new(program("python3")?)
        .args(["-c", FILL])
        .arg(rig.path("ledger.sqlite"))
        .output()?;
    ensure!(both(&output).trim() == "1000000", "{}", both(&output));
    must_be_shut(&rig.layout.client, rig.server(Family::V4, 80))?;

    let start = clock::instant();
    let agent = Agent::start_with(&rig, &config)?;
    let took = start.elapsed();
    let status = agent.status()?;
    ensure!(
        status.grants_v4.used == 1_000_000 && status.holders == 1_000_000,
        "{status:?}"
    );
    must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
    must_be_shut(&rig.layout.neighbour, rig.server(Family::V4, 80))?;
    let memory = resident_kib(agent.daemon.pid())?;
    println!("restored after {took:?}, {memory} KiB resident");
    ensure!(
        took < Duration::from_secs(60),
        "restored only after {took:?}"
    );
    ensure!(memory < 150 * 1024, "{memory} KiB resident");
    Ok(())
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmHWM")?.parse()?)
}
