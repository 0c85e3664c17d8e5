//! Faults at random points: the agent killed while it works, starts or takes over, the machine
//! rebooted between two writes, two agents at once, a link that goes. `SEKISHO_FAULTS` (set by
//! `cargo xtask test --faults`) says how many times instead of a few; the seed is printed, and
//! `SEKISHO_SEED` repeats it.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use agent_api::{CloseRequest, GrantQuery};
use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    agent::grant_request,
    generate::Dice,
    rig::{Family, mount_bpf, must_be_open, must_be_shut, replaced},
    tools::{self, Daemon, block_on},
};
use xtask::{
    clock,
    lab::OUTER,
    net::Namespace,
    traffic::{self, FlowReport},
};

/// Kills under traffic in CI; a twentieth of it is what the slower ones take.
const KILLS: u64 = 100;
/// How long one flow of packets is. It runs on over as many kills as fit.
const FLOW: Duration = Duration::from_secs(10);
/// Operations of the ledger between power cuts in CI.
const OPERATIONS: u64 = 500;
const SHORT: Duration = Duration::from_secs(1);

fn number(variable: &str, otherwise: u64) -> Result<u64> {
    let Some(text) = std::env::var_os(variable) else {
        return Ok(otherwise);
    };
    let text = text.to_string_lossy();
    text.parse()
        .with_context(|| format!("{variable} is {text:?}, which is no number"))
}

fn dice() -> Result<Dice> {
    let seed = number("SEKISHO_SEED", clock::unix_seconds())?;
    println!("seed {seed}: repeat with SEKISHO_SEED={seed}");
    Ok(Dice::new(seed))
}

fn pause(dice: &mut Dice, longest: Duration) {
    let longest = usize::try_from(longest.as_micros()).unwrap_or(usize::MAX);
    let micros = u64::try_from(dice.below(longest)).unwrap_or(0);
    thread::sleep(Duration::from_micros(micros));
}

/// An agent that may be killed before it is ready.
fn spawn(rig: &Rig, name: &str) -> Result<Daemon> {
    let mut command = rig.layout.gate.command(tools::sekisho()?);
    command
        .args(["run", "--config"])
        .arg(rig.path("agent.toml"));
    Daemon::start(name, command, rig.path(&format!("{name}.log")))
}

fn flow(rig: &Rig, from: &Namespace, length: Duration) -> thread::JoinHandle<Result<FlowReport>> {
    let (from, to) = (from.clone(), rig.server(Family::V4, 7));
    thread::spawn(move || from.inside(|| traffic::flow(to, 500, length))?)
}

/// Starts, takes over, answers, and dies at any point of it, while a granted source and a
/// stranger talk to the server all the time.
#[test]
fn an_agent_killed_at_random_points_loses_no_packet_and_lets_nobody_in() -> Result<()> {
    let mut dice = dice()?;
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "echo", "alice", 3_600)?;
    agent.daemon.kill()?;
    let (mut kills, due) = (0, number("SEKISHO_FAULTS", KILLS)?);
    while kills < due {
        let end = clock::instant() + FLOW;
        let granted = flow(&rig, &rig.layout.client, FLOW);
        let stranger = flow(&rig, &rig.layout.neighbour, FLOW);
        let mut log = String::new();
        while kills < due && clock::instant() < end {
            let mut victim = spawn(&rig, &format!("victim-{kills}"))?;
            // Half of them die before they are ready.
            pause(&mut dice, Duration::from_millis(800));
            victim.kill()?;
            log = victim.log();
            kills += 1;
        }
        let granted = granted.join().ok().context("a flow panicked")??;
        let stranger = stranger.join().ok().context("a flow panicked")??;
        ensure!(
            granted.sent > 1_000 && granted.lost() == 0,
            "up to kill {kills}: the granted flow: {granted:?}\n{log}"
        );
        ensure!(
            stranger.sent > 1_000 && stranger.returned == 0,
            "up to kill {kills}: the stranger's flow: {stranger:?}\n{log}"
        );
    }
    Agent::start(&rig)?.status()?;
    Ok(())
}

/// What was acknowledged of one source.
#[derive(Clone, Copy, Debug)]
enum Known {
    Shut,
    /// The moment it ends, if it is not revoked before.
    OpenUntil(Instant),
    /// The agent died before it answered.
    Unsure,
}

struct Books {
    known: BTreeMap<IpAddr, Known>,
    operations: u64,
}

impl Books {
    /// One request, during which the agent may die.
    fn operate(&mut self, agent: &agent_api::Client, dice: &mut Dice) -> Result<()> {
        let source = IpAddr::from([192, 0, 2, dice.of([20, 21, 22, 23, 24, 25])]);
        let seconds = dice.of([1, 3_600, 3_600]);
        self.operations += 1;
        self.known.insert(source, Known::Unsure);
        if dice.one_in(2) {
            let request = grant_request(source, "web", "alice", seconds);
            if let Ok(grant) = block_on(agent.grant(&request))? {
                // A shorter one does not cut a longer one.
                let remaining = Duration::from_secs(grant.remaining_seconds);
                let until = clock::instant() + remaining;
                self.known.insert(source, Known::OpenUntil(until));
            }
            return Ok(());
        }
        let request = CloseRequest {
            source: Some(source.into()),
            ..CloseRequest::default()
        };
        if block_on(agent.close(&request))?.is_ok() {
            self.known.insert(source, Known::Shut);
        }
        Ok(())
    }

    /// What the agent that came back holds must be what was acknowledged.
    fn compare(&mut self, agent: &Agent) -> Result<()> {
        // Before it is asked: what is left later is less.
        let asked = clock::instant();
        let page = block_on(agent.client().grants(&GrantQuery::default()))??;
        let listed: BTreeMap<IpAddr, u64> = page
            .grants
            .iter()
            .filter(|grant| grant.in_kernel)
            .map(|grant| (grant.source.address(), grant.remaining_seconds))
            .collect();
        let now = clock::instant();
        for (source, known) in &mut self.known {
            let remaining = listed.get(source);
            match known {
                Known::Shut => ensure!(
                    remaining.is_none(),
                    "{source} was revoked, and is open again for {remaining:?} s"
                ),
                // What ends while we look may be either.
                Known::OpenUntil(until) if *until + SHORT < now => ensure!(
                    remaining.is_none(),
                    "the grant of {source} had ended, and is back for {remaining:?} s"
                ),
                Known::OpenUntil(until) if *until > now + SHORT => {
                    let left = until.saturating_duration_since(asked).as_secs();
                    ensure!(
                        remaining.is_some_and(|remaining| *remaining <= left + 1),
                        "{source} was granted for {left} s more, and has {remaining:?}"
                    );
                }
                Known::OpenUntil(_) => {}
                Known::Unsure => {
                    *known = remaining.map_or(Known::Shut, |seconds| {
                        Known::OpenUntil(now + Duration::from_secs(*seconds))
                    });
                }
            }
        }
        let used = agent.status()?.grants_v4.used;
        let count = u64::try_from(listed.len())?;
        // A grant may end between the two looks.
        ensure!(
            used <= count + 6 && used + 6 >= count,
            "{used} in the kernel, {count} listed"
        );
        Ok(())
    }
}

/// Killed at any point of an operation; every other time the machine reboots as well, so that
/// the ledger alone knows.
#[test]
fn no_acknowledged_revocation_is_lost_and_no_ended_grant_comes_back() -> Result<()> {
    let mut dice = dice()?;
    let rig = Rig::quiet()?;
    let mut agent = Agent::start(&rig)?;
    let mut books = Books {
        known: BTreeMap::new(),
        operations: 0,
    };
    let limit = OPERATIONS.max(number("SEKISHO_FAULTS", 0)? * 10);
    while books.operations < limit {
        let client = agent.client();
        for _ in 0..dice.below(40) {
            books.operate(&client, &mut dice)?;
        }
        let mut delays = dice.clone();
        dice.roll();
        thread::scope(|scope| {
            let books = &mut books;
            let dice = &mut dice;
            let last = scope.spawn(move || books.operate(&client, dice));
            pause(&mut delays, Duration::from_millis(6));
            agent.daemon.kill()?;
            last.join().ok().context("a request panicked")?
        })?;
        if dice.one_in(2) {
            nix::mount::umount(&rig.path("bpf"))?;
            mount_bpf(&rig.path("bpf"))?;
        }
        if dice.one_in(4) {
            thread::sleep(SHORT * 2);
        }
        agent = Agent::start(&rig)?;
        books.compare(&agent).with_context(|| {
            format!(
                "after {} operations:\n{}",
                books.operations,
                agent.daemon.log()
            )
        })?;
    }
    let chain = block_on(agent.client().audit_verify())??;
    ensure!(chain.intact, "the audit's chain broke: {chain:?}");
    Ok(())
}

/// Both find nothing running; one of them has to find out that it is not alone.
#[test]
fn of_two_agents_started_at_once_one_refuses() -> Result<()> {
    let mut dice = dice()?;
    let rig = Rig::gateway()?;
    rig.serve()?;
    let mut agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 3_600)?;
    agent.daemon.kill()?;
    for round in 0..number("SEKISHO_FAULTS", KILLS)?.div_ceil(20) {
        let mut first = spawn(&rig, "first")?;
        pause(&mut dice, Duration::from_millis(20));
        let mut second = spawn(&rig, "second")?;
        let both = |first: &mut Daemon, second: &mut Daemon| (first.is_alive(), second.is_alive());
        // The one that is late waits a while for the other to end.
        for _ in 0..600 {
            if both(&mut first, &mut second) != (true, true)
                && block_on(agent.client().status())?.is_ok()
            {
                break;
            }
            thread::sleep(Duration::from_millis(25));
        }
        let alive = both(&mut first, &mut second);
        let logs = || format!("{}\n---\n{}", first.log(), second.log());
        ensure!(
            alive == (true, false) || alive == (false, true),
            "round {round}: alive: {alive:?}\n{}",
            logs()
        );
        agent.status().with_context(logs)?;
        must_be_open(&rig.layout.client, rig.server(Family::V4, 80))?;
        must_be_shut(&rig.layout.neighbour, rig.server(Family::V4, 80))?;
    }
    Ok(())
}

#[test]
fn a_link_that_goes_and_comes_back_is_still_guarded() -> Result<()> {
    let rig = Rig::gateway()?;
    rig.serve()?;
    let agent = Agent::start(&rig)?;
    agent.grant(rig.source(Family::V4), "web", "alice", 3_600)?;
    let web = rig.server(Family::V4, 80);
    for _ in 0..3 {
        let gate = &rig.layout.gate;
        gate.ip([format!("link set {OUTER} down").as_str()])?;
        gate.ip([format!("link set {OUTER} up").as_str()])?;
        must_be_open(&rig.layout.client, web)?;
        must_be_shut(&rig.layout.neighbour, web)?;
    }
    agent.status()?;
    Ok(())
}

#[test]
fn a_full_table_comes_back_full_and_still_refuses() -> Result<()> {
    let rig = Rig::quiet()?;
    let config = replaced(&rig.agent_config(), "capacity = 1024", "capacity = 16")?;
    fs::write(rig.path("agent.toml"), &config)?;
    let mut agent = Agent::start_with(&rig, &config)?;
    let fill = |agent: &Agent| {
        (20..80_u8)
            .take_while(|last| {
                agent
                    .grant([192, 0, 2, *last].into(), "web", "alice", 300)
                    .is_ok()
            })
            .count()
    };
    let taken = fill(&agent);
    ensure!((16..60).contains(&taken), "a table of 16 took {taken}");
    let used = agent.status()?.grants_v4.used;
    agent.daemon.kill()?;
    nix::mount::umount(&rig.path("bpf"))?;
    mount_bpf(&rig.path("bpf"))?;
    let agent = Agent::start_with(&rig, &config)?;
    ensure!(
        agent.status()?.grants_v4.used == used,
        "{used} before, {:?} after",
        agent.status()?.grants_v4
    );
    let next = agent.grant([192, 0, 2, 200].into(), "web", "alice", 300);
    ensure!(next.is_err(), "the full table took one more: {next:?}");
    Ok(())
}
