//! Tricks with packets in pieces and frames in several buffers, over real wires: what came before,
//! or where the first buffer ends, must not let in what would have been dropped whole.

use anyhow::Result;
use tests::{
    Rig,
    lane::{Fate, Lane},
    packet::{self, UDP, V4, udp},
};
use xtask::lab::{ETH, OUTER};

/// Port of the service that friend holds a grant for.
const ECHO: u16 = 7;
const SSH: u16 = 22;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// RFC 1858, 3128 and 5722: the first fragment is honest and was let through, the second begins
/// inside it and would put another port over its own.
#[test]
fn overlapping_fragment_behind_one_that_passed() -> Result<()> {
    let mut lane = Lane::open()?;
    let datagram = udp(9, ECHO, &[7; 40])?;
    let (first, rest) = datagram.split_at(24);
    let forged = udp(9, SSH, b"x")?;
    let v4 = |offset: u16, more_fragments: bool, part: &[u8]| {
        let piece = V4 {
            offset: offset / 8,
            more_fragments,
            ..V4::default()
        };
        piece.packet(lane.friend.0, lane.server.0, UDP, part)
    };
    let v6 = |offset: u8, more: u8, part: &[u8]| {
        let header = [UDP, 0, 0, offset | more, 0, 0, 0, 0];
        let payload = [&header[..], part].concat();
        packet::v6(lane.friend.1, lane.server.1, FRAGMENT, &payload)
    };
    let plays = [
        [
            v4(0, true, first)?,
            v4(8, false, &forged)?,
            v4(24, false, rest)?,
        ]
        .map(|packet| lane.v4(&packet)),
        [v6(0, 1, first)?, v6(8, 0, &forged)?, v6(24, 0, rest)?].map(|packet| lane.v6(&packet)),
    ];
    for [honest, overlapping, end] in plays {
        lane.expect(&honest, "Granted", Fate::Passes)?;
        lane.expect(&overlapping, "FragmentUnknown", Fate::Vanishes)?;
        lane.expect(&end, "Fragment", Fate::Passes)?;
    }
    Ok(())
}

/// A driver hands a jumbo frame over in several buffers. Options fill the first one, and a filter
/// that looks no further sees no ports.
#[test]
fn ports_in_the_second_buffer_of_a_jumbo_frame() -> Result<()> {
    let rig = Rig::quiet()?;
    let (client, gate) = (&rig.layout.client, &rig.layout.gate);
    client.ip([format!("link set {ETH} mtu 9000").as_str()])?;
    gate.ip([format!("link set {OUTER} mtu 9000").as_str()])?;
    let config = rig.agent_config();
    let mut lane = Lane::open_with(rig, &config)?;
    // 3,648 bytes of padding: more than a page has room for, less than the filter reads.
    let options = |next: u8, units: u8| {
        let body = vec![0; usize::from(units) * 8 + 6];
        [vec![next, units], body].concat()
    };
    let chain = [options(DESTINATION_OPTIONS, 255), options(UDP, 199)].concat();
    let frame = |lane: &Lane, from, port| -> Result<Vec<u8>> {
        let payload = [&chain[..], &udp(9, port, &[7; 4_000])?].concat();
        let packet = packet::v6(from, lane.server.1, DESTINATION_OPTIONS, &payload)?;
        Ok(lane.v6(&packet))
    };
    let (friend, stranger) = (lane.friend.1, lane.stranger.1);
    let (honest, strange) = (frame(&lane, friend, ECHO)?, frame(&lane, stranger, ECHO)?);
    let elsewhere = frame(&lane, friend, 9)?;
    lane.expect(&strange, "NoGrant", Fate::Vanishes)?;
    lane.expect(&elsewhere, "NoService", Fate::Vanishes)?;
    lane.expect(&honest, "Granted", Fate::Passes)
}
