//! A packet before it is bytes: honest unless told otherwise.

use std::net::IpAddr;

/// Where a packet is a piece of a larger one. Offset and further pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub id: u32,
    /// In bytes, a multiple of 8.
    pub offset: u16,
    pub more: bool,
}

/// What is to become a frame.
#[derive(Clone, Debug)]
pub struct Draft {
    /// (TPID, TCI).
    pub tags: Vec<(u16, u16)>,
    pub from: IpAddr,
    pub to: IpAddr,
    pub hops: u8,
    /// IPv4 options; a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv6: its number, and its bytes from the second on.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// IPv4 only; in IPv6 it is one of the extensions.
    pub piece: Option<Piece>,
    pub protocol: u8,
    pub payload: Vec<u8>,
    /// Bytes behind the packet's end.
    pub trailing: Vec<u8>,
    /// Added to the length that the header says.
    pub length_lie: i16,
}

impl Draft {
    pub fn new(from: IpAddr, to: IpAddr, protocol: u8, payload: Vec<u8>) -> Self {
        Self {
            tags: Vec::new(),
            from,
            to,
            hops: 64,
            options: Vec::new(),
            extensions: Vec::new(),
            piece: None,
            protocol,
            payload,
            trailing: Vec::new(),
            length_lie: 0,
        }
    }

    /// Makes it a piece of a larger packet, by the means of its family.
    pub fn fragment(&mut self, piece: Piece) {
        if self.to.is_ipv4() {
            self.piece = Some(piece);
        } else {
            let field = (piece.offset & 0xfff8) | u16::from(piece.more);
            let rest = [&[0][..], &field.to_be_bytes(), &piece.id.to_be_bytes()].concat();
            self.extensions.push((44, rest));
        }
    }

    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for (kind, id) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(id.to_be_bytes());
        }
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend([0x08, 0x00]);
                self.v4(&mut frame, from.octets(), to.octets());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.extend([0x86, 0xdd]);
                self.v6(&mut frame, from.octets(), to.octets());
            }
            // Two families in one packet: there is no such thing.
            _ => frame.extend([0x08, 0x00]),
        }
        frame.extend(&self.trailing);
        frame
    }

    fn length(&self, true_one: usize) -> [u8; 2] {
        let length = u16::try_from(true_one).unwrap_or(u16::MAX);
        length.wrapping_add_signed(self.length_lie).to_be_bytes()
    }

    fn v4(&self, frame: &mut Vec<u8>, from: [u8; 4], to: [u8; 4]) {
        let header = 20 + self.options.len();
        let words = u8::try_from(header / 4).unwrap_or(15) & 0x0f;
        let piece = self.piece.unwrap_or(Piece {
            id: 9,
            offset: 0,
            more: false,
        });
        let field = (piece.offset >> 3) | if piece.more { 0x2000 } else { 0 };
        let [_, _, id @ ..] = piece.id.to_be_bytes();
        frame.extend([0x40 | words, 0]);
        frame.extend(self.length(header + self.payload.len()));
        frame.extend(id);
        frame.extend(field.to_be_bytes());
        frame.extend([self.hops, self.protocol, 0, 0]);
        frame.extend(from);
        frame.extend(to);
        frame.extend(&self.options);
        frame.extend(&self.payload);
    }

    fn v6(&self, frame: &mut Vec<u8>, from: [u8; 16], to: [u8; 16]) {
        let mut behind = Vec::new();
        let numbers = self.extensions.iter().map(|(number, _)| *number);
        let mut next = numbers.chain([self.protocol]);
        let first = next.next().unwrap_or(self.protocol);
        for (_, rest) in &self.extensions {
            behind.extend(next.next());
            behind.extend(rest);
        }
        behind.extend(&self.payload);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(self.length(behind.len()));
        frame.extend([first, self.hops]);
        frame.extend(from);
        frame.extend(to);
        frame.extend(behind);
    }
}

/// A TCP header with these flags and what is behind it.
pub(super) fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    [&ports[..], &[0; 8], &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat()
}

/// A UDP header and eight bytes. SCTP and UDP-Lite begin alike.
pub(super) fn udp(from: u16, to: u16) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    [&ports[..], &[0, 16, 0, 0], &[0; 8]].concat()
}

/// An ICMP header of either family with an identifier.
pub(super) fn icmp(kind: u8, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![kind, 0, 0, 0, high, low, 0, 1]
}
