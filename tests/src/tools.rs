//! Programs the tests run. One that is missing is a failure that says how to get it: a test that
//! quietly did nothing would be worse than none.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use xtask::command;

/// The `sekisho` binary under test.
pub fn sekisho() -> Result<PathBuf> {
    binary("SEKISHO_BIN", "sekisho")
}

/// The `sekisho-portal` binary under test.
pub fn portal() -> Result<PathBuf> {
    binary("SEKISHO_PORTAL_BIN", "sekisho-portal")
}

fn binary(variable: &str, name: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(
        || command::target_dir().join("debug").join(name),
        PathBuf::from,
    );
    if !path.is_file() {
        bail!(
            "{} is not built; run `cargo xtask test`, which builds it",
            path.display()
        );
    }
    Ok(path)
}

/// A program of the system, or what to run to get it.
pub fn program(name: &str) -> Result<PathBuf> {
    command::find_program(name)
        .with_context(|| format!("the program {name} is missing; run `cargo xtask setup tests`"))
}

/// The folder below which the directory server lies: `/` when it is installed, else where set-up
/// unpacked it.
pub fn slapd_root() -> Result<PathBuf> {
    let unpacked = command::target_dir().join("tools/slapd");
    [PathBuf::from("/"), unpacked]
        .into_iter()
        .find(|root| root.join("usr/sbin/slapd").is_file())
        .context("the directory server slapd is missing; run `cargo xtask setup tests`")
}

/// The directory server's program, able to find its own libraries.
pub fn slapd() -> Result<Command> {
    let root = slapd_root()?;
    let mut command = Command::new(root.join("usr/sbin/slapd"));
    command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
    Ok(command)
}

/// A program as on a machine where the package's own user exists: with a list of users of its own,
/// that only this one process sees. `folder` keeps the list.
pub fn as_installed(folder: &Path, program: &Path) -> Result<Command> {
    let users = folder.join("passwd");
    let line = "sekisho-portal:x:901:901::/var/lib/sekisho-portal:/usr/sbin/nologin\n";
    fs::write(&users, fs::read_to_string("/etc/passwd")? + line)?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /etc/passwd && exec \"$@\"")
        .args([&users, program]);
    Ok(command)
}

/// The library that shows a process another wall clock (faketime(1)).
pub fn faketime() -> Result<PathBuf> {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    folders
        .map(|folder| PathBuf::from(folder).join("faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|library| library.is_file())
        .context("the library faketime is missing; run `cargo xtask setup tests`")
}

/// A child process whose output goes to a file, ended (by pid) when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub fn start(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let file = fs::File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command::shown(&command)))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits up to five seconds until it wrote this.
    pub fn says(&self, text: &str) -> Result<()> {
        for _ in 0..250 {
            if self.log().contains(text) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{} does not say {text:?}:\n{}", self.name, self.log())
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it does its work; an error with its log if it ends first or takes 20 seconds.
    pub fn ready(&mut self, mut works: impl FnMut() -> bool) -> Result<()> {
        for _ in 0..1000 {
            if works() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended ({status}) instead of starting:\n{}",
                    self.name,
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{} was not ready within 20 s:\n{}", self.name, self.log())
    }

    /// SIGKILL, and waits.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, signal).context("cannot send a signal")
    }

    /// SIGTERM, and waits up to ten seconds for its exit code.
    pub fn stop(&mut self) -> Result<Option<i32>> {
        self.signal(nix::sys::signal::Signal::SIGTERM)?;
        for _ in 0..500 {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{} did not stop within 10 s:\n{}", self.name, self.log())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("---- log of {} ----\n{}", self.name, self.log());
        }
    }
}

/// Text a program wrote, both streams, for messages of failures.
pub fn both(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs async code of the agent's client to its end.
pub fn block_on<F: Future>(work: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
