//! That the generator does what it is for: the same for the same seed, every reason met, and
//! text that is read back as it was written.

use std::collections::BTreeMap;

use super::*;
use crate::oracle::{Oracle, Reason, Reply, SECOND, Verdict};

#[test]
fn the_same_seed_gives_the_same_steps() {
    let steps = |seed| Stream::new(seed).take(500).collect::<Vec<_>>();
    assert_eq!(steps(7), steps(7));
    assert_ne!(steps(7), steps(8));
}

#[test]
fn steps_are_read_back_as_they_were_written() {
    let verdict = Verdict {
        reason: Reason::Reply,
        passes: true,
    };
    for expected in [Expected::Verdict(verdict), Expected::Agreement] {
        let episode = Episode {
            head: "Whatever the seed brings.\nAnd a second line.".into(),
            steps: Stream::new(3).take(2_000).collect(),
            expected,
        };
        let read: Episode = episode.to_string().parse().unwrap();
        assert_eq!(read, episode);
    }
}

/// Each row has to be reached by a fair share, or the comparison says nothing about it.
#[test]
fn every_reason_is_met_often() {
    let mut oracle = Oracle::new(site());
    let mut now = 1_000_000 * SECOND;
    let mut met: BTreeMap<Reason, u32> = BTreeMap::new();
    for step in Stream::new(1).take(100_000) {
        match step {
            Step::Packet(frame) => {
                *met.entry(oracle.judge(&frame, now).reason).or_default() += 1;
            }
            Step::Outgoing(frame) => oracle.outgoing(&frame, now),
            Step::Advance(ns) => now += ns,
            Step::Change(change) => oracle.change(&change, now),
        }
    }
    println!("{met:#?}");
    for reason in Reason::ALL {
        let count = met.get(&reason).copied().unwrap_or(0);
        assert!(
            count > 200,
            "{reason:?} was met {count} times in 100,000 steps"
        );
    }
}

/// The same for what is not a verdict: answers of either kind, lines of the report, flows.
#[test]
fn answers_reports_and_flows_are_met_often() {
    let mut oracle = Oracle::new(site());
    let mut now = 1_000_000 * SECOND;
    let (mut resets, mut errors, mut opened, mut living) = (0, 0, 0, 0);
    for step in Stream::new(1).take(100_000) {
        match step {
            Step::Packet(frame) => {
                let verdict = oracle.judge(&frame, now);
                match oracle.answer(&frame, verdict) {
                    Some(Reply::Reset) => resets += 1,
                    Some(Reply::Prohibited) => errors += 1,
                    None => {}
                }
            }
            Step::Outgoing(frame) => {
                oracle.outgoing(&frame, now);
                opened += 1;
                living += oracle.flows(now).len();
            }
            Step::Advance(ns) => now += ns,
            Step::Change(change) => oracle.change(&change, now),
        }
    }
    let lines = oracle.report();
    let answering = lines.keys().filter(|cut| cut.answering).count();
    println!(
        "{resets} {errors} {opened} {living} {} {answering}",
        lines.len()
    );
    assert!(resets > 300 && errors > 1_000, "{resets}, {errors}");
    assert!(
        living > opened,
        "{opened} frames left, {living} flows lived"
    );
    assert!(lines.len() > 200 && answering > 50, "{answering}");
}
