//! Ways around a filter that are known to have worked somewhere, each on top of a packet that
//! would be judged by its true ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Dice, Draft, Piece,
    draft::{tcp, udp},
    site::PORTS,
    traffic::to_service,
};

/// One of them, in the family it works for.
pub(super) fn trick(dice: &mut Dice) -> Draft {
    let mut draft = to_service(dice);
    if dice.one_in(4) {
        source(dice, &mut draft);
    } else {
        disguise(dice, &mut draft);
    }
    draft
}

/// One that leaves the addresses as they are, for either way.
pub(super) fn disguise(dice: &mut Dice, draft: &mut Draft) {
    match dice.below(3) {
        0 => any_family(dice, draft),
        _ if draft.to.is_ipv4() => v4(dice, draft),
        _ => v6(dice, draft),
    }
}

/// VLAN, double VLAN, priority tag, QinQ, three tags.
pub(super) fn tags(dice: &mut Dice, draft: &mut Draft) {
    for _ in 0..dice.of([1, 1, 1, 2, 2, 3]) {
        let kind = dice.of([0x8100, 0x8100, 0x88a8]);
        draft.tags.push((kind, dice.of([0, 7, 0xe000, 0xffff])));
    }
}

/// Options that shift the ports, source routes, lists that end early or never.
pub(super) fn options(dice: &mut Dice, draft: &mut Draft) {
    let count = dice.of([4, 8, 8, 12, 16, 20, 40]);
    let mut options = Vec::new();
    while options.len() < count {
        match dice.below(12) {
            0 => options.push(0),
            1..=5 => options.push(1),
            6 => options.extend([131, 7, 4, 198, 51, 100, 10]),
            7 => options.extend([137, 3, 4]),
            8 => options.extend([148, 4, 0, 0]),
            9 => options.extend([7, dice.of([0, 1, 2, 3, 255])]),
            10 => options.extend(PORTS.map(|port| port.to_be_bytes()).concat()),
            _ => options.push(dice.byte()),
        }
    }
    options.truncate(count);
    draft.options = options;
}

/// Extension headers: all that are known, in any order, up to eight, some with wrong lengths.
pub(super) fn extensions(dice: &mut Dice, draft: &mut Draft) {
    for _ in 0..dice.of([1, 1, 1, 2, 3, 5, 6, 6, 7, 8]) {
        let at = dice.below(draft.extensions.len() + 1);
        let extension = extension(dice);
        draft.extensions.insert(at, extension);
    }
}

fn extension(dice: &mut Dice) -> (u8, Vec<u8>) {
    let units = dice.of([0_u8, 0, 0, 1, 2]);
    let body = |units: u8| vec![0; usize::from(units) * 8 + 6];
    let (number, mut rest) = match dice.below(10) {
        0..=2 => (0, [vec![units], body(units)].concat()),
        3..=5 => (60, [vec![units], body(units)].concat()),
        6 => {
            let left = dice.of([0, 0, 0, 1, 255]);
            let kind = dice.of([0, 2, 3, 4]);
            (43, [vec![2, kind, left], vec![0; 20]].concat())
        }
        // Length in words of four bytes, less two.
        7 => (51, [vec![dice.of([4, 1, 0])], vec![0; 22]].concat()),
        8 => {
            let field = dice.of([0_u16, 0, 1, 8, 0x0801, 6, 2]);
            let id = dice.of([1_u32, 2]);
            (
                44,
                [&[0][..], &field.to_be_bytes(), &id.to_be_bytes()].concat(),
            )
        }
        // Mobility, HIP, shim6, an experiment: no extension that we walk.
        _ => {
            let number = dice.of([135, 139, 140, 253]);
            (number, [vec![0], body(0)].concat())
        }
    };
    if dice.one_in(16)
        && let Some(length) = rest.first_mut()
    {
        *length = dice.of([0, 1, 9, 127, 255]);
    }
    (number, rest)
}

/// Bytes behind the packet hold another one; lengths say too much or too little; the payload is
/// a packet of its own; the portal's port elsewhere.
fn any_family(dice: &mut Dice, draft: &mut Draft) {
    match dice.below(6) {
        0 => draft.trailing = to_service(dice).frame(),
        1 => draft.length_lie = dice.of([-1, 1, -16, -17, -18, -20, -21, 4, -40, 100]),
        2 => {
            let inner = to_service(dice);
            draft.protocol = if inner.to.is_ipv4() { 4 } else { 41 };
            draft.payload = inner.frame().split_off(14);
        }
        3 => {
            draft.protocol = 6;
            draft.payload = tcp(40_000, 8_443, 2);
        }
        4 => {
            draft.protocol = 17;
            draft.payload = udp(53, 53);
        }
        _ => tags(dice, draft),
    }
}

/// Addresses that nobody may send from, and destinations for everybody.
fn source(dice: &mut Dice, draft: &mut Draft) {
    let mapped = Ipv4Addr::new(192, 0, 2, 10).to_ipv6_mapped();
    if draft.to.is_ipv4() {
        draft.from = dice.of([
            IpAddr::from([0; 4]),
            [127, 0, 0, 1].into(),
            [224, 0, 0, 1].into(),
            [255; 4].into(),
            draft.to,
        ]);
        if dice.one_in(3) {
            draft.to = dice
                .of([[255; 4], [198, 51, 100, 255], [224, 0, 0, 251]])
                .into();
        }
    } else {
        let all_nodes = IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1]);
        draft.from = dice.of([
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::LOCALHOST.into(),
            mapped.into(),
            all_nodes,
            draft.to,
        ]);
        if dice.one_in(3) {
            draft.to = all_nodes;
        }
    }
}

/// Shifted ports, source routes, tiny and overlapping pieces.
fn v4(dice: &mut Dice, draft: &mut Draft) {
    if dice.one_in(2) {
        options(dice, draft);
        return;
    }
    draft.payload = tcp(40_000, dice.of(PORTS), 2);
    let length = dice.of([0, 3, 4, 8, 15, 16, 20]);
    draft.payload.truncate(length);
    draft.fragment(Piece {
        id: dice.of([1, 2, 3]),
        offset: dice.of([0, 0, 8, 16, 24, 65_528]),
        more: dice.one_in(2),
    });
}

/// Long chains, a fragment header at the end of one, an empty payload, a jumbogram.
fn v6(dice: &mut Dice, draft: &mut Draft) {
    match dice.below(5) {
        0 => {
            let length = i16::try_from(draft.payload.len()).unwrap_or(0);
            draft.length_lie = -length;
        }
        1 => {
            draft.extensions.push((0, vec![0, 0xc2, 4, 0, 1, 0, 0]));
            let length = i16::try_from(draft.payload.len() + 8).unwrap_or(0);
            draft.length_lie = -length;
        }
        2 => {
            extensions(dice, draft);
            draft.fragment(Piece {
                id: dice.of([1, 2, 3]),
                offset: dice.of([0, 0, 8, 16]),
                more: dice.one_in(2),
            });
        }
        // So long that what is behind them cannot be read any more, or hardly.
        3 => {
            for _ in 0..dice.of([1, 2, 2, 3]) {
                let units = dice.of([255, 254, 246, 247, 248, 249, 200]);
                let body = vec![0; usize::from(units) * 8 + 6];
                draft.extensions.push((60, [vec![units], body].concat()));
            }
        }
        _ => extensions(dice, draft),
    }
}
