//! What people would use instead, each in a network of its own, dropping every source but those
//! it was given. One that this machine cannot run says why.

use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::{command, lab::OUTER, net::Namespace};

use super::{
    subject::{Family, granted},
    sys::Program,
};
use crate::Rig;

/// The sources that hold grants, as keys of a hash.
pub(super) fn keys(count: u32) -> Vec<[u8; 4]> {
    (0..count)
        .map(|number| (0x0a00_0000 | number).to_be_bytes())
        .collect()
}

/// xdp-filter with a deny policy and one allowed source.
pub(super) struct XdpFilter {
    pub(super) program: Program,
    pub(super) rig: Rig,
}

impl XdpFilter {
    pub(super) fn start() -> Result<Self> {
        let rig = Rig::quiet()?;
        let allowed = granted(Family::V4, 0);
        // It keeps its state, and what holds its program in place, in the system's bpf file system:
        // the network's own stands in for it, so that both go with the network.
        let script = format!(
            "mount --bind {} /sys/fs/bpf
             xdp-filter load {OUTER} --policy deny --mode native --features ipv4
             xdp-filter ip {allowed} --mode src",
            rig.path("bpf").display()
        );
        let mut unshare = rig.layout.gate.command("unshare");
        command::output(unshare.args(["--mount", "sh", "-e", "-c", &script]))?;
        Ok(Self {
            program: Program::by_id(attached(&rig.layout.gate)?)?,
            rig,
        })
    }
}

/// The id of the program on the outer interface.
fn attached(gate: &Namespace) -> Result<u32> {
    let mut ip = Command::new("ip");
    ip.args(["-netns", gate.name(), "-json", "link", "show", OUTER]);
    let link: serde_json::Value = serde_json::from_str(&command::output(&mut ip)?)?;
    link.pointer("/0/xdp/prog/id")
        .and_then(serde_json::Value::as_u64)
        .and_then(|id| u32::try_from(id).ok())
        .context("no program is attached")
}

/// Addresses in the sets of nftables and ipset.
pub(super) const SET: u32 = 65_536;
/// Rules of one address each.
pub(super) const RULES: u32 = 1_000;
/// Longer than any run.
const TIMEOUT_SECONDS: u32 = 24 * 3600;

/// nftables at the earliest place it has, with a set whose elements end by themselves.
pub(super) fn nftables() -> Result<Rig> {
    let rig = Rig::quiet()?;
    let elements = listed(SET, ", ");
    let text = format!(
        "table netdev bench {{
           set granted {{ type ipv4_addr; flags timeout; size {SET}; timeout {TIMEOUT_SECONDS}s; \
         elements = {{ {elements} }} }}
           chain arriving {{
             type filter hook ingress device {OUTER} priority 0; policy drop;
             ip saddr @granted accept
           }}
         }}"
    );
    command::piped(rig.layout.gate.command("nft").args(["-f", "-"]), &text)?;
    Ok(rig)
}

/// iptables in the table `raw`, before anything else is done with a packet, with an ipset.
pub(super) fn ipset() -> Result<Rig> {
    let rig = Rig::quiet()?;
    let gate = &rig.layout.gate;
    let mut text = format!("create granted hash:ip maxelem {SET} timeout {TIMEOUT_SECONDS}\n");
    for address in addresses(SET) {
        text.push_str(&format!("add granted {address}\n"));
    }
    command::piped(gate.command("ipset").arg("restore"), &text)?;
    let text = format!(
        "*raw\n-A PREROUTING -i {OUTER} -m set --match-set granted src -j ACCEPT\n\
         -A PREROUTING -i {OUTER} -j DROP\nCOMMIT\n"
    );
    restore(gate, &text)?;
    Ok(rig)
}

/// One rule for each address in the chain of packets for this machine.
pub(super) fn iptables() -> Result<Rig> {
    let rig = Rig::quiet()?;
    let mut text = String::from("*filter\n");
    for address in addresses(RULES) {
        text.push_str(&format!("-A INPUT -s {address} -j ACCEPT\n"));
    }
    text.push_str("-A INPUT -j DROP\nCOMMIT\n");
    restore(&rig.layout.gate, &text)?;
    Ok(rig)
}

/// Sets rules by the older of the two iptables, which is twice as fast with many rules, or by the
/// other one where a kernel has only that.
fn restore(gate: &Namespace, rules: &str) -> Result<()> {
    command::piped(&mut gate.command("iptables-legacy-restore"), rules)
        .or_else(|_| command::piped(&mut gate.command("iptables-restore"), rules))?;
    Ok(())
}

fn addresses(count: u32) -> impl Iterator<Item = std::net::IpAddr> {
    (0..count).map(|number| granted(Family::V4, number))
}

fn listed(count: u32, between: &str) -> String {
    let all: Vec<String> = addresses(count)
        .map(|address| address.to_string())
        .collect();
    all.join(between)
}
