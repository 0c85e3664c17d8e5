//! The laboratory's processes, remembered in a file by pid and start time, so that another run
//! can end exactly these and never a stranger that got the same number.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use super::layout::home;

/// One process we started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) name: String,
    pid: i32,
    /// Clock ticks after boot; pid and this together name one process for ever.
    started: u64,
}

impl Process {
    /// Starts a command in the background, its output in `log/NAME.log`, and remembers it.
    pub(super) fn start(name: &str, mut command: Command) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let log = File::options()
            .create(true)
            .append(true)
            .open(log_file(name))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = i32::try_from(child.id())?;
        let started = started(pid).with_context(|| format!("{name} ended at once"))?;
        let process = Self {
            name: name.to_owned(),
            pid,
            started,
        };
        let mut all = remembered();
        all.push(process.clone());
        fs::write(list(), serde_json::to_vec_pretty(&all)?)?;
        Ok(process)
    }

    pub(super) fn is_alive(&self) -> bool {
        // Collects it if it is our child and has ended; otherwise this does nothing.
        let _ = waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG));
        started(self.pid) == Some(self.started)
    }

    pub(super) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may end between the look and the signal, which is what is wanted.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Waits until it is gone; false if it is still there after `patience`.
    pub(super) fn gone_within(&self, patience: Duration) -> bool {
        let step = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while self.is_alive() {
            if waited >= patience {
                return false;
            }
            thread::sleep(step);
            waited += step;
        }
        true
    }

    /// Asks it to end, and ends it after three seconds.
    pub(super) fn stop(&self) {
        self.signal(Signal::SIGTERM);
        if !self.gone_within(Duration::from_secs(3)) {
            self.signal(Signal::SIGKILL);
            self.gone_within(Duration::from_secs(3));
        }
    }
}

/// Processes that this laboratory started, whether they still run or not.
pub(super) fn remembered() -> Vec<Process> {
    fs::read(list())
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// The running process of a name.
pub(super) fn find(name: &str) -> Option<Process> {
    remembered()
        .into_iter()
        .rev()
        .find(|process| process.name == name && process.is_alive())
}

pub(super) fn log_file(name: &str) -> std::path::PathBuf {
    home("log").join(format!("{name}.log"))
}

fn list() -> std::path::PathBuf {
    home("processes.json")
}

/// Field 22 of `/proc/PID/stat`; None when there is no such process, or only its remains.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything, spaces and parentheses included.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
