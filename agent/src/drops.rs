//! Samples of dropped packets, for whoever follows them, and who is dropped most. Bounded: readers
//! that fall behind lose samples, and sources seen longest ago are forgotten.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use agent_api::{DroppedPacket, Talker, Talkers};
use etherparse::{LaxPacketHeaders, NetHeaders, TransportHeader};
use filter_abi::Reason;
use jiff::Timestamp;
use lru::LruCache;
use tokio::sync::broadcast;

use crate::{clock::Moment, kernel::Dropped};

/// Samples that a slow reader may fall behind.
const BEHIND: usize = 4_096;
/// Sources that are remembered.
const TALKERS: NonZeroUsize = match NonZeroUsize::new(4_096) {
    Some(talkers) => talkers,
    None => NonZeroUsize::MIN,
};
/// Sources that are shown.
const SHOWN: usize = 100;

/// Who, why, for which service.
type Key = (IpAddr, u32, u32);

/// What was dropped lately.
#[derive(Debug)]
pub struct Drops {
    samples: broadcast::Sender<DroppedPacket>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    talkers: LruCache<Key, Talker>,
    sampled: u64,
}

/// Names of what a sample has numbers for.
pub struct Names<'a> {
    pub service: &'a dyn Fn(u32) -> Option<String>,
    pub interface: &'a dyn Fn(u32) -> String,
}

impl Default for Drops {
    fn default() -> Self {
        Self {
            samples: broadcast::channel(BEHIND).0,
            seen: Mutex::new(Seen {
                talkers: LruCache::new(TALKERS),
                sampled: 0,
            }),
        }
    }
}

impl Drops {
    /// Takes note of a sample.
    pub fn note(&self, dropped: &Dropped, now: Moment, names: &Names<'_>) {
        let at = now.wall_of(dropped.at_ns);
        let reason = named(dropped.reason);
        let service = (names.service)(dropped.service);
        let packet = packet(
            dropped,
            at,
            reason,
            service.clone(),
            (names.interface)(dropped.interface),
        );
        let mut seen = self.seen();
        seen.sampled += 1;
        if let Some(source) = packet.source {
            let key = (source, dropped.reason, dropped.service);
            let talker = seen.talkers.get_or_insert_mut(key, || Talker {
                source,
                reason: reason.into(),
                service,
                samples: 0,
                last: at,
            });
            talker.samples += 1;
            talker.last = at;
        }
        drop(seen);
        // Nobody may be listening.
        let _ = self.samples.send(packet);
    }

    /// Every sample from now on.
    pub fn follow(&self) -> broadcast::Receiver<DroppedPacket> {
        self.samples.subscribe()
    }

    /// Who is dropped most.
    pub fn talkers(&self) -> Talkers {
        let seen = self.seen();
        let mut talkers: Vec<Talker> = seen.talkers.iter().map(|(_, t)| t.clone()).collect();
        talkers.sort_by(|a, b| b.samples.cmp(&a.samples).then(a.source.cmp(&b.source)));
        talkers.truncate(SHOWN);
        Talkers {
            talkers,
            sampled: seen.sampled,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What a panic left behind is at worst one sample short.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(number: u32) -> &'static str {
    let found = usize::try_from(number)
        .ok()
        .and_then(|n| Reason::ALL.get(n));
    found.map_or("Unknown", |reason| reason.name())
}

/// What the first bytes show, as far as they show it.
fn packet(
    dropped: &Dropped,
    at: Timestamp,
    reason: &str,
    service: Option<String>,
    interface: String,
) -> DroppedPacket {
    let headers = LaxPacketHeaders::from_ethernet(&dropped.frame).ok();
    let (mut addresses, mut protocol, mut port) = (None, None, None);
    if let Some(headers) = headers {
        match headers.net {
            Some(NetHeaders::Ipv4(ip, _)) => {
                addresses = Some((IpAddr::from(ip.source), IpAddr::from(ip.destination)));
                protocol = Some(ip.protocol.0);
            }
            Some(NetHeaders::Ipv6(ip, extensions)) => {
                addresses = Some((IpAddr::from(ip.source), IpAddr::from(ip.destination)));
                let last = extensions.next_header(ip.next_header);
                protocol = Some(last.unwrap_or(ip.next_header).0);
            }
            _ => {}
        }
        port = match headers.transport {
            Some(TransportHeader::Tcp(tcp)) => Some(tcp.destination_port),
            Some(TransportHeader::Udp(udp)) => Some(udp.destination_port),
            _ => None,
        };
    }
    DroppedPacket {
        at,
        interface,
        source: addresses.map(|(source, _)| source),
        destination: addresses.map(|(_, destination)| destination),
        protocol,
        port,
        reason: reason.into(),
        service,
        observed: dropped.observed,
        length: dropped.length,
        frame: dropped
            .frame
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(last: u8, port: u16) -> Dropped {
        let [high, low] = port.to_be_bytes();
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0]);
        frame.extend([192, 0, 2, last, 198, 51, 100, 10, 0x9c, 0x40, high, low]);
        frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
        Dropped {
            at_ns: 5,
            interface: 3,
            reason: Reason::NoGrant as u32,
            service: 1,
            length: 60,
            observed: false,
            frame,
        }
    }

    fn note(drops: &Drops, dropped: &Dropped) {
        let now = Moment {
            wall: Timestamp::UNIX_EPOCH,
            boot_ns: 5,
        };
        let names = Names {
            service: &|number| (number == 1).then(|| "web".into()),
            interface: &|number| format!("eth{number}"),
        };
        drops.note(dropped, now, &names);
    }

    #[test]
    fn a_sample_shows_who_wanted_what() {
        let drops = Drops::default();
        let mut follower = drops.follow();
        note(&drops, &dropped(7, 443));
        let packet = follower.try_recv().unwrap();
        assert_eq!(packet.source, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(packet.destination, Some("198.51.100.10".parse().unwrap()));
        assert_eq!((packet.protocol, packet.port), (Some(6), Some(443)));
        assert_eq!(
            (packet.reason.as_str(), packet.service.as_deref()),
            ("NoGrant", Some("web"))
        );
        assert_eq!(packet.interface, "eth3");
        assert!(packet.frame.starts_with("0202"));
    }

    #[test]
    fn who_is_dropped_most_comes_first_and_memory_is_bounded() {
        let drops = Drops::default();
        for port in 0..10 {
            note(&drops, &dropped(9, port));
        }
        note(&drops, &dropped(7, 443));
        let talkers = drops.talkers();
        assert_eq!(talkers.sampled, 11);
        assert_eq!(talkers.talkers[0].source.to_string(), "192.0.2.9");
        assert_eq!(talkers.talkers[0].samples, 10);
        let mut many = dropped(0, 1);
        for number in 0..10_000u32 {
            let [_, _, a, b] = number.to_be_bytes();
            many.frame[28..30].copy_from_slice(&[a, b]);
            note(&drops, &many);
        }
        assert_eq!(drops.seen().talkers.len(), TALKERS.get());
        assert_eq!(drops.talkers().talkers.len(), SHOWN);
    }

    #[test]
    fn a_frame_that_shows_nothing_is_still_a_sample() {
        let drops = Drops::default();
        let mut follower = drops.follow();
        note(
            &drops,
            &Dropped {
                frame: vec![1; 14],
                ..dropped(7, 1)
            },
        );
        assert_eq!(follower.try_recv().unwrap().source, None);
        assert!(drops.talkers().talkers.is_empty());
    }
}
