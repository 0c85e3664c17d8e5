//! One step after the other, for as long as asked.

use super::{
    Change, Dice, Draft, Step,
    mutate::{LINEAR, LONGEST, cut, mutate},
    site::{GRANTED, NETWORKS, SOURCES},
    traffic::{self, Talk, Whole},
    tricks,
};
use crate::oracle::{Prefix, SECOND, prefix};

/// Steps that follow from a seed. It remembers what it began, so that answers and later pieces
/// come.
#[derive(Clone, Debug)]
pub struct Stream {
    dice: Dice,
    /// Nobody is denied, networks hold no grants, and nothing is only observed: as most filters
    /// are run, and the only way packets take the short way.
    plain: bool,
    talks: Vec<Talk>,
    wholes: Vec<Whole>,
    /// Steps that are still to come before anything new.
    waiting: Vec<Step>,
}

/// How many conversations and packets in pieces are remembered.
const MEMORY: usize = 6;

impl Stream {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            plain: dice.one_in(2),
            dice,
            talks: Vec::new(),
            wholes: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn remember<T>(list: &mut Vec<T>, new: T) {
        if list.len() >= MEMORY {
            list.remove(0);
        }
        list.push(new);
    }

    fn step(&mut self) -> Step {
        if let Some(step) = self.waiting.pop() {
            return step;
        }
        match self.dice.below(100) {
            0..=6 => self.outgoing(),
            7..=10 => Step::Advance(self.time()),
            11..=16 => Step::Change(self.change()),
            // The same again and again, as whoever hammers at a door.
            17 => {
                let packet = Step::Packet(self.hammered());
                self.waiting = vec![packet.clone(); self.dice.below(8)];
                packet
            }
            _ => Step::Packet(self.frame()),
        }
    }

    /// Around every age and interval there is, to the nanosecond.
    fn time(&mut self) -> u64 {
        let dice = &mut self.dice;
        let around = dice.of([0, 1, 2]);
        let seconds = |seconds: u64| (seconds * SECOND + around).saturating_sub(1);
        match dice.below(32) {
            0..=14 => dice.roll() % SECOND,
            15..=17 => seconds(1),
            18..=20 => (SECOND / 10 + around).saturating_sub(1),
            21..=23 => (SECOND / 20 + around).saturating_sub(1),
            24..=26 => seconds(dice.of([2, 3, 9, 10, 11])),
            27..=28 => seconds(dice.of([5, 15, 29, 30])),
            29..=30 => seconds(dice.of([59, 60, 180])),
            _ => seconds(dice.of([180, 240, 240, 600, 1_800, 7_440])),
        }
    }

    fn hammered(&mut self) -> Vec<u8> {
        let dice = &mut self.dice;
        match dice.below(3) {
            0 => traffic::to_public(dice).frame(),
            1 => traffic::icmp_error(dice).frame(),
            _ => self.frame(),
        }
    }

    fn change(&mut self) -> Change {
        let dice = &mut self.dice;
        let [v4, v6] = SOURCES;
        let sources = if dice.one_in(2) { v4 } else { v6 };
        let source = dice.of(sources);
        let service = dice.of(GRANTED);
        let day = 86_400 * SECOND;
        let lasts_ns = dice.of([0, 1, 10 * SECOND, 600 * SECOND, day, day, day, day]);
        let idle_ns = dice.of([0, 0, 0, SECOND, 10 * SECOND, 1_800 * SECOND]);
        let network = dice.of(NETWORKS);
        let kind = match dice.below(80) {
            42..=66 if self.plain => 0,
            kind => kind,
        };
        match kind {
            0..=41 => Change::Grant {
                source,
                service,
                lasts_ns,
                idle_ns,
            },
            42..=46 => Change::Revoke { source, service },
            47..=51 => Change::GrantNetwork {
                network,
                service,
                lasts_ns,
                idle_ns,
            },
            52..=55 => Change::RevokeNetwork { network, service },
            56..=57 => Change::Deny {
                prefix: denied(dice),
                lasts_ns,
            },
            58..=63 => Change::LiftDeny {
                prefix: denied(dice),
            },
            64..=65 => Change::Observe(true),
            66..=69 => Change::Observe(false),
            70 => Change::Lockdown(true),
            71..=75 => Change::Lockdown(false),
            _ => Change::Heartbeat {
                lasts_ns: dice.of([0, 10 * SECOND, 600 * SECOND, day, day]),
            },
        }
    }

    fn outgoing(&mut self) -> Step {
        let dice = &mut self.dice;
        let known = dice.one(&self.talks).copied();
        let mut draft = match (known, dice.below(10)) {
            (_, 0) => traffic::lease_request(dice),
            (Some(talk), 1..=4) => traffic::outward(dice, talk),
            _ => {
                let talk = traffic::begin(dice);
                Self::remember(&mut self.talks, talk);
                traffic::outward(dice, talk)
            }
        };
        decorate(dice, &mut draft);
        if dice.one_in(10) {
            tricks::disguise(dice, &mut draft);
        }
        let mut frame = draft.frame();
        if dice.one_in(10) {
            mutate(dice, &mut frame);
        }
        frame.truncate(LINEAR);
        Step::Outgoing(frame)
    }

    fn frame(&mut self) -> Vec<u8> {
        let dice = &mut self.dice;
        let mut draft = match dice.below(100) {
            0..=34 => traffic::to_service(dice),
            35..=44 => traffic::to_public(dice),
            45..=49 => traffic::icmp_error(dice),
            50..=53 => traffic::discovery(dice),
            54..=55 => traffic::lease_answer(dice),
            56..=69 => match dice.one(&self.talks).copied() {
                Some(talk) => traffic::inward(dice, talk),
                None => traffic::to_service(dice),
            },
            70..=75 => {
                let (draft, whole) = traffic::first_piece(dice);
                Self::remember(&mut self.wholes, whole);
                draft
            }
            76..=83 => match dice.one(&self.wholes).copied() {
                Some(whole) => traffic::later_piece(dice, whole),
                None => traffic::to_service(dice),
            },
            84..=95 => tricks::trick(dice),
            96..=97 => return traffic::link(dice),
            _ => return noise(dice),
        };
        decorate(dice, &mut draft);
        let mut frame = draft.frame();
        match dice.below(16) {
            0..=1 => mutate(dice, &mut frame),
            2 => cut(dice, &mut frame),
            _ => {}
        }
        // To everybody on the wire.
        if let Some(first) = frame.first_mut().filter(|_| dice.one_in(64)) {
            *first |= 1;
        }
        frame.truncate(LONGEST);
        frame
    }
}

/// Tags, options and extension headers on some, and more data than fits a page behind a few.
fn decorate(dice: &mut Dice, draft: &mut Draft) {
    if dice.one_in(100) {
        let length = dice.of([1_400, 3_300, 3_500, 4_050, 8_900]);
        draft.payload.resize(length + dice.below(100), 0);
    }
    if dice.one_in(12) {
        tricks::tags(dice, draft);
    }
    if dice.one_in(12) {
        if draft.to.is_ipv4() {
            tricks::options(dice, draft);
        } else {
            tricks::extensions(dice, draft);
        }
    }
}

/// Random bytes, now and then behind an EtherType that has them read.
fn noise(dice: &mut Dice) -> Vec<u8> {
    let length = 14 + dice.below(200);
    let mut frame = dice.bytes(length);
    let kind = dice.of([[0x08, 0x00, 0x45], [0x86, 0xdd, 0x60], [0x81, 0x00, 0x00]]);
    if !dice.one_in(4) {
        frame.splice(12..15.min(length), kind);
    }
    frame
}

fn denied(dice: &mut Dice) -> Prefix {
    let [v4, v6] = SOURCES;
    let [.., bad4, peer4] = v4;
    let [.., bad6, _] = v6;
    dice.of([
        prefix(bad4, 32),
        prefix(bad6, 128),
        prefix(bad6, 64),
        prefix(peer4, 28),
    ])
}

impl Iterator for Stream {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(self.step())
    }
}
