//! Honest packets of every kind, from and to the few addresses of the site.

use std::net::IpAddr;

use super::{
    Dice, Draft, Piece,
    draft::{icmp, tcp, udp},
    site::{DESTINATIONS, HOSTS, LISTED, PORTS, SOURCES},
};

/// A conversation that a protected host began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    pub(super) own: IpAddr,
    pub(super) peer: IpAddr,
    pub(super) protocol: u8,
    /// Identifier of an echo.
    pub(super) own_port: u16,
    pub(super) peer_port: u16,
}

/// A packet that came or went in pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: u8,
    pub(super) id: u32,
    /// Bytes of the first piece.
    pub(super) end: u16,
}

/// Flags of TCP, the usual ones more often.
pub(super) fn flags(dice: &mut Dice) -> u8 {
    dice.of([
        0x02, 0x02, 0x10, 0x10, 0x12, 0x18, 0x11, 0x14, 0x04, 0x01, 0x03, 0x06, 0x00, 0xff, 0xc2,
    ])
}

/// What a protocol begins with. Some are cut short.
pub(super) fn payload(dice: &mut Dice, protocol: u8, port: u16) -> Vec<u8> {
    let from = dice.of([40_000, 40_001, 53, 443, 67]);
    let mut bytes = match protocol {
        6 => tcp(from, port, flags(dice)),
        17 | 132 | 136 => udp(from, port),
        1 => icmp(dice.of([8, 0, 8, 0, 13, 5, 3]), 7),
        58 => icmp(dice.of([128, 129, 128, 129, 1, 200, 135]), 7),
        _ => dice.bytes(24),
    };
    if dice.one_in(12) {
        let length = dice.below(bytes.len() + 1);
        bytes.truncate(length);
    } else if dice.one_in(8) {
        let more = dice.below(64);
        bytes.resize(bytes.len() + more, 0);
    }
    bytes
}

fn family(dice: &mut Dice) -> usize {
    dice.below(2)
}

fn pick<const N: usize>(dice: &mut Dice, lists: [[IpAddr; N]; 2], family: usize) -> IpAddr {
    let [v4, v6] = lists;
    dice.of(if family == 0 { v4 } else { v6 })
}

/// Towards a service, or next to one.
pub(super) fn to_service(dice: &mut Dice) -> Draft {
    let family = family(dice);
    let from = pick(dice, SOURCES, family);
    let to = pick(dice, DESTINATIONS, family);
    let protocol = dice.of([
        6, 6, 6, 6, 6, 17, 17, 17, 132, 136, 1, 58, 47, 50, 4, 41, 33, 255,
    ]);
    let port = match protocol {
        6 if dice.one_in(2) => dice.of([22, 80, 443]),
        17 if dice.one_in(2) => dice.of([53, 600, 700]),
        _ => dice.of(PORTS),
    };
    let [[.., allowed4, _, _], [.., allowed6, _, _]] = SOURCES;
    let from = match (port, family) {
        (22, 0) if dice.one_in(2) => allowed4,
        (22, _) if dice.one_in(2) => allowed6,
        _ => from,
    };
    let payload = payload(dice, protocol, port);
    Draft::new(from, to, protocol, payload)
}

/// Towards a public service, most often from the same few.
pub(super) fn to_public(dice: &mut Dice) -> Draft {
    let family = family(dice);
    let from = pick(dice, SOURCES, family);
    let (to, port) = if dice.one_in(3) {
        let [v4, v6] = DESTINATIONS;
        let [.., portal4, _] = v4;
        let [.., portal6, _] = v6;
        (if family == 0 { portal4 } else { portal6 }, 8_443)
    } else {
        let to = pick(dice, HOSTS, family);
        (to, dice.of([8_080, 8_080, 8_081]))
    };
    Draft::new(from, to, 6, tcp(40_000, port, 2))
}

/// An error of a router on the way, more or less.
pub(super) fn icmp_error(dice: &mut Dice) -> Draft {
    let family = family(dice);
    let from = pick(dice, SOURCES, family);
    let to = pick(dice, DESTINATIONS, family);
    let (protocol, kind) = if family == 0 {
        (1, dice.of([3, 3, 11, 12, 4, 5]))
    } else {
        (58, dice.of([1, 2, 2, 3, 4, 5, 0]))
    };
    let mut payload = vec![kind, dice.byte() & 7, 0, 0, 0, 0, 0, 0];
    payload.extend(vec![0x45; dice.below(40)]);
    if dice.one_in(6) {
        let length = dice.below(9);
        payload.truncate(length);
    }
    Draft::new(from, to, protocol, payload)
}

/// Neighbour discovery and listener messages, with the right hop limit or another.
pub(super) fn discovery(dice: &mut Dice) -> Draft {
    let from = pick(dice, SOURCES, 1);
    let to = pick(dice, DESTINATIONS, 1);
    let kind = dice.of([
        130, 131, 132, 133, 134, 135, 135, 136, 136, 137, 138, 143, 129,
    ]);
    let mut draft = Draft::new(from, to, 58, vec![kind; 1 + dice.below(24)]);
    draft.hops = dice.of([255, 255, 1, 1, 64, 254, 0]);
    if dice.one_in(4) {
        // Listener messages carry a router alert (RFC 2711).
        draft.extensions.push((0, vec![0, 5, 2, 0, 0, 1, 0]));
    }
    draft
}

/// A protected host begins to talk, or a stranger does on the way out.
pub(super) fn begin(dice: &mut Dice) -> Talk {
    let family = family(dice);
    let own = if dice.one_in(8) {
        pick(dice, SOURCES, family)
    } else {
        pick(dice, HOSTS, family)
    };
    let peer = pick(dice, SOURCES, family);
    let echo = if family == 0 { 1 } else { 58 };
    let protocol = dice.of([6, 6, 6, 17, 17, 17, echo, echo, 132, 1]);
    let is_echo = protocol == echo || protocol == 1;
    let own_port = if dice.one_in(5) {
        dice.of(PORTS)
    } else {
        dice.of([50_000, 50_001, 50_002])
    };
    Talk {
        own,
        peer,
        protocol,
        own_port,
        peer_port: if is_echo {
            0
        } else {
            dice.of([53, 53, 443, 123])
        },
    }
}

/// A packet of a conversation, from the host outwards.
pub(super) fn outward(dice: &mut Dice, talk: Talk) -> Draft {
    let payload = match talk.protocol {
        6 => tcp(talk.own_port, talk.peer_port, flags(dice)),
        1 => icmp(dice.of([8, 8, 8, 0]), talk.own_port),
        58 => icmp(dice.of([128, 128, 128, 129]), talk.own_port),
        _ => udp(talk.own_port, talk.peer_port),
    };
    Draft::new(talk.own, talk.peer, talk.protocol, payload)
}

/// A packet of a conversation, back to the host.
pub(super) fn inward(dice: &mut Dice, talk: Talk) -> Draft {
    let mut talk = talk;
    match dice.below(24) {
        0 => talk.own_port = talk.own_port.wrapping_add(1),
        1 => talk.peer_port = talk.peer_port.wrapping_add(1),
        2 => talk.protocol = dice.of([6, 17, 1, 58]),
        _ => {}
    }
    let mut payload = match talk.protocol {
        6 => tcp(talk.peer_port, talk.own_port, flags(dice)),
        1 => icmp(dice.of([0, 0, 0, 8]), talk.own_port),
        58 => icmp(dice.of([129, 129, 129, 128]), talk.own_port),
        _ => udp(talk.peer_port, talk.own_port),
    };
    if dice.one_in(16) {
        let length = dice.below(payload.len() + 1);
        payload.truncate(length);
    }
    Draft::new(talk.peer, talk.own, talk.protocol, payload)
}

/// A request for a lease, or what looks like one.
pub(super) fn lease_request(dice: &mut Dice) -> Draft {
    let from = dice.of([
        IpAddr::from([0; 4]),
        IpAddr::from([0; 4]),
        SOURCES[0][0],
        HOSTS[0][0],
    ]);
    let to = dice.of([IpAddr::from([255; 4]), SOURCES[0][6]]);
    Draft::new(from, to, 17, udp(68, dice.of([67, 67, 67, 69])))
}

/// An answer to it.
pub(super) fn lease_answer(dice: &mut Dice) -> Draft {
    let from = pick(dice, SOURCES, 0);
    let to = pick(dice, DESTINATIONS, 0);
    Draft::new(from, to, 17, udp(67, dice.of([68, 68, 68, 69])))
}

/// The first piece of a packet. Short ones on purpose, too.
pub(super) fn first_piece(dice: &mut Dice) -> (Draft, Whole) {
    let mut draft = if dice.one_in(4) {
        to_public(dice)
    } else {
        to_service(dice)
    };
    let length = if dice.one_in(4) {
        dice.below(24)
    } else {
        dice.of([16, 24, 32, 64])
    };
    draft.payload.resize(length, 0);
    draft.hops = dice.of([64, 255]);
    let id = dice.of([1, 2, 3, 0x1_0001]);
    let whole = Whole {
        from: draft.from,
        to: draft.to,
        protocol: draft.protocol,
        id,
        end: u16::try_from(length).unwrap_or(0),
    };
    draft.fragment(Piece {
        id,
        offset: 0,
        more: !dice.one_in(12),
    });
    (draft, whole)
}

/// A later piece of one, in place, over its end, or past the largest packet there can be.
pub(super) fn later_piece(dice: &mut Dice, whole: Whole) -> Draft {
    let port = dice.of(PORTS);
    let mut payload = payload(dice, 6, port);
    if dice.one_in(4) {
        payload = vec![0; dice.below(64)];
    }
    let protocol = if dice.one_in(12) {
        dice.of([6, 17, 0, 60])
    } else {
        whole.protocol
    };
    let offset = match dice.below(8) {
        0 => 8,
        1 => whole.end.saturating_sub(8),
        2 => 65_528,
        3 => 65_528 - 64,
        _ => whole.end.next_multiple_of(8) + 8 * dice.of([0, 0, 1, 5]),
    };
    let mut draft = Draft::new(whole.from, whole.to, protocol, payload);
    draft.fragment(Piece {
        id: if dice.one_in(10) {
            whole.id.wrapping_add(1)
        } else {
            whole.id
        },
        offset: offset & 0xfff8,
        more: dice.one_in(2),
    });
    draft
}

/// What is not IP at all.
pub(super) fn link(dice: &mut Dice) -> Vec<u8> {
    let kind = dice.of([
        0x0806, 0x8809, 0x888e, 0x88cc, 38, 0, 1_500, 1_501, 1_535, 1_536, LISTED, 0x88b5, 0x8847,
        0x9100, 0x8864, 0x0800, 0x86dd, 0x8100,
    ]);
    let mut frame = vec![0xff; 12];
    for _ in 0..dice.below(4) {
        frame.extend(dice.of([0x8100_u16, 0x88a8]).to_be_bytes());
        frame.extend(dice.short().to_be_bytes());
    }
    frame.extend(kind.to_be_bytes());
    let length = dice.below(64);
    frame.extend(dice.bytes(length));
    frame
}
