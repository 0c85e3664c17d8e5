//! Steps as lines that a person can read and a test can play again.

use std::{fmt, fmt::Write as _};

use anyhow::{Context as _, Result, bail};

use super::{Change, Step};
use crate::oracle::{Prefix, Reason, Verdict};

/// Steps from a fresh start, the last of which is a packet that somebody once got wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// One sentence: what is special about it.
    pub head: String,
    pub steps: Vec<Step>,
    pub expected: Expected,
}

/// How an episode has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This must be said of the last step, a packet.
    Verdict(Verdict),
    /// Everybody has to remember, write down and answer alike.
    Agreement,
}

impl fmt::Display for Episode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.head.lines() {
            writeln!(f, "# {line}")?;
        }
        for step in &self.steps {
            match step {
                Step::Packet(frame) => writeln!(f, "packet {}", hex(frame))?,
                Step::Outgoing(frame) => writeln!(f, "outgoing {}", hex(frame))?,
                Step::Advance(ns) => writeln!(f, "advance {ns}")?,
                Step::Change(change) => writeln!(f, "{}", change_text(change))?,
            }
        }
        let Expected::Verdict(Verdict { reason, passes }) = self.expected else {
            return writeln!(f, "expect {AGREEMENT}");
        };
        let fate = if passes { "passes" } else { "drops" };
        writeln!(f, "expect {reason:?} {fate}")
    }
}

impl std::str::FromStr for Episode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut head = Vec::new();
        let mut steps = Vec::new();
        let mut end = None;
        for (number, line) in text.lines().enumerate() {
            let place = || format!("line {}: {line}", number + 1);
            if let Some(words) = line.strip_prefix('#') {
                head.push(words.trim());
            } else if let Some(words) = line.strip_prefix("expect ") {
                end = Some(expected(words).with_context(place)?);
            } else if !line.trim().is_empty() {
                steps.push(step(line).with_context(place)?);
            }
        }
        Ok(Self {
            head: head.join("\n"),
            steps,
            expected: end.context("no line `expect REASON passes|drops` or `expect agreement`")?,
        })
    }
}

const AGREEMENT: &str = "agreement";

fn expected(words: &str) -> Result<Expected> {
    if words == AGREEMENT {
        return Ok(Expected::Agreement);
    }
    let (name, fate) = words.split_once(' ').context("a reason and a fate")?;
    let passes = match fate {
        "passes" => true,
        "drops" => false,
        _ => bail!("`passes` or `drops`, not {fate}"),
    };
    Ok(Expected::Verdict(Verdict {
        reason: Reason::of_name(name).context("no such reason")?,
        passes,
    }))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Bytes of pairs of digits.
pub fn of_hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair: String = pair.iter().collect();
            u8::from_str_radix(&pair, 16).with_context(|| format!("{pair} is no byte"))
        })
        .collect()
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Grant {
            source,
            service,
            lasts_ns,
            idle_ns,
        } => format!("grant {source} {service} {lasts_ns} {idle_ns}"),
        Change::Revoke { source, service } => format!("revoke {source} {service}"),
        Change::GrantNetwork {
            network,
            service,
            lasts_ns,
            idle_ns,
        } => format!("grant-network {network} {service} {lasts_ns} {idle_ns}"),
        Change::RevokeNetwork { network, service } => {
            format!("revoke-network {network} {service}")
        }
        Change::Deny { prefix, lasts_ns } => {
            format!("deny {} {} {lasts_ns}", prefix.address, prefix.bits)
        }
        Change::LiftDeny { prefix } => format!("lift-deny {} {}", prefix.address, prefix.bits),
        Change::Observe(on) => format!("observe {}", switch(*on)),
        Change::Lockdown(on) => format!("lockdown {}", switch(*on)),
        Change::Heartbeat { lasts_ns } => format!("heartbeat {lasts_ns}"),
    }
}

/// The words of a line, one after the other.
struct Words<'a>(std::str::SplitWhitespace<'a>);

impl Words<'_> {
    fn next<T: std::str::FromStr>(&mut self) -> Result<T> {
        let word = self.0.next().context("the line is too short")?;
        word.parse()
            .ok()
            .with_context(|| format!("{word} is not what stands here"))
    }

    fn prefix(&mut self) -> Result<Prefix> {
        Ok(Prefix {
            address: self.next()?,
            bits: self.next()?,
        })
    }

    fn switch(&mut self) -> Result<bool> {
        match self.next::<String>()?.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            other => bail!("`on` or `off`, not {other}"),
        }
    }
}

fn step(line: &str) -> Result<Step> {
    let mut words = Words(line.split_whitespace());
    let verb: String = words.next()?;
    let bytes = || of_hex(line.split_whitespace().nth(1).unwrap_or_default());
    Ok(match verb.as_str() {
        "packet" => Step::Packet(bytes()?),
        "outgoing" => Step::Outgoing(bytes()?),
        "advance" => Step::Advance(words.next()?),
        _ => Step::Change(change(&verb, &mut words)?),
    })
}

fn change(verb: &str, words: &mut Words) -> Result<Change> {
    Ok(match verb {
        "grant" => Change::Grant {
            source: words.next()?,
            service: words.next()?,
            lasts_ns: words.next()?,
            idle_ns: words.next()?,
        },
        "revoke" => Change::Revoke {
            source: words.next()?,
            service: words.next()?,
        },
        "grant-network" => Change::GrantNetwork {
            network: words.next()?,
            service: words.next()?,
            lasts_ns: words.next()?,
            idle_ns: words.next()?,
        },
        "revoke-network" => Change::RevokeNetwork {
            network: words.next()?,
            service: words.next()?,
        },
        "deny" => Change::Deny {
            prefix: words.prefix()?,
            lasts_ns: words.next()?,
        },
        "lift-deny" => Change::LiftDeny {
            prefix: words.prefix()?,
        },
        "observe" => Change::Observe(words.switch()?),
        "lockdown" => Change::Lockdown(words.switch()?),
        "heartbeat" => Change::Heartbeat {
            lasts_ns: words.next()?,
        },
        _ => bail!("no such step"),
    })
}
