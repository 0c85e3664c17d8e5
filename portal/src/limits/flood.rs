//! A million different sources and names, as a botnet would send them: what is kept of them stays
//! small.

use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;

use super::*;
use crate::{config::Config, passkeys::Passkeys, testing};

const MILLION: u32 = 1_000_000;
/// What all of it may cost.
const MOST_KIB: u64 = 96 * 1024;

/// Of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

fn source(n: u32) -> IpAddr {
    match n % 2 {
        0 => IpAddr::from(n.to_be_bytes()),
        _ => Ipv6Addr::from(u128::from(n) << 64).into(),
    }
}

/// Other tests of this process would be measured with it.
fn is_alone() -> bool {
    let line = std::fs::read("/proc/self/cmdline").unwrap();
    line.split(|byte| *byte == 0).any(|word| word == b"--exact")
}

#[test]
fn a_million_sources_and_names_are_remembered_in_bounded_memory() {
    if !is_alone() {
        let name = "limits::flood::a_million_sources_and_names_are_remembered_in_bounded_memory";
        let mut alone = std::process::Command::new("/proc/self/exe");
        let output = alone.args(["--exact", name]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config: Config = testing::config(folder.path(), "");
    let clock = Clock::system();
    let (rates, spray) = (
        Rates::new(&config.limits, clock.clone()),
        Spray::new(&config.limits),
    );
    let shield = Shield::new(&config.shield, &config.limits).unwrap();
    let passkeys = Passkeys::open("https://portal.example.org", "x").unwrap();
    let before = resident();
    let now = Timestamp::UNIX_EPOCH;
    for n in 0..MILLION {
        let key = SourceKey::of(source(n));
        let _ = rates.count(key);
        spray.note(key, &format!("somebody-{n}"), now);
        shield.note(key, now);
        if n % 50 == 0 {
            // Each costs some arithmetic; their own bound is reached long before.
            passkeys.challenge(key, 0).unwrap().unwrap();
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < MOST_KIB, "{grown} KiB");
}
