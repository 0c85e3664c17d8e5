//! A download that runs at full speed is cut by an operator, and opened again by its owner.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{Stage, milliseconds};
use crate::{
    clock,
    lab::{config, layout::home, picture},
};

/// What arrives on the server's own interface from one address, with the time of each packet.
/// Ended when dropped.
struct Capture {
    tcpdump: Child,
    file: std::path::PathBuf,
}

impl Capture {
    fn start(stage: &Stage<'_>) -> Result<Self> {
        let file = home("log/capture.txt");
        let log = fs::File::create(&file)?;
        let complaints = fs::File::create(home("log/tcpdump.log"))?;
        let mut tcpdump = stage.lab.server().command("tcpdump");
        tcpdump
            .args(["-n", "-q", "-tt", "-l", "-Z", "root", "-s", "96", "-i"])
            .arg(&stage.lab.interfaces.server)
            .arg(format!(
                "tcp and src host {}",
                stage.lab.addresses.client_v4
            ))
            .stdout(log)
            .stderr(complaints);
        let tcpdump = tcpdump.spawn().context("cannot start tcpdump")?;
        let capture = Self { tcpdump, file };
        for _ in 0..100 {
            if fs::read_to_string(home("log/tcpdump.log"))?.contains("listening on") {
                return Ok(capture);
            }
            thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!(
            "tcpdump does not listen: {}",
            fs::read_to_string(home("log/tcpdump.log"))?
        )
    }

    /// Times of all packets so far, in microseconds after 1970.
    fn times(mut self) -> Result<Vec<u64>> {
        // An interrupt lets it write what it still holds.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.tcpdump.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
        self.tcpdump.wait()?;
        let text = fs::read_to_string(&self.file)?;
        let times = text.lines().filter_map(|line| {
            let (seconds, rest) = line.split_once('.')?;
            let micros = rest.get(..6)?;
            Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
        });
        Ok(times.collect())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        drop(self.tcpdump.kill());
        drop(self.tcpdump.wait());
    }
}

/// A running download. Ended when dropped.
struct Download(Child);

impl Download {
    fn start(stage: &Stage<'_>) -> Result<Self> {
        let mut curl: Command = stage.client.command("curl");
        curl.args(["--silent", "--output", "/dev/null"])
            .arg(format!("http://{}/large", stage.lab.addresses.server_v4))
            .stderr(Stdio::null());
        Ok(Self(curl.spawn().context("cannot start curl")?))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(super) fn cut(stage: &mut Stage<'_>) -> Result<String> {
    let capture = Capture::start(stage)?;
    let mut download = Download::start(stage)?;
    thread::sleep(Duration::from_millis(1500));
    let running = picture::packets(stage.lab, "Granted")?;
    thread::sleep(Duration::from_millis(100));
    ensure!(
        picture::packets(stage.lab, "Granted")? > running,
        "the download does not run"
    );

    let asked = clock::unix_micros();
    let start = clock::instant();
    let source = stage.lab.addresses.client_v4.clone();
    let reply = stage.sekisho(&["--json", "revoke", "--source", &source])?;
    let took = start.elapsed();
    let returned = clock::unix_micros();
    let granted = picture::packets(stage.lab, "Granted")?;
    let refused = picture::packets(stage.lab, "NoGrant")?;
    thread::sleep(Duration::from_millis(1500));
    let passed = picture::packets(stage.lab, "Granted")? - granted;
    let dropped = picture::packets(stage.lab, "NoGrant")? - refused;
    ensure!(
        download.0.try_wait()?.is_none(),
        "the download ended by itself, so nothing was cut"
    );

    let times = capture.times()?;
    let before = times.iter().filter(|&&time| time < asked).count();
    let after = times.iter().filter(|&&time| time > returned).count();
    ensure!(
        before > 100,
        "only {before} packets were seen before the revocation"
    );
    ensure!(
        passed == 0,
        "{passed} packets passed the filter after the revocation"
    );
    ensure!(
        after == 0,
        "{after} packets reached the server after the revocation"
    );
    ensure!(
        dropped > 0,
        "the client fell silent by itself, so nothing was cut"
    );
    let last = times
        .iter()
        .max()
        .map_or(0, |last| last.saturating_sub(asked));
    let map: serde_json::Value = serde_json::from_str(&reply)?;
    let map = map
        .get("map_changed_after_us")
        .and_then(serde_json::Value::as_u64);
    Ok(format!(
        "{} packets before; after the revocation {passed} passed the filter, {after} reached the \
         server\nmap changed {} µs after the request arrived; last packet {} after the command \
         was typed, which returned after {}; {dropped} dropped since",
        picture::grouped(before as u64),
        map.context("no map_changed_after_us in the reply")?,
        milliseconds(Duration::from_micros(last)),
        milliseconds(took),
    ))
}

/// The proof of a moment ago still counts: the page opens without another code.
pub(super) fn opened_again(stage: &mut Stage<'_>) -> Result<String> {
    let web = stage.at(0, config::WEB)?;
    stage.must_be_shut(&stage.client, web)?;
    let reply = stage.alice.post("/access/open", &[])?;
    ensure!(
        reply.status == 303,
        "the portal answered {}, expected 303",
        reply.status
    );
    stage.must_be_open(&stage.client, web)?;
    Ok(format!("opened within {}", milliseconds(reply.took)))
}
