//! Layer 3: oracle, `decide` on the host and the loaded program judge the same packets, millions
//! of them, and must agree on each. `SEKISHO_PACKETS`, `SEKISHO_SEED` and `SEKISHO_SECONDS` (set
//! by `cargo xtask test --packets` and by `cargo xtask fuzz`) say how many, which, and how long.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tests::{
    compare::{self, EPISODE, Mismatch, Subjects},
    generate::{Episode, Expected, Step, Stream, site},
    oracle::{
        AgentDown, Answer, Config, Kind, Oracle, OtherPorts, Protected, Rate, Reason, Service,
        Target, prefix,
    },
};
use xtask::clock;

/// Judged by each run of CI.
const PACKETS: u64 = 2_000_000;
/// How often a long run says that it lives.
const PROGRESS: Duration = Duration::from_secs(10);
/// Test runs are system calls on one processor each; more threads would only wait.
const THREADS: u64 = 2;

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let number = text
        .parse()
        .with_context(|| format!("{variable} is {text:?}, which is no number"))?;
    Ok(Some(number))
}

/// How much there is to do, and how much is done.
struct Plan {
    seed: u64,
    packets: u64,
    limit: Duration,
    began: std::time::Instant,
    next: AtomicU64,
    judged: AtomicU64,
    over: AtomicBool,
    found: Mutex<Option<(Mismatch, Episode)>>,
}

impl Plan {
    /// The packets of the next episode and its seed.
    fn episode(&self) -> Option<(u64, u64)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let left = self.packets.checked_sub(number.checked_mul(EPISODE)?)?;
        let late = self.began.elapsed() >= self.limit || self.over.load(Ordering::Relaxed);
        (left > 0 && !late).then_some((self.seed.wrapping_add(number), left.min(EPISODE)))
    }

    fn work(&self) -> Result<()> {
        let mut subjects = compare::everybody()?;
        while let Some((seed, packets)) = self.episode() {
            if let Some(found) = compare::run(&mut subjects, seed, packets)? {
                self.over.store(true, Ordering::Relaxed);
                let mut place = self.found.lock().ok().context("a thread panicked")?;
                place.get_or_insert(found);
            }
            self.judged.fetch_add(packets, Ordering::Relaxed);
        }
        Ok(())
    }

    fn progress(&self, workers: &[thread::ScopedJoinHandle<Result<()>>]) {
        let mut told = self.began;
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(50));
            if told.elapsed() >= PROGRESS {
                told = clock::instant();
                let seconds = self.began.elapsed().as_secs().max(1);
                let judged = self.judged.load(Ordering::Relaxed);
                println!("{judged} packets, {} a second", judged / seconds);
            }
        }
    }
}

#[test]
fn oracle_host_and_kernel_agree_on_millions_of_packets() -> Result<()> {
    let seconds = number("SEKISHO_SECONDS")?;
    let plan = Plan {
        seed: number("SEKISHO_SEED")?.unwrap_or_else(|| clock::unix_seconds() * 1_000_000),
        packets: number("SEKISHO_PACKETS")?.unwrap_or(if seconds.is_some() {
            u64::MAX
        } else {
            PACKETS
        }),
        limit: seconds.map_or(Duration::MAX, Duration::from_secs),
        began: clock::instant(),
        next: AtomicU64::new(0),
        judged: AtomicU64::new(0),
        over: AtomicBool::new(false),
        found: Mutex::new(None),
    };
    println!("seed {}: repeat with SEKISHO_SEED={0}", plan.seed);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| plan.work())).collect();
        plan.progress(&workers);
        for worker in workers {
            worker.join().ok().context("a thread panicked")??;
        }
        anyhow::Ok(())
    })?;
    let found = plan.found.into_inner().ok().context("a thread panicked")?;
    if let Some((found, episode)) = found {
        let name = format!("found-{}", found.difference.name());
        let path = compare::keep(&name.to_lowercase(), &episode)?;
        bail!(
            "{}: {:?}; kept as {}:\n{episode}",
            found.who,
            found.difference,
            path.display()
        );
    }
    let judged = plan.judged.into_inner();
    println!("{judged} packets in {:?}", plan.began.elapsed());
    Ok(())
}

/// The oracle alone, then everybody with it.
#[test]
fn the_corpus_is_judged_as_its_files_say() -> Result<()> {
    let mut subjects = compare::everybody()?;
    let corpus = compare::load()?;
    ensure!(!corpus.is_empty(), "the corpus is empty");
    let mut wrong = Vec::new();
    for (name, episode) in corpus {
        if let Expected::Verdict(expected) = episode.expected {
            let said = last_verdict(&episode).with_context(|| name.clone())?;
            if said != expected {
                wrong.push(format!("{name}: the oracle says {said:?}\n{episode}"));
            }
        }
        if let Some(found) = compare::play(&mut subjects, &site(), &episode.steps)? {
            wrong.push(format!("{name}: {found:?}\n{episode}"));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

fn last_verdict(episode: &Episode) -> Result<tests::oracle::Verdict> {
    let mut oracle = Oracle::new(site());
    let mut now = compare::START;
    let mut last = None;
    for step in &episode.steps {
        match step {
            Step::Packet(frame) => last = Some(oracle.judge(frame, now)),
            Step::Outgoing(frame) => oracle.outgoing(frame, now),
            Step::Advance(ns) => now += ns,
            Step::Change(change) => oracle.change(change, now),
        }
    }
    last.context("no packet")
}

/// Every address there is belongs to one service, for which nobody holds a grant.
fn everything_granted() -> Config {
    let whole = [prefix([0; 4], 0), prefix([0_u16; 8], 0)];
    Config {
        protected: whole
            .map(|prefix| Protected {
                prefix,
                other_ports: OtherPorts::Pass,
            })
            .to_vec(),
        portal: Vec::new(),
        services: vec![Service {
            id: 1,
            kind: Kind::Granted(AgentDown::Keep),
            answer: Answer::Silence,
            targets: whole
                .map(|prefix| Target {
                    prefix,
                    protocol: None,
                    ports: None,
                })
                .to_vec(),
            allow: Vec::new(),
        }],
        ether_types: Vec::new(),
        icmp_errors: Rate::NONE,
    }
}

/// For any bytes: what passes without a grant is no packet to a service, but what keeps the link
/// and the path alive. What a packet is, is read off the bytes here once more, as bluntly as can
/// be: behind at most two tags.
#[test]
fn without_a_grant_nothing_passes_towards_a_granted_service() -> Result<()> {
    let site = everything_granted();
    let mut subjects = compare::everybody()?;
    let seed = number("SEKISHO_SEED")?.unwrap_or_else(|| clock::unix_seconds() * 1_000_000);
    println!("seed {seed}: repeat with SEKISHO_SEED={seed}");
    let frames = Stream::new(seed).filter_map(|step| match step {
        Step::Packet(frame) => Some(frame),
        _ => None,
    });
    let mut oracle = Oracle::new(site.clone());
    begin(&mut subjects, &oracle)?;
    for frame in frames.take(100_000) {
        let ours = oracle.judge(&frame, compare::START);
        let mut verdicts = vec![("the oracle", ours)];
        for subject in &mut subjects {
            let said = subject.judge(&frame, compare::START)?;
            verdicts.extend(said.map(|said| (subject.name(), said.verdict)));
        }
        for (who, verdict) in verdicts {
            ensure!(
                !verdict.passes || keeps_the_link_alive(&frame),
                "{who} passes as {:?}: {frame:02x?}",
                verdict.reason
            );
            ensure!(
                !verdict.passes || [Reason::Control, Reason::IcmpError].contains(&verdict.reason),
                "{who}: {:?}: {frame:02x?}",
                verdict.reason
            );
        }
    }
    Ok(())
}

fn begin(subjects: &mut Subjects, oracle: &Oracle) -> Result<()> {
    for subject in subjects {
        subject.begin(oracle, compare::START)?;
    }
    Ok(())
}

/// No IP at all, or ICMP; in IPv6 that may stand behind extension headers.
fn keeps_the_link_alive(frame: &[u8]) -> bool {
    let mut rest = frame.get(12..).unwrap_or_default();
    for _ in 0..2 {
        if let [0x81, 0x00, _, _, behind @ ..] | [0x88, 0xa8, _, _, behind @ ..] = rest {
            rest = behind;
        }
    }
    match rest {
        [0x08, 0x00, packet @ ..] => packet.get(9) == Some(&1),
        [0x86, 0xdd, packet @ ..] => match packet.get(6) {
            Some(0 | 43 | 44 | 51 | 60) => packet.contains(&58),
            next => next == Some(&58),
        },
        _ => true,
    }
}
