//! Flow records of the maps in the oracle's words.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use filter_abi::{FlowKey as AbiKey, FlowRecord, state};

use crate::oracle::{Flow, FlowKey, Living, State};

/// Those of the records that still count.
pub(super) fn living<A: Copy + Into<IpAddr>>(
    records: impl IntoIterator<Item = (AbiKey<A>, FlowRecord)>,
    now_ns: u64,
) -> Result<Living> {
    let mut living = Living::new();
    for (key, record) in records {
        let (key, flow) = plain(key, record)?;
        if flow.lives(now_ns) {
            living.insert(key, flow);
        }
    }
    Ok(living)
}

fn plain<A: Copy + Into<IpAddr>>(key: AbiKey<A>, record: FlowRecord) -> Result<(FlowKey, Flow)> {
    let protocol = u8::try_from(key.protocol).context("a protocol above 255")?;
    let state = match record.state {
        state::ASKED if [1, 58].contains(&protocol) => State::Echo,
        state::ASKED => State::Unreplied,
        state::ANSWERED => State::Replied,
        state::SYN_SENT => State::SynSent,
        state::ESTABLISHED => State::Established,
        state::CLOSING => State::Closing,
        other => bail!("a flow in the state {other}"),
    };
    let key = FlowKey {
        protocol,
        own: key.own.into(),
        own_port: key.own_port,
        peer: key.peer.into(),
        peer_port: key.peer_port,
    };
    let seen_ns = record.seen_ns;
    Ok((key, Flow { state, seen_ns }))
}
