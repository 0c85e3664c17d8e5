//! One interface: is it there, can its driver, and what would hide packets from the filter.

use std::{collections::HashMap, fs, path::Path, process::Command};

use agent_api::{Status, XdpMode};

use super::{Finding, Notes};
use crate::{config::Config, kernel};

/// Drivers with XDP of their own in the kernel (those that implement `ndo_bpf`).
const NATIVE: [&str; 33] = [
    "ena",
    "bnxt_en",
    "thunder-nicvf",
    "nicvf",
    "tsnep",
    "dpaa2-eth",
    "fsl_dpaa2_eth",
    "fsl_dpa",
    "fsl_enetc",
    "enetc",
    "fec",
    "gve",
    "i40e",
    "iavf",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mvneta",
    "mvpp2",
    "mtk_soc_eth",
    "mlx4_core",
    "mlx4_en",
    "mlx5_core",
    "lan966x",
    "mana",
    "nfp",
    "qede",
    "sfc",
    "hv_netvsc",
    "virtio_net",
    "st_gmac",
];
/// One page less the head room that XDP needs; larger frames need a driver that takes several
/// buffers.
const MTU_ONE_BUFFER: u32 = 3_498;

pub(super) fn look(
    name: &str,
    config: &Config,
    status: Option<&Status>,
    findings: &mut Vec<Finding>,
) {
    let mut notes = Notes::new(format!("interface {name}"), findings);
    let folder = Path::new("/sys/class/net").join(name);
    let Ok(index) = nix::net::if_::if_nametoindex(name) else {
        notes.problem(
            "there is no such interface: nothing is filtered there until it appears",
            "`ip link` lists those there are; correct filter.interfaces",
        );
        return;
    };
    let ours = status
        .iter()
        .flat_map(|status| &status.interfaces)
        .find(|interface| interface.name == name);
    let attached = ours.is_some_and(|interface| interface.attached);
    program(
        index,
        attached,
        ours.map(|ours| ours.program_id),
        &mut notes,
    );
    driver(&folder, config.filter.xdp_mode, attached, &mut notes);
    let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
    match read("carrier").as_deref().map(str::trim) {
        Some("1") => notes.ok("it has a carrier"),
        _ => notes.warning(
            "it is down or has no carrier",
            "plug it in; `ip link set up`",
        ),
    }
    let mtu: u32 = read("mtu")
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    if mtu > MTU_ONE_BUFFER && config.filter.xdp_mode == XdpMode::Native && !attached {
        notes.warning(
            format!("MTU {mtu} does not fit one buffer ({MTU_ONE_BUFFER}): the driver must take XDP in several"),
            "if the agent says that the driver cannot, lower the MTU",
        );
    } else {
        notes.ok(format!("MTU {mtu}"));
    }
    let queues = fs::read_dir(folder.join("queues")).map_or(0, |entries| {
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("rx-"))
            .count()
    });
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if queues == 1 && processors > 1 {
        notes.warning(
            format!(
                "one receive queue for {processors} processors: one of them filters everything"
            ),
            "`ethtool -L` gives it more, where the card has them",
        );
    } else if queues > 0 {
        notes.ok(format!("{queues} receive queues, {processors} processors"));
    }
    offloads(name, &mut notes);
}

fn program(index: u32, attached: bool, ours: Option<u32>, notes: &mut Notes<'_>) {
    match kernel::running_program(index) {
        Some(id) if attached && Some(id) == ours => notes.ok(format!("our program {id} is on it")),
        Some(id) if ours.is_none() => notes.warning(
            format!("an XDP program (id {id}) is on it, and no agent says that it is ours"),
            "start the agent: it takes over its own and refuses a foreign one",
        ),
        Some(id) => notes.problem(
            format!("a foreign XDP program (id {id}) is on it: we do not filter there"),
            "remove it with its own tool or `ip link set dev … xdp off`",
        ),
        None if ours.is_some() => notes.problem(
            "our program is not on it: nothing is filtered there",
            "see the agent's log; it tries again each second",
        ),
        None => notes.ok("no XDP program is on it"),
    }
}

fn driver(folder: &Path, mode: XdpMode, attached: bool, notes: &mut Notes<'_>) {
    let link = fs::read_link(folder.join("device/driver"));
    let driver = link.ok().and_then(|path| {
        let name = path.file_name()?;
        Some(name.to_string_lossy().into_owned())
    });
    let driver = driver.as_deref().unwrap_or("none (a virtual interface)");
    match mode {
        XdpMode::Generic => notes.warning(
            format!("driver: {driver}; generic mode is configured, several times slower"),
            "try filter.xdp_mode = \"native\"",
        ),
        XdpMode::Native if attached => notes.ok(format!("driver: {driver}; runs in native mode")),
        XdpMode::Native if NATIVE.contains(&driver) => {
            notes.ok(format!("driver: {driver}, known for native XDP"));
        }
        XdpMode::Native => notes.warning(
            format!("driver: {driver}, not known for native XDP"),
            "the agent refuses to start if it has none; then filter.xdp_mode = \"generic\"",
        ),
    }
}

/// Asked of the program `ethtool`: the kernel has no file that says it.
fn offloads(name: &str, notes: &mut Notes<'_>) {
    let output = Command::new("ethtool").args(["-k", name]).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        notes.warning(
            "LRO and VLAN offloads cannot be seen (no ethtool, or it may not)",
            "install ethtool and ask again",
        );
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let features: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .collect();
    let on = |feature: &str| {
        features
            .get(feature)
            .is_some_and(|state| state.starts_with("on"))
    };
    if on("large-receive-offload") {
        notes.warning(
            "LRO is on: most drivers refuse native XDP with it",
            format!("ethtool -K {name} lro off"),
        );
    }
    if on("rx-vlan-offload") {
        notes.warning(
            "the card takes VLAN tags off before XDP sees the packet: `--vlan` of explain and samples do not show them; verdicts are the same",
            format!("if tags matter to you: ethtool -K {name} rxvlan off"),
        );
    }
    if !on("large-receive-offload") && !on("rx-vlan-offload") {
        notes.ok("LRO and VLAN offload are off");
    }
}
