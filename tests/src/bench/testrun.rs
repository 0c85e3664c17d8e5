//! Part `testrun`: nanoseconds for one packet under `BPF_PROG_TEST_RUN`, above a program that only
//! drops. One packet over and over keeps every cache hot, so this shows instructions, not misses;
//! the part `flood` shows those.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use nix::net::if_::if_nametoindex;
use xtask::clock;

use super::{
    Options,
    machine::OnCore,
    peers,
    programs::{self, DROP, PASS},
    result::{Row, Target, above, ratios},
    subject::{Family, Shape, Subject, frame, granted, stranger},
    sys::{Attached, Program, Table},
};
use crate::Rig;

const PART: &str = "testrun";
const UNIT: &str = "ns";
/// Of each program in each round; the fastest counts.
const TRIES: u32 = 7;
const QUICK_TRIES: u32 = 3;

/// A packet's case, the same for every agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown(Family),
    Granted(Family),
    NotProtected,
}

const KINDS: [Kind; 5] = [
    Kind::Unknown(Family::V4),
    Kind::Granted(Family::V4),
    Kind::Unknown(Family::V6),
    Kind::Granted(Family::V6),
    Kind::NotProtected,
];

impl Kind {
    fn id(self) -> &'static str {
        match self {
            Self::Unknown(Family::V4) => "unknown-v4",
            Self::Unknown(Family::V6) => "unknown-v6",
            Self::Granted(Family::V4) => "granted-v4",
            Self::Granted(Family::V6) => "granted-v6",
            Self::NotProtected => "not-protected",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Unknown(Family::V4) => "unknown IPv4",
            Self::Unknown(Family::V6) => "unknown IPv6",
            Self::Granted(Family::V4) => "granted IPv4",
            Self::Granted(Family::V6) => "granted IPv6",
            Self::NotProtected => "not protected",
        }
    }

    /// The reason the agent must count, so that nothing else is measured under this name.
    fn reason(self) -> &'static str {
        match self {
            Self::Unknown(_) => "NoGrant",
            Self::Granted(_) => "Granted",
            Self::NotProtected => "NotProtected",
        }
    }

    fn answer(self) -> u32 {
        match self {
            Self::Unknown(_) => DROP,
            Self::Granted(_) | Self::NotProtected => PASS,
        }
    }

    fn target(self) -> Option<Target> {
        let most = match self {
            Self::Unknown(Family::V4) => 15.0,
            Self::Unknown(Family::V6) => 21.0,
            Self::Granted(Family::V4) => 35.0,
            Self::Granted(Family::V6) => 49.0,
            Self::NotProtected => return None,
        };
        Some(Target::AtMost(most))
    }

    fn frame(self, subject: &Subject) -> Result<Vec<u8>> {
        match self {
            Self::Unknown(family) => subject.frame(stranger(family)),
            Self::Granted(family) => subject.frame(granted(family, subject.shape.grants / 2)),
            Self::NotProtected => {
                let mut frame = subject.frame(stranger(Family::V4))?;
                // 192.0.2.1, the gate's own: nobody protects it here.
                frame
                    .get_mut(30..34)
                    .context("destination")?
                    .copy_from_slice(&[192, 0, 2, 1]);
                Ok(frame)
            }
        }
    }
}

/// One program on one frame.
struct Cell<'a> {
    program: &'a Program,
    frame: Vec<u8>,
    answer: u32,
}

pub(super) fn run(options: &Options) -> Result<Vec<Row>> {
    let subjects = subjects(options)?;
    let (dead, expired) = dead(options)?;
    let perches = Rig::quiet()?;
    let bare = programs::bare_drop()?;
    let (table, keys) = (Table::new(1_100_000)?, peers::keys(options.sizes.some));
    table.fill(&keys, u64::MAX)?;
    let plain = programs::plain_hash(&table)?;
    let known = frame(granted(Family::V4, options.sizes.some / 2), 0)?;
    let unknown = frame(stranger(Family::V4), 0)?;
    let _attached = [
        perch(&perches, "bare", &bare)?,
        perch(&perches, "plain", &plain)?,
    ];
    let xdp_filter = peers::XdpFilter::start();

    let mut cells = vec![
        cell(&bare, unknown.clone(), DROP),
        cell(&dead.program, expired, DROP),
        cell(&plain, unknown.clone(), DROP),
        cell(&plain, known, PASS),
    ];
    if let Ok(peer) = &xdp_filter {
        cells.push(cell(&peer.program, unknown, DROP));
    }
    let fixed = cells.len();
    for (_, _, subject) in &subjects {
        for kind in KINDS {
            let frame = kind.frame(subject)?;
            check_reason(subject, kind, &frame)?;
            cells.push(cell(&subject.program, frame, kind.answer()));
        }
    }
    let costs = measure(options, &cells)?;
    let mut costs = costs.into_iter();
    let mut fixed_costs: Vec<_> = costs.by_ref().take(fixed).collect();
    let costs: Vec<_> = costs.collect();

    let bare = fixed_costs.remove(0);
    let mut rows = vec![Row::new(
        PART,
        "empty",
        "a program that only drops, whole",
        UNIT,
        bare.clone(),
    )];
    rows.extend(own_rows(&subjects, &costs, &bare)?);
    let mut fixed = fixed_costs.into_iter().map(|cost| above(&cost, &bare));
    let mut next = || fixed.next().context("a figure is missing");
    rows.push(Row::new(PART, "expired-v4", "expired IPv4", UNIT, next()?));
    for (id, name) in [
        ("plain-hash-unknown", "plain hash, unknown IPv4"),
        ("plain-hash-granted", "plain hash, granted IPv4"),
    ] {
        rows.push(Row::new(PART, id, name, UNIT, next()?));
    }
    let (id, name) = ("xdp-filter-unknown", "xdp-filter, unknown IPv4");
    rows.push(match &xdp_filter {
        Ok(_) => Row::new(PART, id, name, UNIT, next()?),
        Err(error) => Row::unavailable(PART, id, name, UNIT, &format!("{error:#}")),
    });
    Ok(rows)
}

/// Attaches a program to a cable of its own. All programs here are attached somewhere, as ours is:
/// running one that is not makes the kernel rewrite its table of attached programs and wait for
/// all cores (`bpf_prog_change_xdp` in net/bpf/test_run.c), some milliseconds for each call.
fn perch(rig: &Rig, name: &str, program: &Program) -> Result<Attached> {
    let gate = &rig.layout.gate;
    gate.cable(name, &rig.layout.client, name)?;
    gate.inside(|| program.attach(if_nametoindex(name)?))?
}

fn cell(program: &Program, frame: Vec<u8>, answer: u32) -> Cell<'_> {
    Cell {
        program,
        frame,
        answer,
    }
}

type Named = (&'static str, String, Subject);

/// The agents: grants grow with 16 services, services grow with the middle number of grants.
fn subjects(options: &Options) -> Result<Vec<Named>> {
    let sizes = &options.sizes;
    let [few, middle, most] = sizes.services;
    let shapes = [
        ("one-grant", 1, middle),
        ("some-grants", sizes.some, middle),
        ("many-grants", sizes.many, middle),
        ("few-services", sizes.some, few),
        ("most-services", sizes.some, most),
    ];
    let mut subjects = Vec::new();
    for (id, grants, services) in shapes {
        let text = format!("{grants} grants, {services} services");
        options.tell(PART, &format!("starting an agent with {text}"));
        subjects.push((id, text, Subject::start(Shape { grants, services })?));
    }
    Ok(subjects)
}

/// An agent that was killed while a grant lived, and the frame of that grant after its deadline:
/// a living agent would have swept it.
fn dead(options: &Options) -> Result<(Subject, Vec<u8>)> {
    let services = options.sizes.services[1];
    let mut subject = Subject::start(Shape {
        grants: 1,
        services,
    })?;
    let source = stranger(Family::V4);
    let service = super::subject::name(services - 1);
    subject.agent.grant(source, &service, "alice", 2)?;
    subject.agent.daemon.kill()?;
    let frame = subject.frame(source)?;
    ensure!(
        subject.program.test_run(&frame, 1)? == PASS,
        "a live grant does not pass"
    );
    for _ in 0..100 {
        if subject.program.test_run(&frame, 1)? == DROP {
            return Ok((subject, frame));
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("a grant of 2 s still passes after 5 s")
}

fn check_reason(subject: &Subject, kind: Kind, frame: &[u8]) -> Result<()> {
    let before = subject.agent.count(kind.reason())?;
    subject.program.test_run(frame, 1)?;
    let after = subject.agent.count(kind.reason())?;
    ensure!(
        after > before,
        "the frame for {:?} was not counted as {}",
        kind.name(),
        kind.reason()
    );
    Ok(())
}

/// Whole cost of each cell in each round: the best of the tries, all cells taking turns.
fn measure(options: &Options, cells: &[Cell<'_>]) -> Result<Vec<Vec<f64>>> {
    let (repeat, tries) = if options.quick {
        (100_000, QUICK_TRIES)
    } else {
        (1_000_000, TRIES)
    };
    let _core = OnCore::pin(0)?;
    let mut costs = vec![Vec::new(); cells.len()];
    for round in 0..options.rounds {
        options.round(PART, round);
        let mut best = vec![f64::INFINITY; cells.len()];
        for _ in 0..tries {
            for (cell, best) in cells.iter().zip(&mut best) {
                *best = best.min(cost(cell, repeat)?);
            }
        }
        for (costs, best) in costs.iter_mut().zip(best) {
            costs.push(best);
        }
    }
    Ok(costs)
}

/// By our own clock around the call: the kernel's answer is in whole nanoseconds, too coarse for a
/// tenth of fifteen. The call itself is some microseconds of many milliseconds.
fn cost(cell: &Cell<'_>, repeat: u32) -> Result<f64> {
    let start = clock::instant();
    let answer = cell.program.test_run(&cell.frame, repeat)?;
    let took = start.elapsed();
    ensure!(
        answer == cell.answer,
        "a program answered {answer} instead of {}",
        cell.answer
    );
    Ok(took.as_secs_f64() * 1e9 / f64::from(repeat))
}

fn own_rows(subjects: &[Named], costs: &[Vec<f64>], bare: &[f64]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let find = |subject: &str, kind: Kind| -> Result<Vec<f64>> {
        let place = subjects.iter().position(|(id, _, _)| *id == subject);
        let offset = KINDS.iter().position(|other| *other == kind);
        let at = place.context("agent")? * KINDS.len() + offset.context("kind")?;
        Ok(above(costs.get(at).context("figure")?, bare))
    };
    for (id, text, _) in subjects {
        for kind in KINDS {
            let name = format!("{}, {text}", kind.name());
            let id = format!("{}/{id}", kind.id());
            let place = find(id.rsplit('/').next().unwrap_or_default(), kind)?;
            let row = Row::new(PART, id, name, UNIT, place);
            rows.push(match kind.target() {
                Some(target) => row.target(target),
                None => row,
            });
        }
    }
    let most = Target::AtMost(1.1);
    for kind in &KINDS[..4] {
        let (id, name) = (kind.id(), kind.name());
        for (what, many, one) in [
            ("grants", "many-grants", "one-grant"),
            ("services", "most-services", "few-services"),
        ] {
            let values = ratios(&find(many, *kind)?, &find(one, *kind)?);
            let name = format!("{name}, most {what} against fewest");
            rows.push(
                Row::new(PART, format!("{id}/growth-{what}"), name, "×", values).target(most),
            );
        }
    }
    for (id, six, four) in [
        (
            "unknown",
            Kind::Unknown(Family::V6),
            Kind::Unknown(Family::V4),
        ),
        (
            "granted",
            Kind::Granted(Family::V6),
            Kind::Granted(Family::V4),
        ),
    ] {
        let values = ratios(&find("some-grants", six)?, &find("some-grants", four)?);
        let name = format!("{id} IPv6 against IPv4");
        rows.push(
            Row::new(PART, format!("{id}-v6-to-v4"), name, "×", values).target(Target::AtMost(1.4)),
        );
    }
    Ok(rows)
}
