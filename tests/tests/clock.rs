//! The portal's own clock, held against an NTP server: ten minutes off, nobody is let in and the
//! health check is red; right again, everything goes on.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tests::{
    Agent, Portal, Rig,
    portal::{Alice, Office, must_refuse, portal_config},
    rig::{Family, must_be_open, must_be_shut},
    tools::both,
};
use xtask::{clock, net::Namespace};

/// Seconds from 1900 to 1970.
const ERA: i64 = 2_208_988_800;

/// An NTP server of this test, which may be wrong.
struct Server {
    ahead: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(at: &Namespace, address: &str) -> Result<Self> {
        let socket = at.inside(|| UdpSocket::bind(address))??;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (ahead, stop) = (
            Arc::new(AtomicI64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (off, end) = (ahead.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut asked = [0; 64];
            while !end.load(Ordering::Relaxed) {
                let Ok((48, from)) = socket.recv_from(&mut asked) else {
                    continue;
                };
                let now = i64::try_from(clock::unix_seconds()).unwrap_or(0);
                let time = u32::try_from(now + ERA + off.load(Ordering::Relaxed)).unwrap_or(0);
                let mut reply = vec![0b00_100_100, 2];
                reply.resize(24, 0);
                reply.extend(asked.iter().skip(40).take(8));
                for _ in 0..2 {
                    reply.extend(time.to_be_bytes());
                    reply.extend([0; 4]);
                }
                let _ = socket.send_to(&reply, from);
            }
        });
        Ok(Self {
            ahead,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Until the health check says this, half a minute at most.
fn becomes(rig: &Rig, portal: &Portal, status: u16, word: &str) -> Result<()> {
    let browser = portal.browser(&rig.layout.gate, "watcher");
    let url = format!("{}/health", portal.url());
    for _ in 0..60 {
        let page = browser.get(&url)?;
        if page.status == status && page.body.starts_with(word) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(500));
    }
    bail!("the health check never said {word}")
}

#[test]
fn while_the_clock_is_ten_minutes_off_nobody_is_let_in() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let _agent = Agent::start(&rig)?;
    let server = Server::start(&rig.layout.gate, "127.0.0.1:1123")?;
    let clock = "\n[clock]\nservers = [\"127.0.0.1:1123\"]\nevery = \"10s\"\n";
    let config = portal_config(&rig) + clock;
    let office = Office::open_with(&rig, &config)?.with_people()?;
    let portal = office.run(&rig)?;
    let web = rig.server(Family::V4, 80);
    let client = &rig.layout.client;
    let mut alice = Alice::at_client(&portal);

    server.ahead.store(600, Ordering::Relaxed);
    becomes(&rig, &portal, 503, "clock")?;
    let code = alice.phone.fresh()?;
    let password = tests::portal::ALICE_PASSWORD;
    let page = portal.log_in(&alice.browser, "alice", password, &code)?;
    must_refuse(&page, 503)?;
    ensure!(page.body.contains("clock is wrong"), "{}", page.body);
    must_be_shut(client, web)?;
    let log = std::fs::read_to_string(rig.path("portal.log")).context("no log")?;
    ensure!(
        log.contains("nobody is let in") && (log.contains("-600") || log.contains("-599")),
        "the operator is not told"
    );
    let check = office.admin(&["check"])?;
    let said = both(&check);
    ensure!(
        !check.status.success() && said.contains("clock: wrong by -"),
        "{said}"
    );

    server.ahead.store(0, Ordering::Relaxed);
    becomes(&rig, &portal, 200, "ok")?;
    alice.log_in(&portal)?;
    must_be_open(client, web)?;
    Ok(())
}
