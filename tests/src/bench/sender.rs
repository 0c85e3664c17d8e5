//! The sender of floods, at the rate that suits the other end best.
//!
//! Frames come from a pool of pages and go back to it from wherever they end. A sender that is
//! faster than the other end fills the wire; what does not fit goes back from the core that sends,
//! beside what comes back from the one that receives, and both wait for the lock of that pool. So
//! the rate is raised from a low one until more than a few frames in a hundred are lost: what
//! arrives just below is what the other end takes. RFC 2544 (26.1) looks for a throughput that way,
//! though it lets nothing be lost; here the cores do other things, too.
//!
//! Rates are per time of sending. Between two calls to the kernel both cores stand still for some
//! ten milliseconds, while one pool is put away and another one made.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::net::Namespace;

use super::{
    machine::OnCore,
    programs::{self, Sources},
    sys::Program,
};

/// Frames for one call to the kernel.
const CALL: u32 = 1 << 17;
const LEAST_CALL: u32 = 1 << 12;
/// Turns of the waiting loop that its cost is taken from, and how many runs of them.
const SAMPLE_TURNS: u32 = 10_000;
const SAMPLE_RUNS: u32 = 200;
const SAMPLES: u32 = 8;
/// More would be more than the verifier walks through.
const MOST_TURNS: u32 = 100_000;
/// Each rate is so much above the best one so far: until something is lost for the first time, and
/// from then on.
const LONG: f64 = 1.2;
const SHORT: f64 = 1.04;
/// The climb ends when so many steps have lost more than `WHOLE` allows: one may be a core that did
/// something else for a moment.
const MISSES: u32 = 3;
const STEPS: u32 = 16;
/// How many steps take as long as a measurement.
const STEPS_A_ROUND: u32 = 10;
/// Share of what was sent that must arrive.
const WHOLE: f64 = 0.97;

/// Sends one frame over and over, from core 0.
pub(super) struct Sender {
    interface: u32,
    sources: Sources,
    frame: Vec<u8>,
    /// Seconds of one turn of its waiting loop.
    turn: f64,
}

/// Frames a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) sent: f64,
    pub(super) arrived: f64,
}

impl Flow {
    fn is_whole(self) -> bool {
        self.arrived >= WHOLE * self.sent
    }
}

impl Sender {
    pub(super) fn new(interface: u32, sources: Sources, frame: Vec<u8>) -> Result<Self> {
        let mut sender = Self {
            interface,
            sources,
            frame,
            turn: 0.0,
        };
        let _core = OnCore::pin(0)?;
        let (none, some) = (sender.time(0)?, sender.time(SAMPLE_TURNS)?);
        sender.turn = (some - none) / f64::from(SAMPLE_TURNS);
        ensure!(sender.turn > 0.0, "the clock of this machine stands still");
        Ok(sender)
    }

    fn program(&self, turns: u32) -> Result<Program> {
        programs::sender(self.interface, self.sources, turns, &self.frame)
    }

    /// Seconds of one run that sends nothing: the shortest of some, which nobody disturbed.
    fn time(&self, turns: u32) -> Result<f64> {
        let program = self.program(turns)?;
        let mut shortest = u32::MAX;
        for _ in 0..SAMPLES {
            shortest = shortest.min(program.run_time(&self.frame, SAMPLE_RUNS)?);
        }
        Ok(f64::from(shortest) / 1e9)
    }

    /// A flood without waiting, while `count` tells what has arrived.
    pub(super) fn flood(
        &self,
        from: &Namespace,
        length: Duration,
        count: impl Fn() -> Result<u64>,
    ) -> Result<Flow> {
        self.paced(0, CALL, from, length, &count)
    }

    fn paced(
        &self,
        turns: u32,
        call: u32,
        from: &Namespace,
        length: Duration,
        count: &impl Fn() -> Result<u64>,
    ) -> Result<Flow> {
        let program = self.program(turns)?;
        let before = count()?;
        let (sent, took) = from.inside(|| -> Result<(f64, Duration)> {
            let _core = OnCore::pin(0)?;
            let (mut took, mut sent) = (Duration::ZERO, 0.0);
            while took < length {
                took += program.send_live(&self.frame, call)?;
                sent += f64::from(call);
            }
            Ok((sent, took))
        })??;
        let arrived = count()? - before;
        let rate = |frames: f64| frames / took.as_secs_f64();
        Ok(Flow {
            sent: rate(sent),
            arrived: rate(arrived as f64),
        })
    }

    /// What arrives at the highest rate at which almost nothing is lost, or without waiting where no
    /// such rate brings more: a climb, then once in full length.
    pub(super) fn best(
        &self,
        from: &Namespace,
        length: Duration,
        count: impl Fn() -> Result<u64>,
    ) -> Result<Flow> {
        let step = length / STEPS_A_ROUND;
        let mut flow = self.paced(0, CALL, from, step, &count)?;
        ensure!(flow.arrived > 0.0, "nothing arrived");
        if flow.is_whole() {
            return self.paced(0, CALL, from, length, &count);
        }
        let (mut turns, mut misses, mut stride) = (0, 0, LONG);
        let (mut best, mut most) = (0, flow.arrived);
        for _ in 0..STEPS {
            // What a frame takes without waiting, as far as the last rate tells.
            let rest = 1.0 / flow.sent - self.turn * f64::from(turns);
            let next = (1.0 / (most * stride) - rest) / self.turn;
            turns = whole(next, 0, MOST_TURNS);
            // No call may take much longer than a step.
            let call = whole(most * step.as_secs_f64(), LEAST_CALL, CALL);
            flow = self.paced(turns, call, from, step, &count)?;
            if !flow.is_whole() {
                (misses, stride) = (misses + 1, SHORT);
            } else if flow.arrived > most {
                (best, most) = (turns, flow.arrived);
            }
            if misses == MISSES || turns == 0 {
                break;
            }
        }
        self.paced(best, CALL, from, length, &count)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between two numbers that fit"
)]
fn whole(number: f64, least: u32, most: u32) -> u32 {
    number.clamp(least.into(), most.into()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_between_their_bounds() {
        assert_eq!(whole(-3.0, 0, 9), 0);
        assert_eq!(whole(7.9, 0, 9), 7);
        assert_eq!(whole(f64::INFINITY, 0, 9), 9);
    }

    #[test]
    fn a_flow_of_which_a_few_in_a_hundred_are_lost_counts_as_whole() {
        let flow = |arrived| Flow {
            sent: 100.0,
            arrived,
        };
        assert!(flow(97.0).is_whole());
        assert!(!flow(96.0).is_whole());
    }
}
