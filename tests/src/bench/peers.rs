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
