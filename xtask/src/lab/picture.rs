//! The counters by reason, as one small picture.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::record::Lab;
use crate::command;

/// One reason and its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) reason: String,
    pub(super) action: String,
    pub(super) packets: u64,
}

/// Asks the agent.
pub(super) fn counters(lab: &Lab) -> Result<Vec<Counter>> {
    let text = command::output(lab.sekisho().args(["--json", "counters"]))?;
    let reply: Value = serde_json::from_str(&text)?;
    let list = reply
        .get("counters")
        .and_then(Value::as_array)
        .context("no counters in reply")?;
    list.iter()
        .map(|counter| {
            let word = |name| counter.get(name).and_then(Value::as_str).map(str::to_owned);
            Ok(Counter {
                reason: word("reason").context("a counter without reason")?,
                action: word("action").context("a counter without action")?,
                packets: counter
                    .get("packets")
                    .and_then(Value::as_u64)
                    .context("no packets")?,
            })
        })
        .collect()
}

/// Packets counted under one reason.
pub(super) fn packets(lab: &Lab, reason: &str) -> Result<u64> {
    let normal = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let counters = counters(lab)?;
    let found = counters
        .iter()
        .find(|counter| normal(&counter.reason) == normal(reason));
    found
        .map(|counter| counter.packets)
        .with_context(|| format!("no counter {reason}"))
}

/// A bar for each reason that was given, on a logarithmic scale: a flood of one must not hide
/// the single packet of another.
pub(super) fn draw(counters: &[Counter]) -> String {
    let mut picture = String::new();
    let most = counters
        .iter()
        .map(|counter| counter.packets)
        .max()
        .unwrap_or(0);
    for counter in counters.iter().filter(|counter| counter.packets > 0) {
        let share = f64::from(bits(counter.packets)) / f64::from(bits(most));
        let bar = "█".repeat(length(share * 30.0));
        picture.push_str(&format!(
            "   {:<5} {:<16} {:>12} {bar}\n",
            counter.action,
            counter.reason,
            grouped(counter.packets)
        ));
    }
    picture
}

fn bits(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

fn length(share: f64) -> usize {
    (1..=30_u8)
        .filter(|&n| f64::from(n) <= share.max(1.0))
        .count()
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(reason: &str, packets: u64) -> Counter {
        Counter {
            reason: reason.into(),
            action: "drop".into(),
            packets,
        }
    }

    #[test]
    fn a_single_packet_is_seen_beside_a_flood() {
        let picture = draw(&[
            counter("flood", 1 << 40),
            counter("one", 1),
            counter("none", 0),
        ]);
        let bars: Vec<_> = picture
            .lines()
            .map(|line| line.matches('█').count())
            .collect();
        assert_eq!(bars, [30, 1], "{picture}");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
