//! The same packets by every way in and behind every kind of tag: what holds a grant passes, what
//! holds none does not. The frames are made by hand and go to everybody on the link.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

use super::Stage;
use crate::{
    command,
    lab::{
        config,
        layout::{ETH, OUTER, SECOND},
        picture,
    },
};

/// None, one, the outer one of another kind, and one that names no network.
const TAGS: [&[u8]; 4] = [
    &[],
    &[0x81, 0, 0, 7],
    &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8],
    &[0x81, 0, 0, 0],
];
/// What a datagram to the echo service is counted under, and a connection to ssh.
const REASONS: [&str; 2] = ["Granted", "NoGrant"];
const UDP: u8 = 17;
const TCP: u8 = 6;

/// Sends frames, given as hexadecimal numbers, out of the interface named first.
const SEND: &str = "import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    link.send(bytes.fromhex(frame))";

/// An IPv4 packet to a port in a frame to everybody, in hexadecimal.
fn frame(tags: &[u8], protocol: u8, from: Ipv4Addr, to: Ipv4Addr, port: u16) -> String {
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend(from.octets().into_iter().chain(to.octets()));
    // A bridge on the way drops a header with a wrong sum (`br_validate_ipv4`).
    let sum = checksum(&packet).to_be_bytes();
    packet.splice(10..12, sum);
    packet.extend([0x9c, 0x40]);
    packet.extend(port.to_be_bytes());
    // The rest of a TCP header that opens a connection, or of a datagram of 20 bytes.
    packet.extend(match protocol {
        TCP => [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0],
        _ => [0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    });
    let addresses = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1];
    let frame = [&addresses, tags, &[8, 0], &packet].concat();
    data_encoding::HEXLOWER.encode(&frame)
}

/// The Internet checksum (RFC 1071) of a header of whole words.
fn checksum(header: &[u8]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let sum = words.iter().fold(0, |sum: u32, word| {
        let sum = sum + u32::from(u16::from_be_bytes(*word));
        (sum & 0xffff) + (sum >> 16)
    });
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

pub(super) fn all_judged_alike(stage: &mut Stage<'_>) -> Result<String> {
    let status = stage.sekisho(&["status"])?;
    for interface in [OUTER, SECOND.0] {
        ensure!(
            status.contains(&format!("{interface} (native, program ")),
            "the filter is not on {interface}:\n{status}"
        );
    }
    let addresses = &stage.lab.addresses;
    let (from, to) = (addresses.client_v4.parse()?, addresses.server_v4.parse()?);
    let mut sent = 0;
    for interface in [ETH, SECOND.1] {
        for tags in TAGS {
            let before = REASONS.map(|reason| picture::packets(stage.lab, reason));
            let mut python = stage.client.command("python3");
            python.args(["-c", SEND, interface]);
            python.arg(frame(tags, UDP, from, to, config::ECHO));
            python.arg(frame(tags, TCP, from, to, config::SSH));
            command::output(&mut python)?;
            for (reason, before) in REASONS.into_iter().zip(before) {
                ensure!(
                    picture::packets(stage.lab, reason)? > before?,
                    "{reason} was not counted: by {interface}, tags {tags:02x?}"
                );
                sent += 1;
            }
        }
    }
    Ok(format!(
        "{sent} packets by {OUTER} and {}, untagged, 802.1Q, 802.1ad and priority: \
         echo passes, ssh does not",
        SECOND.0
    ))
}
