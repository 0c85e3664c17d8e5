//! A frame leaves by the loaded program. What is written down at a wrong moment, because a tick
//! of the kernel was over, is taken back; so it has to be known which flows a frame may touch.

use std::net::IpAddr;

use anyhow::{Result, bail};
use filter_abi::{FlowKey, FlowRecord, V4, V6, names};

use crate::{
    loaded::{self, Loaded},
    oracle::{Contents, Link, read},
};

/// A tick is a millisecond at least, and a run takes microseconds.
const ATTEMPTS: usize = 1_000;

/// Lets a frame leave at a moment. One of which no packet can be made is no flow's.
pub(super) fn leave(loaded: &mut Loaded, frame: &[u8], now_ns: u64) -> Result<()> {
    if !loaded::is_packet(frame) {
        return Ok(());
    }
    let mut touched = Vec::new();
    for row in conversations(frame) {
        touched.push((row, row.record(loaded)?));
    }
    for _ in 0..ATTEMPTS {
        if loaded.leave(frame, now_ns)? {
            return Ok(());
        }
        for (row, record) in &touched {
            row.restore(loaded, *record)?;
        }
    }
    bail!("{ATTEMPTS} ticks of the kernel were over in the middle of a run")
}

/// A place in one of the two tables.
#[derive(Clone, Copy)]
enum Row {
    V4(FlowKey<V4>),
    V6(FlowKey<V6>),
}

impl Row {
    fn new(own: (IpAddr, u16), peer: (IpAddr, u16), protocol: u8) -> Option<Self> {
        let ((own, own_port), (peer, peer_port)) = (own, peer);
        let protocol = u32::from(protocol);
        match (own, peer) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => Some(Self::V4(FlowKey {
                own: own.octets(),
                peer: peer.octets(),
                own_port,
                peer_port,
                protocol,
            })),
            (IpAddr::V6(own), IpAddr::V6(peer)) => Some(Self::V6(FlowKey {
                own: own.octets(),
                peer: peer.octets(),
                own_port,
                peer_port,
                protocol,
            })),
            _ => None,
        }
    }

    fn record(&self, loaded: &Loaded) -> Result<Option<FlowRecord>> {
        match self {
            Self::V4(key) => loaded::one(&loaded.ebpf, names::FLOWS_V4, key),
            Self::V6(key) => loaded::one(&loaded.ebpf, names::FLOWS_V6, key),
        }
    }

    fn restore(&self, loaded: &mut Loaded, record: Option<FlowRecord>) -> Result<()> {
        let ebpf = &mut loaded.ebpf;
        match (self, record) {
            (Self::V4(key), Some(record)) => loaded::hash(ebpf, names::FLOWS_V4, &[(*key, record)]),
            (Self::V6(key), Some(record)) => loaded::hash(ebpf, names::FLOWS_V6, &[(*key, record)]),
            (Self::V4(key), None) => {
                loaded::out_of_hash::<_, FlowRecord>(ebpf, names::FLOWS_V4, key)
            }
            (Self::V6(key), None) => {
                loaded::out_of_hash::<_, FlowRecord>(ebpf, names::FLOWS_V6, key)
            }
        }
    }
}

/// What a frame on its way out could be remembered as. Whoever remembers it as something else is
/// found out at the next look at all flows.
fn conversations(frame: &[u8]) -> Vec<Row> {
    let Link::Packet(packet) = read(frame, &[]) else {
        return Vec::new();
    };
    let Contents::Upper(upper) = &packet.contents else {
        return Vec::new();
    };
    let echo = match upper.bytes {
        [_, _, _, _, high, low, ..] => Some((u16::from_be_bytes([*high, *low]), 0)),
        _ => None,
    };
    let nobody = IpAddr::from([0; 4]);
    let lease = Row::new((nobody, 68), (nobody, 67), 17);
    let ports = [upper.ports(), echo].into_iter().flatten();
    let own = ports.filter_map(|(own_port, peer_port)| {
        let (own, peer) = (packet.source, packet.destination);
        Row::new((own, own_port), (peer, peer_port), upper.protocol)
    });
    own.chain(lease).collect()
}
