//! The machine a run is on: its cores, what it is called, how busy it is.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::{Pid, gettid},
};
use serde::Serialize;
use xtask::{command, net::Namespace};

/// What a reader has to know to compare two results.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub kernel: String,
    pub processor: String,
    pub cores: usize,
    /// Processes that wanted to run over the last minute, before the bench began.
    pub busy_before: f64,
}

impl Machine {
    pub(super) fn look() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let field = |line: &str| line.split_once(": ").map(|(_, value)| value.to_owned());
        let busy = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            processor: processors
                .lines()
                .find(|line| line.starts_with("model name"))
                .and_then(field)
                .unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism()?.get(),
            busy_before: busy
                .split_whitespace()
                .next()
                .and_then(|number| number.parse().ok())
                .unwrap_or_default(),
        })
    }
}

/// Keeps the calling thread on one core, before everybody else there, until this is dropped.
pub(super) struct OnCore(CpuSet);

/// The best and the usual place of a thread in the queue for its core (setpriority(2)). What else
/// runs on the machine must not decide who is faster.
const FIRST: &str = "-20";
const USUAL: &str = "0";

impl OnCore {
    pub(super) fn pin(core: usize) -> Result<Self> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        pin(Pid::from_raw(0), core)?;
        queue(gettid(), FIRST)?;
        Ok(Self(before))
    }
}

impl Drop for OnCore {
    fn drop(&mut self) {
        drop(queue(gettid(), USUAL));
        // It was allowed there a moment ago.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}

fn queue(thread: Pid, place: &str) -> Result<()> {
    let thread = thread.to_string();
    command::output(Command::new("renice").args(["-n", place, "-p", &thread]))?;
    Ok(())
}

fn pin(process: Pid, core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(process, &set)
        .with_context(|| format!("cannot stay on core {core}; the bench needs two cores"))
}

/// Polls an interface on the core that sends, right after each batch of frames.
pub(super) fn receive_where_sent(namespace: &Namespace, interface: &str) -> Result<()> {
    threaded(namespace, interface, "0")
}

fn threaded(namespace: &Namespace, interface: &str, value: &str) -> Result<()> {
    // `ip netns exec` shows the namespace's own /sys.
    let script = format!("echo {value} > /sys/class/net/{interface}/threaded");
    let inside = ["netns", "exec", namespace.name(), "sh", "-e", "-c", &script];
    command::output(Command::new("ip").args(inside))?;
    Ok(())
}

/// Polls an interface from a kernel thread on core 1, so that receiving does not take time from
/// sending; whether there is a program on it or not.
pub(super) fn receive_on_core_1(namespace: &Namespace, interface: &str) -> Result<()> {
    command::output(
        namespace
            .command("ethtool")
            .args(["-K", interface, "gro", "on"]),
    )?;
    threaded(namespace, interface, "1")?;
    let beginning = format!("napi/{interface}-");
    let mut pinned = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let name = fs::read_to_string(Path::new(&entry.path()).join("comm")).unwrap_or_default();
        if name.starts_with(&beginning) {
            // Those of other interfaces of that name are the bench's, too, and go the same way.
            pin(Pid::from_raw(number), 1)?;
            queue(Pid::from_raw(number), FIRST)?;
            pinned += 1;
        }
    }
    anyhow::ensure!(pinned > 0, "no kernel thread polls {interface}");
    Ok(())
}

/// Packets an interface has received, those that a program dropped included.
pub(super) fn received(namespace: &Namespace, interface: &str) -> Result<u64> {
    let text = namespace.inside(|| fs::read_to_string("/proc/thread-self/net/dev"))??;
    text.lines()
        .find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'))
        .and_then(|fields| fields.split_whitespace().nth(1)?.parse().ok())
        .with_context(|| format!("no figures of {interface}"))
}

/// Datagrams that came all the way through a namespace's kernel and found nobody listening.
pub(super) fn delivered(namespace: &Namespace) -> Result<u64> {
    let text = namespace.inside(|| fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next(), lines.next());
    let mut fields = names
        .unwrap_or_default()
        .split_whitespace()
        .zip(values.unwrap_or_default().split_whitespace());
    fields
        .find_map(|(name, value)| (name == "NoPorts").then(|| value.parse().ok())?)
        .context("the kernel counts no datagrams")
}
