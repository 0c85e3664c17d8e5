//! The wall clock is set forth and back by hours while grants live, over restarts of the agent and
//! over reboots. Only the agent sees it: a library shows it another one, and the machine's own is
//! left alone. Deadlines count on the boot clock, so nothing may stretch, come back, or be cut.

use std::{
    fs,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use agent_api::GrantQuery;
use anyhow::{Context as _, Result, ensure};
use tests::{
    Agent, Rig,
    agent::refused_start_by,
    rig::{Family, mount_bpf, must_be_open, must_be_shut},
    tools::{self, block_on},
};
use xtask::{clock, lab::OUTER};

const HOUR: i64 = 3_600;
/// What is granted for long, in seconds, and for short.
const LONG: u64 = 3_600;
const SHORT: u64 = 2;
/// Requests and rounding to seconds.
const SLACK: u64 = 2;
/// Shows the agent another id of this boot, and then becomes it.
const OTHER_BOOT: &str = r#"mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@""#;

/// A gateway whose wall clock and boots are the test's.
struct Machine {
    rig: Rig,
    hours: i64,
    boots: u32,
}

impl Machine {
    fn new() -> Result<Self> {
        let rig = Rig::gateway()?;
        rig.serve()?;
        fs::write(rig.path("agent.toml"), rig.agent_config())?;
        let mut machine = Self {
            rig,
            hours: 0,
            boots: 0,
        };
        machine.set_wall(0)?;
        machine.name_boot()?;
        Ok(machine)
    }

    /// Hours ahead of the true time.
    fn set_wall(&mut self, hours: i64) -> Result<()> {
        self.hours = hours;
        let offset = format!("{:+}", hours * HOUR);
        Ok(fs::write(self.rig.path("wall"), offset)?)
    }

    fn name_boot(&mut self) -> Result<()> {
        self.boots += 1;
        Ok(fs::write(
            self.rig.path("boot"),
            format!("boot-{}", self.boots),
        )?)
    }

    /// What is in the kernel goes; only the ledger knows what was.
    fn reboot(&mut self, agent: Agent) -> Result<()> {
        drop(agent);
        nix::mount::umount(&self.rig.path("bpf"))?;
        mount_bpf(&self.rig.path("bpf"))?;
        // The agent's own mounts go a moment after it.
        for _ in 0..200 {
            let mut shows = self.rig.layout.gate.command("ip");
            shows.args(["link", "show", OUTER]);
            if !tools::both(&shows.output()?).contains("xdp") {
                return self.name_boot();
            }
            thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!("the old boot's filter is still there")
    }

    fn start(&self) -> Result<Agent> {
        let library = tools::faketime()?;
        let boot = self.rig.path("boot").display().to_string();
        let preload = format!("LD_PRELOAD={}", library.display());
        let wall = format!(
            "FAKETIME_TIMESTAMP_FILE={}",
            self.rig.path("wall").display()
        );
        let arguments = [
            "--mount",
            "sh",
            "-ec",
            OTHER_BOOT,
            &boot,
            "env",
            &preload,
            &wall,
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ];
        Agent::start_by(&self.rig, "unshare", &arguments)
    }

    /// Seconds that a source has left in the kernel's own map.
    fn left(&self, agent: &Agent, source: IpAddr) -> Result<Option<u64>> {
        let page = block_on(agent.client().grants(&GrantQuery::default()))??;
        let mut grants = page.grants.iter();
        let found = grants.find(|grant| grant.source.covers(source) && grant.in_kernel);
        if let Some(grant) = found {
            // Or the agent sees the true time, and this proves nothing.
            let ahead = grant.deadline.as_second() - i64::try_from(clock::unix_seconds())?;
            let wanted = self.hours * HOUR + i64::try_from(grant.remaining_seconds)?;
            ensure!((ahead - wanted).abs() <= 2, "{ahead} s ahead, not {wanted}");
        }
        Ok(found.map(|grant| grant.remaining_seconds))
    }
}

/// Two sources: one is granted for long, the other for so short that it is over by now.
struct Story {
    long: IpAddr,
    short: IpAddr,
    began: Instant,
}

impl Story {
    fn begin(machine: &Machine, agent: &Agent) -> Result<Self> {
        let (long, short) = (
            machine.rig.source(Family::V4),
            machine.rig.neighbour_source(Family::V4),
        );
        agent.grant(long, "web", "alice", LONG)?;
        agent.grant(short, "web", "bob", SHORT)?;
        let began = clock::instant();
        must_be_open(
            &machine.rig.layout.neighbour,
            machine.rig.server(Family::V4, 80),
        )?;
        Ok(Self { long, short, began })
    }

    /// The one is open for what is left of its time, the other shut for good.
    fn holds(&self, machine: &Machine, agent: &Agent, when: &str) -> Result<()> {
        let over = Duration::from_secs(SHORT).saturating_sub(self.began.elapsed());
        thread::sleep(over + Duration::from_millis(50));
        let left = machine.left(agent, self.long)?;
        let due = LONG - self.began.elapsed().as_secs();
        let within = left.is_some_and(|left| left <= due && left + SLACK >= due);
        ensure!(within, "{when}: {left:?} s are left, not {due}");
        let ended = machine.left(agent, self.short)?;
        ensure!(ended.is_none(), "{when}: what had ended has {ended:?} s");
        let layout = &machine.rig.layout;
        let web = machine.rig.server(Family::V4, 80);
        must_be_open(&layout.client, web).with_context(|| when.to_owned())?;
        must_be_shut(&layout.neighbour, web).with_context(|| when.to_owned())
    }
}

#[test]
fn a_wall_clock_set_forth_and_back_changes_no_deadline() -> Result<()> {
    let mut machine = Machine::new()?;
    let mut agent = machine.start()?;
    let story = Story::begin(&machine, &agent)?;
    for hours in [6, -12, 240, 0] {
        machine.set_wall(hours)?;
        story.holds(&machine, &agent, &format!("{hours} h ahead"))?;
        agent.daemon.kill()?;
        agent = machine.start()?;
        story.holds(
            &machine,
            &agent,
            &format!("{hours} h ahead, after a restart"),
        )?;
    }
    Ok(())
}

/// What is granted while the clock is wrong lasts as long as any grant.
#[test]
fn a_grant_of_a_wrong_hour_ends_when_the_hour_is_put_right() -> Result<()> {
    for hours in [-12, 12] {
        let mut machine = Machine::new()?;
        machine.set_wall(hours)?;
        let agent = machine.start()?;
        let story = Story::begin(&machine, &agent)?;
        machine.set_wall(0)?;
        story.holds(&machine, &agent, &format!("no longer {hours} h ahead"))?;
    }
    Ok(())
}

#[test]
fn a_reboot_with_a_wrong_wall_clock_neither_stretches_nor_revives() -> Result<()> {
    let mut machine = Machine::new()?;
    let agent = machine.start()?;
    let story = Story::begin(&machine, &agent)?;
    story.holds(&machine, &agent, "before")?;
    machine.reboot(agent)?;
    let agent = machine.start()?;
    story.holds(&machine, &agent, "after a reboot")?;
    machine.set_wall(-12)?;
    machine.reboot(agent)?;
    let agent = machine.start()?;
    // How long the machine was off is not known; no more is left than when that was noted.
    let left = machine.left(&agent, story.long)?.context("it was cut")?;
    ensure!(left <= LONG, "{left} s are left");
    ensure!(machine.left(&agent, story.short)?.is_none());
    must_be_shut(
        &machine.rig.layout.neighbour,
        machine.rig.server(Family::V4, 80),
    )?;
    // Later than the grant's end, as far as anybody can tell.
    machine.set_wall(6)?;
    machine.reboot(agent)?;
    let agent = machine.start()?;
    ensure!(machine.left(&agent, story.long)?.is_none());
    must_be_shut(
        &machine.rig.layout.client,
        machine.rig.server(Family::V4, 80),
    )
}

/// The kernel program knows no time namespaces: deadlines of an agent in one would be off.
#[test]
fn an_agent_with_another_boot_clock_than_the_kernel_refuses_to_start() -> Result<()> {
    let rig = Rig::quiet()?;
    let config = rig.path("agent.toml");
    fs::write(&config, rig.agent_config())?;
    let by = [
        "unshare",
        "--time",
        "--boottime",
        "86400",
        "--fork",
        "--kill-child",
    ];
    let output = refused_start_by(&rig.layout.gate, &config, &by)?;
    let said = tools::both(&output);
    ensure!(
        !output.status.success() && said.contains("time namespace"),
        "{said}"
    );
    Ok(())
}
