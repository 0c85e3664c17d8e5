//! From thousands of steps to the few that matter. Every attempt is a run from a fresh start, so
//! their number is bounded.

use anyhow::Result;

use super::{Mismatch, Subjects, play};
use crate::{generate::Step, oracle::Config};

/// Runs at most.
const ATTEMPTS: usize = 3_000;

/// Keeps the kind of mismatch (who, what was said, what should have been) and makes what leads to
/// it smaller: whole steps first, then bytes of frames.
pub fn shrink(
    subjects: &mut Subjects,
    site: &Config,
    found: Mismatch,
    steps: &[Step],
) -> Result<(Mismatch, Vec<Step>)> {
    let mut work = Work {
        subjects,
        site,
        found,
        steps: steps.to_vec(),
        attempts: ATTEMPTS,
    };
    work.drop_steps()?;
    work.shrink_frames()?;
    work.drop_steps()?;
    Ok((work.found, work.steps))
}

struct Work<'a> {
    subjects: &'a mut Subjects,
    site: &'a Config,
    found: Mismatch,
    steps: Vec<Step>,
    attempts: usize,
}

impl Work<'_> {
    /// Takes these steps if they lead to the same mismatch.
    fn attempt(&mut self, steps: Vec<Step>) -> Result<bool> {
        if self.attempts == 0 {
            return Ok(false);
        }
        self.attempts -= 1;
        let again = play(self.subjects, self.site, &steps)?;
        let Some(again) = again.filter(|again| {
            again.who == self.found.who && again.difference.is_like(&self.found.difference)
        }) else {
            return Ok(false);
        };
        self.steps = steps;
        self.steps.truncate(again.at + 1);
        self.found = again;
        Ok(true)
    }

    /// Leaves out runs of steps: half of them, a quarter, and so on to single ones.
    fn drop_steps(&mut self) -> Result<()> {
        let mut size = self.steps.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            // The last step is the packet itself.
            while at + 1 < self.steps.len() {
                let to = (at + size).min(self.steps.len() - 1);
                let mut fewer = self.steps.clone();
                fewer.drain(at..to);
                if !self.attempt(fewer)? {
                    at = to;
                }
            }
            if size == 1 {
                return Ok(());
            }
            size = size.div_ceil(2);
        }
    }

    fn frame(&self, step: usize) -> Option<&[u8]> {
        match self.steps.get(step) {
            Some(Step::Packet(frame) | Step::Outgoing(frame)) => Some(frame),
            _ => None,
        }
    }

    fn with_frame(&self, step: usize, frame: Vec<u8>) -> Vec<Step> {
        let mut steps = self.steps.clone();
        if let Some(Step::Packet(old) | Step::Outgoing(old)) = steps.get_mut(step) {
            *old = frame;
        }
        steps
    }

    /// Ends frames earlier, then writes zeros wherever they change nothing.
    fn shrink_frames(&mut self) -> Result<()> {
        for step in 0..self.steps.len() {
            let mut less = self.frame(step).map_or(0, <[u8]>::len) / 2;
            while less > 0 {
                let Some(frame) = self.frame(step) else { break };
                let length = frame.len().saturating_sub(less).max(14);
                let shorter = frame.get(..length).unwrap_or(frame).to_vec();
                let is_shorter = shorter.len() < frame.len();
                if !is_shorter || !self.attempt(self.with_frame(step, shorter))? {
                    less /= 2;
                }
            }
            let length = self.frame(step).map_or(0, <[u8]>::len);
            for at in 0..length {
                let mut frame = self.frame(step).unwrap_or_default().to_vec();
                match frame.get_mut(at) {
                    Some(byte) if *byte != 0 => *byte = 0,
                    _ => continue,
                }
                self.attempt(self.with_frame(step, frame))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{Difference, Memory, Said, Subject, episode},
        generate::{Change, site},
        oracle::Oracle,
    };

    /// An oracle that forgets every denial.
    struct Forgetful(Option<Oracle>);

    impl Subject for Forgetful {
        fn name(&self) -> &'static str {
            "forgetful"
        }

        fn begin(&mut self, oracle: &Oracle, _: u64) -> Result<()> {
            self.0 = Some(oracle.clone());
            Ok(())
        }

        fn judge(&mut self, frame: &[u8], now_ns: u64) -> Result<Option<Said>> {
            let verdict = self.0.as_mut().map(|oracle| oracle.judge(frame, now_ns));
            Ok(verdict.map(|verdict| Said {
                verdict,
                reaction: None,
            }))
        }

        fn memory(&mut self, _: u64) -> Result<Memory> {
            Ok(Memory::default())
        }

        fn outgoing(&mut self, frame: &[u8], now_ns: u64) -> Result<()> {
            self.0.as_mut().unwrap().outgoing(frame, now_ns);
            Ok(())
        }

        fn set(&mut self, change: &Change, _: &Oracle, now_ns: u64) -> Result<()> {
            if !matches!(change, Change::Deny { .. }) {
                self.0.as_mut().unwrap().change(change, now_ns);
            }
            Ok(())
        }
    }

    #[test]
    fn a_forgotten_denial_is_found_and_shown_in_two_steps() {
        let mut subjects: Subjects = vec![Box::new(Forgetful(None))];
        // In observe mode it would take a third step to show it.
        let (found, steps) = (0..100)
            .find_map(|seed| {
                let steps = episode(seed, 5_000);
                let found = play(&mut subjects, &site(), &steps).unwrap()?;
                let Difference::Verdict { said, expected } = found.difference else {
                    return None;
                };
                assert_eq!(expected.reason, crate::oracle::Reason::Denied);
                (said.passes == said.reason.passes()).then_some((found, steps))
            })
            .unwrap();
        let upto = &steps[..=found.at];
        let (_, few) = shrink(&mut subjects, &site(), found, upto).unwrap();
        assert!(
            matches!(
                few[..],
                [Step::Change(Change::Deny { .. }), Step::Packet(_)]
            ),
            "{few:?}"
        );
    }
}
