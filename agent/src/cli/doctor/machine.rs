//! Kernel, bpffs, capabilities and clocks.

use std::{fs, process::Command};

use super::{Finding, Notes};
use crate::{
    clock::{Clock as _, SystemClock},
    config::Config,
    kernel::{self, Pins},
};

/// Links at the end of the way out (tcx) came with this release.
const TCX: (u32, u32) = (6, 6);
/// include/uapi/linux/capability.h.
const CAPABILITIES: [(u32, &str); 3] =
    [(12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];
/// The boot clock and the uptime are read one after the other.
const CLOCKS_APART_SECONDS: u64 = 5;

pub(super) fn look(config: Option<&Config>, findings: &mut Vec<Finding>) {
    kernel(&mut Notes::new("kernel", findings));
    capabilities(&mut Notes::new("capabilities", findings));
    if let Some(config) = config {
        let mut notes = Notes::new("bpffs", findings);
        match Pins::existing(&config.filter.bpffs) {
            Ok(_) => notes.ok(format!("{} is one", config.filter.bpffs.display())),
            Err(error) => notes.problem(
                error.to_string(),
                "without it no agent finds the filter of the one before: mount it",
            ),
        }
    }
    clock(&mut Notes::new("clock", findings));
}

fn kernel(notes: &mut Notes<'_>) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    match kernel::require() {
        Ok(()) => notes.ok(format!("{release}, with BTF, XDP in several buffers")),
        Err(error) => notes.problem(error.to_string(), "the agent will not start here as it is"),
    }
    match version(release) {
        Some(version) if version < TCX => notes.warning(
            format!("{release} cannot watch what leaves (tcx came with 6.6): answers to connections that protected hosts open do not pass"),
            "use a kernel of 6.6 or later where protected hosts open connections",
        ),
        _ => notes.ok("tcx: what leaves can be watched"),
    }
    match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable") {
        Ok(text) if text.trim() == "0" => notes.warning(
            "the BPF JIT is off: each packet costs several times as much",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        Ok(_) => notes.ok("the BPF JIT is on"),
        // Only the first network namespace shows it; without the file it cannot be switched off.
        Err(_) => notes.ok("the BPF JIT's switch is not shown here"),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn capabilities(notes: &mut Notes<'_>) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        notes.ok("this user may load and attach the filter");
    } else {
        notes.warning(
            format!(
                "this user lacks {}, so not everything can be seen",
                missing.join(", ")
            ),
            "run the doctor as root",
        );
    }
}

fn clock(notes: &mut Notes<'_>) {
    let boot = SystemClock.now().boot_ns / 1_000_000_000;
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime: u64 = uptime
        .split('.')
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0);
    if boot == 0 || boot.abs_diff(uptime) > CLOCKS_APART_SECONDS {
        notes.problem(
            format!("the boot clock says {boot} s and the uptime {uptime} s: deadlines are counted on the boot clock"),
            "do not run the agent in a time namespace of its own",
        );
    } else {
        notes.ok(format!("the boot clock runs ({boot} s)"));
    }
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .output();
    let answer = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match answer.as_deref() {
        Ok("yes") => notes.ok("the wall clock is synchronised"),
        Ok("no") => notes.warning(
            "the wall clock is not synchronised: one-time codes are refused when it is off by a minute; deadlines in the kernel are not concerned",
            "switch on systemd-timesyncd, chrony or another NTP client",
        ),
        _ => notes.warning(
            "whether the wall clock is synchronised cannot be found out (no timedatectl)",
            "ask your NTP client, e.g. `chronyc tracking`",
        ),
    }
}
