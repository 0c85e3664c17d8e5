//! Part `revoke`: how long a door stays open after somebody said "shut". From the API call to the
//! first packet that is dropped, the whole command, and very many grants at once.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use agent_api::{Client, CloseRequest};
use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Runtime;
use xtask::{clock, command, lab::ETH};

use super::{
    Options,
    result::{Row, Target, median, quantile},
    subject::{self, Seed, Shape, Subject, target_v4},
};
use crate::{packet, rig::GATE_MAC, tools, wire::Wire};

const PART: &str = "revoke";
/// The person at the documentation address whose grant is opened and shut.
const SOURCE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
/// Whose grants are shut all at once, one batch in each round.
const USERS: &str = "batch";
/// No revocation takes longer; past this the bench gives up.
const PATIENCE: Duration = Duration::from_secs(2);
/// The kernel makes about 60 µs of it: some 15,000 packets a second. Faster traffic would have to
/// spin, and on two cores that takes away one the agent needs.
const BETWEEN: Duration = Duration::from_micros(1);
/// Traffic goes on so long after the answer, so that a packet that slips through is seen.
const AFTER: Duration = Duration::from_millis(2);

/// The checksum of UDP in a frame without tags and options.
const CHECKSUM: std::ops::Range<usize> = 40..42;

/// What each round gave.
#[derive(Default)]
struct Figures {
    middle: Vec<f64>,
    slow: Vec<f64>,
    process: Vec<f64>,
    process_slow: Vec<f64>,
    batch: Vec<f64>,
    batch_map: Vec<f64>,
}

pub(super) fn run(options: &Options) -> Result<Vec<Row>> {
    let (samples, commands, batch) = if options.quick {
        (20, 3, 2_000)
    } else {
        (200, 20, 100_000)
    };
    options.tell(PART, "starting an agent");
    let subject = start(options, batch)?;
    let mut bench = Bench::new(&subject)?;
    let mut figures = Figures::default();
    for round in 0..options.rounds {
        options.round(PART, round);
        let delays = (0..samples)
            .map(|_| bench.delay())
            .collect::<Result<Vec<_>>>()?;
        figures.middle.extend(median(&delays));
        figures.slow.extend(quantile(&delays, 0.99));
        let commands = (0..commands)
            .map(|_| bench.command())
            .collect::<Result<Vec<_>>>()?;
        figures.process.extend(median(&commands));
        figures.process_slow.extend(quantile(&commands, 0.99));
        let user = format!("{USERS}{round}");
        let (took, map) = bench.revoke(&["--user", &user], batch)?;
        figures.batch.push(took);
        figures.batch_map.push(map);
    }
    Ok(rows(figures, batch))
}

/// An agent with a busy site's grants, and one batch more for each round.
fn start(options: &Options, batch: u32) -> Result<Subject> {
    let [_, services, _] = options.sizes.services;
    let shape = Shape {
        grants: options.sizes.some,
        services,
    };
    let mut subject = Subject::start(shape)?;
    subject.agent.daemon.stop()?;
    // Half of each batch are IPv4 sources, half are IPv6.
    let half = batch / 2;
    for round in 0..options.rounds {
        let batch = Seed {
            first: shape.grants + u32::try_from(round)? * half,
            user: format!("{USERS}{round}"),
            ..Seed::default()
        };
        let shape = Shape {
            grants: half,
            ..shape
        };
        subject::seed(&subject.rig, shape, &batch)?;
    }
    subject.agent = subject::start_agent(&subject.rig, shape)?;
    let held = subject.agent.status()?.holders;
    let due = u64::from(shape.grants) * 2 + u64::try_from(options.rounds)? * u64::from(half) * 2;
    ensure!(
        held == due,
        "the agent holds {held} grants instead of {due}"
    );
    Ok(subject)
}

fn rows(figures: Figures, batch: u32) -> Vec<Row> {
    let most = Target::AtMost;
    vec![
        Row::new(
            PART,
            "call-median",
            "API call to the first dropped packet, median",
            "ms",
            figures.middle,
        ),
        Row::new(
            PART,
            "call-p99",
            "API call to the first dropped packet, 99th of 100",
            "ms",
            figures.slow,
        )
        .target(most(1.0)),
        Row::new(
            PART,
            "process-median",
            "the whole command `sekisho revoke`, median",
            "ms",
            figures.process,
        ),
        Row::new(
            PART,
            "process-p99",
            "the whole command `sekisho revoke`, slowest",
            "ms",
            figures.process_slow,
        )
        .target(most(20.0)),
        Row::new(
            PART,
            "batch",
            format!("{batch} grants revoked by one command"),
            "ms",
            figures.batch,
        )
        .target(most(150.0)),
        Row::new(
            PART,
            "batch-map",
            "of that, until all of them were shut",
            "ms",
            figures.batch_map,
        ),
    ]
}

/// The client's and the server's end of the traffic, and the agent's API.
struct Bench<'a> {
    subject: &'a Subject,
    out: Wire,
    server: UdpSocket,
    client: Client,
    runtime: Runtime,
    service: String,
    frame: Vec<u8>,
}

/// What the traffic saw.
struct Traffic {
    /// When each packet had gone through the filter, or not; its number is its place.
    sent: Vec<Instant>,
    /// The last one that came through.
    last: Option<usize>,
}

impl<'a> Bench<'a> {
    fn new(subject: &'a Subject) -> Result<Self> {
        let layout = &subject.rig.layout;
        let busiest = subject.shape.services - 1;
        let (target, port) = (target_v4(busiest), subject::port(busiest));
        layout
            .gate
            .ip([format!("address add {target}/32 dev lo").as_str()])?;
        let mut frame = packet::datagram(GATE_MAC, SOURCE.into(), target, port, &[0; 8])?;
        // No checksum, which UDP allows over IPv4: each packet carries another number.
        frame
            .get_mut(CHECKSUM)
            .context("a frame too short")?
            .fill(0);
        let server = layout.gate.inside(|| UdpSocket::bind((target, port)))??;
        server.set_nonblocking(true)?;
        Ok(Self {
            subject,
            out: Wire::open(&layout.client, ETH)?,
            server,
            client: subject.agent.client(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            service: subject::name(busiest),
            frame,
        })
    }

    fn open(&self) -> Result<()> {
        let grant = self
            .subject
            .agent
            .grant(SOURCE.into(), &self.service, "alice", 3600)?;
        ensure!(grant.in_kernel, "the grant is not in force");
        Ok(())
    }

    /// Milliseconds from the call to the first packet that does not come through. A virtual cable
    /// runs the filter inside the sending call, so the sender's clock sees the verdict.
    fn delay(&mut self) -> Result<f64> {
        self.open()?;
        let (started, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let (out, server, frame) = (&mut self.out, &self.server, &self.frame);
        let (client, runtime) = (&self.client, &self.runtime);
        let (called, traffic) = thread::scope(|scope| -> Result<_> {
            let traffic = scope.spawn(|| send(out, server, frame, &started, &done));
            let called = close(client, runtime, &started);
            done.store(true, Ordering::Release);
            let traffic = traffic.join().map_err(|_| anyhow::anyhow!("sender died"))?;
            Ok((called?, traffic?))
        })?;
        let last = traffic.last.context("no packet of a granted source came")?;
        let dropped = traffic.sent.get(last + 1);
        let dropped = dropped.context("packets came through after the revocation")?;
        let delay = dropped.checked_duration_since(called);
        let delay = delay.context("packets vanished before the revocation")?;
        Ok(delay.as_secs_f64() * 1e3)
    }

    /// Milliseconds of the whole command for one source.
    fn command(&self) -> Result<f64> {
        self.open()?;
        Ok(self.revoke(&["--source", &SOURCE.to_string()], 1)?.0)
    }

    /// Milliseconds of a whole command, and from the request to the last change of the map.
    fn revoke(&self, what: &[&str], due: u32) -> Result<(f64, f64)> {
        let mut revoke = Command::new(tools::sekisho()?);
        revoke.arg("--socket").arg(self.client.socket());
        revoke.args(["--json", "revoke"]).args(what);
        let start = clock::instant();
        let text = command::output(&mut revoke)?;
        let took = start.elapsed();
        let closed: serde_json::Value = serde_json::from_str(&text)?;
        let number = |name: &str| closed.get(name).and_then(serde_json::Value::as_u64);
        let count = number("count").context("no count")?;
        ensure!(count == u64::from(due), "{count} were revoked, not {due}");
        let map = Duration::from_micros(number("map_changed_after_us").context("no time")?);
        Ok((took.as_secs_f64() * 1e3, map.as_secs_f64() * 1e3))
    }
}

/// Shuts the source's door a moment after the traffic began; when it was asked to.
fn close(client: &Client, runtime: &Runtime, started: &AtomicBool) -> Result<Instant> {
    let begun = clock::instant();
    while !started.load(Ordering::Acquire) && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_micros(100));
    }
    let request = CloseRequest {
        source: Some(IpAddr::from(SOURCE).into()),
        ..CloseRequest::default()
    };
    let called = clock::instant();
    let closed = runtime.block_on(client.close(&request))?;
    ensure!(closed.count == 1, "{} grants were closed", closed.count);
    Ok(called)
}

/// Sends numbered packets until a moment after `done`, and looks which came through.
fn send(
    out: &mut Wire,
    server: &UdpSocket,
    frame: &[u8],
    started: &AtomicBool,
    done: &AtomicBool,
) -> Result<Traffic> {
    let mut frame = frame.to_vec();
    let payload = frame.len().checked_sub(8).context("a frame too short")?;
    let mut traffic = Traffic {
        sent: Vec::with_capacity(1 << 16),
        last: None,
    };
    let begun = clock::instant();
    let mut answered: Option<Instant> = None;
    while answered.is_none_or(|at| at.elapsed() < AFTER) && begun.elapsed() < PATIENCE {
        if answered.is_none() && done.load(Ordering::Acquire) {
            answered = Some(clock::instant());
        }
        let number = traffic.sent.len() as u64;
        frame
            .get_mut(payload..)
            .context("a frame too short")?
            .copy_from_slice(&number.to_be_bytes());
        out.send(&frame)?;
        traffic.sent.push(clock::instant());
        let mut seen = [0; 8];
        thread::sleep(BETWEEN);
        while server
            .recv(&mut seen)
            .is_ok_and(|length| length == seen.len())
        {
            traffic.last = Some(usize::try_from(u64::from_be_bytes(seen))?);
            started.store(true, Ordering::Release);
        }
    }
    Ok(traffic)
}
