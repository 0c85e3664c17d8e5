//! What a service says of its packets beside who may send them: how many, what a refused one is
//! told, and what happens while the agent is gone.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{Service, file};
use agent_api::ServiceKind;

const SECOND_NS: u64 = 1_000_000_000;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time between two at the full rate, in nanoseconds; at least 1.
    pub interval_ns: u64,
    /// How many may come at once; at least 1.
    pub burst: u32,
}

/// What a source is told whose packet is dropped for want of a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Nothing.
    #[default]
    Silent,
    /// TCP: a reset; the rest: "administratively prohibited".
    Reset,
    /// "Administratively prohibited" (ICMP type 3 code 13, ICMPv6 type 1 code 1).
    Prohibited,
}

/// What is admitted by a grant while the agent does not say that it is alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentDown {
    /// Everything, until the deadline.
    #[default]
    Keep,
    /// TCP connections that run; nothing else.
    NoNewConnections,
    /// Nothing.
    Closed,
}

/// ICMP errors to one destination, when nobody says: path MTU discovery needs one at a time.
pub(super) const ICMP_ERRORS: Rate = Rate {
    interval_ns: SECOND_NS / 100,
    burst: 200,
};

/// Packets of one source to the portal, when nobody says: hundreds of people behind one address
/// log in without noticing, a flood does not get through.
pub(super) const PORTAL: Rate = Rate {
    interval_ns: SECOND_NS / 2_000,
    burst: 4_000,
};

type Found = Vec<(Range<usize>, String)>;

/// `100/s`, `30/m`. The burst, when nobody says, is what may come in one of the units.
pub(super) fn rate(
    written: &Option<Spanned<String>>,
    burst: &Option<Spanned<u32>>,
    found: &mut Found,
) -> Option<Rate> {
    let Some(text) = written else {
        if let Some(burst) = burst {
            let message = "a burst without a rate does nothing; write rate = \"100/s\", too";
            found.push((burst.span(), message.into()));
        }
        return None;
    };
    let Some((count, interval_ns)) = parse(text.get_ref()) else {
        let message = format!(
            "`{}` is not a rate; write for example 100/s or 30/m",
            text.get_ref()
        );
        found.push((text.span(), message));
        return None;
    };
    let burst = burst.as_ref().map_or(count, |burst| {
        if *burst.get_ref() == 0 {
            found.push((burst.span(), "a burst is at least 1".into()));
        }
        (*burst.get_ref()).max(1)
    });
    Some(Rate { interval_ns, burst })
}

fn parse(text: &str) -> Option<(u32, u64)> {
    let (count, unit) = text.trim().split_once('/')?;
    let count: u32 = count.trim().parse().ok()?;
    let unit_ns = match unit.trim() {
        "s" => SECOND_NS,
        "m" => 60 * SECOND_NS,
        _ => return None,
    };
    // Up to a packet every ten nanoseconds; more is no limit at all.
    (1..=100_000_000)
        .contains(&count)
        .then(|| (count, (unit_ns / u64::from(count)).max(1)))
}

/// Reads a service's words on traffic into it, and refuses those that would do nothing.
pub(super) fn apply(written: &file::Service, service: &mut Service, found: &mut Found) {
    service.rate = rate(&written.rate, &written.burst, found);
    let name = &service.name;
    match service.kind {
        ServiceKind::Granted => {
            if let Some(rate) = &written.rate {
                let message =
                    format!("service `{name}` is not public; a rate would do nothing there");
                found.push((rate.span(), message));
            }
        }
        ServiceKind::Public => {
            let mut refuse = |span: Range<usize>, key: &str| {
                let message = format!("service `{name}` is public; {key} would do nothing there");
                found.push((span, message));
            };
            if let Some(answer) = &written.answer {
                refuse(answer.span(), "answer");
            }
            if let Some(agent_down) = &written.agent_down {
                refuse(agent_down.span(), "agent_down");
            }
            if let Some(ipv6_grants) = &written.ipv6_grants {
                refuse(ipv6_grants.span(), "ipv6_grants");
            }
        }
    }
    service.answer = written
        .answer
        .as_ref()
        .map_or_else(Answer::default, |a| *a.get_ref());
    service.agent_down = written
        .agent_down
        .as_ref()
        .map_or_else(AgentDown::default, |a| *a.get_ref());
    service.ipv6_prefix = written
        .ipv6_grants
        .as_ref()
        .is_some_and(|grants| *grants.get_ref() == file::Ipv6Grants::Prefix);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_people_write_are_understood() {
        assert_eq!(parse("100/s"), Some((100, 10_000_000)));
        assert_eq!(parse(" 30 / m "), Some((30, 2_000_000_000)));
        for text in ["", "100", "0/s", "-1/s", "100/h", "many/s", "4000000000/s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
