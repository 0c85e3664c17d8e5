//! One-time codes as a person's phone shows them, from `oathtool`: an implementation that knows
//! nothing of ours. Each code is given out once, as the portal accepts each once.

use std::{process::Command, thread, time::Duration};

use anyhow::{Context as _, Result};

use crate::{clock, command};

/// Seconds a code lives.
const STEP: u64 = 30;

/// A phone with one secret.
#[derive(Debug)]
pub struct Phone {
    secret: String,
    used: u64,
}

impl Phone {
    /// `secret`: Base32, spaces allowed, as a page shows it.
    pub fn new(secret: &str) -> Self {
        Self {
            secret: secret.split_whitespace().collect(),
            used: 0,
        }
    }

    /// A code that was not given out yet: of the step before, this one, or the next, which is
    /// accepted for clocks that differ. Waits when all three are used up. Near the end of a step
    /// the one before is not given out: it would be over before a slow browser has typed it.
    pub fn fresh(&mut self) -> Result<String> {
        self.used = loop {
            let seconds = clock::unix_seconds();
            let now = seconds / STEP;
            let earliest = if seconds % STEP < STEP / 3 {
                now - 1
            } else {
                now
            };
            let next = (self.used + 1).max(earliest);
            if next <= now + 1 {
                break next;
            }
            thread::sleep(Duration::from_millis(200));
        };
        self.at_step(self.used)
    }

    /// The code of this very moment, whether it was given out or not. Codes before it are not
    /// given out any more.
    pub fn current(&mut self) -> Result<String> {
        self.used = self.used.max(clock::unix_seconds() / STEP);
        self.at_step(self.used)
    }

    /// The code given out last, once more.
    pub fn last(&self) -> Result<String> {
        self.at_step(self.used)
    }

    /// Six digits that are not valid at any step near now.
    pub fn wrong(&self) -> Result<String> {
        let now = clock::unix_seconds() / STEP;
        let valid: Vec<String> = (now - 3..=now + 3)
            .map(|step| self.at_step(step))
            .collect::<Result<_>>()?;
        let wrong = (0..10).map(|n| format!("{n}{n}{n}{n}{n}{n}"));
        wrong
            .into_iter()
            .find(|code| !valid.contains(code))
            .context("no wrong code left")
    }

    /// The code of a step far from now, correct but long over (or not yet there).
    pub fn steps_from_now(&self, steps: i64) -> Result<String> {
        let now = clock::unix_seconds() / STEP;
        self.at_step(now.saturating_add_signed(steps))
    }

    fn at_step(&self, step: u64) -> Result<String> {
        let mut oathtool = Command::new("oathtool");
        oathtool.args([
            "--totp",
            "--base32",
            "--now",
            &format!("@{}", step * STEP),
            "-",
        ]);
        Ok(command::piped(&mut oathtool, &self.secret)?
            .trim()
            .to_owned())
    }
}
