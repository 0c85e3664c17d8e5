//! Part `flood`: a flood of unknown sources over a wire, dropped. Millions of packets a second
//! for everybody; nanoseconds for one packet, cache misses included, for those that are XDP
//! programs. One contestant's wire carries traffic at a time, in turns.
//!
//! Nanoseconds are taken twice. On one core, the packet lies in its cache, as a card leaves it that
//! writes into the cache: the targets are of this. From another core, every program that reads the
//! packet at all waits for it some 100 ns longer than the empty one, which does not.
//!
//! Rates are taken three times. With a core for each end, at the rate that suits the receiver best:
//! the targets are of this, and what a program that only reads the source gets of it is what the way
//! from the other core's cache leaves to any filter. Overrun, as a flood is; then the ends get into
//! each other's way over the pool of pages (see `sender`), too. And on one core, where nothing waits.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::sys::{Stats, enable_stats};
use xtask::lab::{ETH, OUTER};

use super::{
    Options, Sizes,
    contestants::{self, Contestant, Who},
    machine::{self, delivered, received},
    programs::{self, Sources},
    result::{Row, Target, above, ratios},
    sender::{Flow, Sender},
    subject::{Family, frame, granted, stranger},
    sys::Program,
};

const PART: &str = "flood";
/// Longer than a packet takes through a kernel that polls.
const SETTLED: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_millis(50);

/// What is measured of a contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Figure {
    /// Millions of packets a second it took off the wire at the rate that suits it best, random
    /// sources.
    Best,
    /// The same of more than it can take.
    Rate(Flood),
    /// The same by one core that sends and receives in turns, random sources.
    Alone,
    /// Nanoseconds of its program for one packet that lies in the core's cache.
    Cost,
    /// The same for a packet that another core has just written.
    CostFar,
    /// Millions of packets a second that were sent for `Best`.
    Offered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flood {
    One,
    Random,
}

type Figures = BTreeMap<(Who, Figure), Vec<f64>>;

/// A contestant and the two senders at the other end of its wire.
struct Lane<'a> {
    contestant: &'a Contestant,
    index: u32,
    one: Sender,
    random: Sender,
    frame: Vec<u8>,
}

pub(super) fn run(options: &Options) -> Result<Vec<Row>> {
    let (contestants, missing) = contestants::all(options)?;
    let lanes = contestants
        .iter()
        .map(|contestant| Lane::new(contestant, &options.sizes))
        .collect::<Result<Vec<_>>>()?;
    for lane in &lanes {
        lane.sandwich(&options.sizes)?;
    }
    let mut figures = Figures::new();
    for round in 0..options.rounds {
        options.round(PART, round);
        for lane in &lanes {
            lane.round(options, &mut figures)?;
        }
    }
    rows(options, &figures, &missing)
}

impl<'a> Lane<'a> {
    fn new(contestant: &'a Contestant, sizes: &Sizes) -> Result<Self> {
        let frame = frame(stranger(Family::V4), sizes.busiest())?;
        let client = &contestant.rig().layout.client;
        let index = client.inside(|| nix::net::if_::if_nametoindex(ETH))??;
        Ok(Self {
            contestant,
            index,
            one: Sender::new(index, Sources::One, frame.clone())?,
            random: Sender::new(index, Sources::Random, frame.clone())?,
            frame,
        })
    }

    /// Before it counts, everybody shows that a granted source passes and another one does not.
    fn sandwich(&self, sizes: &Sizes) -> Result<()> {
        const FRAMES: u32 = 64;
        let who = self.contestant.who;
        if matches!(who, Who::Bare | Who::Reader) {
            return Ok(());
        }
        let layout = &self.contestant.rig().layout;
        let granted = frame(granted(Family::V4, 0), sizes.busiest())?;
        let sender = programs::sender(self.index, Sources::One, 0, &self.frame)?;
        for (frame, due) in [(&self.frame, 0), (&granted, u64::from(FRAMES))] {
            let before = delivered(&layout.gate)?;
            layout.client.inside(|| sender.send_live(frame, FRAMES))??;
            std::thread::sleep(SETTLED);
            let came = delivered(&layout.gate)? - before;
            ensure!(
                came == due,
                "{}: {came} packets passed, not {due}",
                who.name()
            );
        }
        Ok(())
    }

    fn round(&self, options: &Options, figures: &mut Figures) -> Result<()> {
        let who = self.contestant.who;
        let mut add = |figure, value| figures.entry((who, figure)).or_default().push(value);
        self.flood(&self.random, WARM_UP)?;
        let layout = &self.contestant.rig().layout;
        let best = self
            .random
            .best(&layout.client, options.duration(), || self.taken())?;
        add(Figure::Best, best.arrived / 1e6);
        add(Figure::Offered, best.sent / 1e6);
        for (flood, sender) in [(Flood::Random, &self.random), (Flood::One, &self.one)] {
            let flow = self.flood(sender, options.duration())?;
            add(Figure::Rate(flood), flow.arrived / 1e6);
        }
        let program = self.contestant.program();
        if let Some(program) = program {
            add(Figure::CostFar, self.cost(program, options.duration())?);
        }
        let gate = &self.contestant.rig().layout.gate;
        machine::receive_where_sent(gate, OUTER)?;
        let alone = self.flood(&self.random, options.duration())?;
        add(Figure::Alone, alone.arrived / 1e6);
        if let Some(program) = program {
            add(Figure::Cost, self.cost(program, options.duration())?);
        }
        machine::receive_on_core_1(gate, OUTER)
    }

    /// Nanoseconds of a program for one packet of a flood.
    fn cost(&self, program: &Program, length: Duration) -> Result<f64> {
        // The kernel counts only while this is open: the rates are taken without it.
        let _counting = enable_stats(Stats::RunTime).context("no run-time statistics")?;
        let before = program.spent()?;
        self.flood(&self.random, length)?;
        let after = program.spent()?;
        let runs = after.runs - before.runs;
        let name = self.contestant.who.name();
        ensure!(runs > 1000, "{name}: only {runs} packets came");
        Ok((after.nanoseconds - before.nanoseconds) as f64 / runs as f64)
    }

    fn flood(&self, sender: &Sender, length: Duration) -> Result<Flow> {
        let client = &self.contestant.rig().layout.client;
        sender.flood(client, length, || self.taken())
    }

    /// Frames taken off the wire so far.
    fn taken(&self) -> Result<u64> {
        received(&self.contestant.rig().layout.gate, OUTER)
    }
}

fn rows(options: &Options, figures: &Figures, missing: &BTreeMap<Who, String>) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    let label = |who: Who| who.label(sizes);
    let get = |who: Who, figure: Figure| figures.get(&(who, figure)).cloned();
    let mut rows = Vec::new();
    for (figure, id, text) in [
        (Figure::Best, "best", "random sources"),
        (
            Figure::Rate(Flood::Random),
            "random",
            "random sources, overrun",
        ),
        (Figure::Rate(Flood::One), "one", "one source, overrun"),
    ] {
        for who in Who::ALL {
            let id = format!("mpps-{id}/{}", who.name());
            let name = format!("{}, {text}", label(who));
            rows.push(row(id, name, "Mpps", get(who, figure), missing.get(&who)));
        }
    }
    for who in Who::ALL {
        let (id, name) = (format!("mpps-alone/{}", who.name()), label(who));
        let name = format!("{name}, one core for both ends");
        let values = get(who, Figure::Alone);
        rows.push(row(id, name, "Mpps", values, missing.get(&who)));
    }
    let offered = get(Who::Bare, Figure::Offered);
    let name = "the sender at a bare XDP_DROP, random sources";
    rows.push(row(
        "offered/bare".into(),
        name.into(),
        "Mpps",
        offered,
        None,
    ));
    rows.extend(costs(options, figures, missing)?);
    rows.extend(races(options, figures, missing)?);
    Ok(rows)
}

fn row(
    id: String,
    name: String,
    unit: &'static str,
    values: Option<Vec<f64>>,
    why_not: Option<&String>,
) -> Row {
    match values {
        Some(values) => Row::new(PART, id, name, unit, values),
        None => {
            let why = why_not.map_or("no reason known", String::as_str);
            Row::unavailable(PART, id, name, unit, why)
        }
    }
}

/// Nanoseconds above the empty program, and our share of a plain hash's.
fn costs(
    options: &Options,
    figures: &Figures,
    missing: &BTreeMap<Who, String>,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (figure, id, text) in [
        (Figure::Cost, "ns", "packet in the cache"),
        (Figure::CostFar, "ns-far", "packet from another core"),
    ] {
        let get = |who: Who| figures.get(&(who, figure));
        let bare = get(Who::Bare).context("no cost of an empty program")?;
        let name = format!("an empty program, whole, {text}");
        let whole = Row::new(PART, format!("{id}/empty"), name, "ns", bare.clone());
        rows.push(whole);
        for who in Who::ALL {
            if who == Who::Bare || !who.is_program() {
                continue;
            }
            let name = format!("{}, above empty, {text}", who.label(&options.sizes));
            let values = get(who).map(|cost| above(cost, bare));
            let row = row(
                format!("{id}/{}", who.name()),
                name,
                "ns",
                values,
                missing.get(&who),
            );
            rows.push(match (figure, who) {
                (Figure::Cost, Who::OursSome) => row.target(Target::AtMost(20.0)),
                (Figure::Cost, Who::OursMany) => row.target(Target::AtMost(90.0)),
                _ => row,
            });
        }
        for (size, ours, plain) in [
            ("some", Who::OursSome, Who::HashSome),
            ("many", Who::OursMany, Who::HashMany),
        ] {
            let share = |who: Who| get(who).map(|cost| above(cost, bare));
            let (ours, plain) = (share(ours), share(plain));
            let values = ratios(&ours.context("ours")?, &plain.context("plain hash")?);
            let name = format!("our cost against a plain hash's, {size} grants, {text}");
            let row = Row::new(PART, format!("{id}-ratio/{size}"), name, "×", values);
            rows.push(if figure == Figure::Cost && size == "many" {
                row.target(Target::AtMost(0.3))
            } else {
                row
            });
        }
    }
    Ok(rows)
}

/// Our rate against each peer's, random sources.
fn races(
    options: &Options,
    figures: &Figures,
    missing: &BTreeMap<Who, String>,
) -> Result<Vec<Row>> {
    let rate = |who: Who, figure: Figure| figures.get(&(who, figure));
    let mut rows = Vec::new();
    let alone = |who: Who| figures.get(&(who, Figure::Alone));
    let ours = alone(Who::OursSome).context("no rate of ours")?;
    for who in Who::ALL {
        if matches!(who, Who::OursSome | Who::OursMany) {
            continue;
        }
        let id = format!("race-alone/{}", who.name());
        let name = format!("ours against {}, one core", who.label(&options.sizes));
        let values = alone(who).map(|peer| ratios(ours, peer));
        rows.push(row(id, name, "×", values, missing.get(&who)));
    }
    for (figure, id, text) in [
        (Figure::Best, "best", "random sources"),
        (Figure::Rate(Flood::Random), "random", "random, overrun"),
        (Figure::Rate(Flood::One), "one", "one, overrun"),
    ] {
        let ours = rate(Who::OursSome, figure).context("no rate of ours")?;
        let bare = ratios(ours, rate(Who::Bare, figure).context("no rate of bare")?);
        let bound = super::result::median(&bare).is_some_and(|share| share >= 0.95);
        for (who, least) in [
            (Who::Bare, 0.95),
            (Who::HashSome, 2.0),
            (Who::XdpFilter, 1.3),
            (Who::Nftables, 5.0),
            (Who::Ipset, 7.0),
            (Who::Iptables, 30.0),
        ] {
            let id = format!("race-{id}/{}", who.name());
            let name = format!("ours against {}, {text}", who.label(&options.sizes));
            let values = rate(who, figure).map(|peer| ratios(ours, peer));
            let row = row(id, name, "×", values, missing.get(&who));
            rows.push(if figure == Figure::Best {
                row.target(Target::AtLeast(least))
                    .reached_because(bound && who != Who::Bare, "at the sender's limit")
            } else {
                row
            });
        }
    }
    Ok(rows)
}
