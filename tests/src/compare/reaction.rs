//! Whether what came out of the filter is what a packet deserves: itself, nothing, or an answer
//! whose every byte is right. Answers are read by a library that knows nothing of either side.

use anyhow::{Context as _, Result, ensure};
use etherparse::{
    Icmpv4Type, Icmpv6Type, NetSlice, SlicedPacket, TcpSlice, TransportSlice,
    icmpv4::DestUnreachableHeader, icmpv6::DestUnreachableCode,
};

use super::Reaction;
use crate::oracle::{Contents, Link, Reply, Upper, read};

/// Addresses of the Ethernet header, and its type.
const LINK: usize = 14;
const TAG: usize = 4;
/// RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c): longest packets with an error.
const LONGEST: (usize, usize) = (576, 1_280);
/// RFC 792: of what is behind the IP header, an error shows so much at least.
const SHOWN: usize = 8;
/// Bytes of a wrong answer in a message.
const SHOWN_OF_ANSWER: usize = 128;

/// An error says what is wrong.
pub(super) fn check(
    frame: &[u8],
    passes: bool,
    expected: Option<Reply>,
    reaction: &Reaction,
) -> Result<()> {
    match (reaction, expected) {
        (Reaction::Passed(bytes), _) => {
            ensure!(passes && bytes == frame, "it came out changed");
        }
        (Reaction::Dropped, None) => ensure!(!passes, "nothing came out"),
        (Reaction::Answered(answer), Some(reply)) => {
            check_answer(frame, reply, answer).with_context(|| {
                let start = answer.get(..SHOWN_OF_ANSWER).unwrap_or(answer);
                format!("{} bytes that begin {start:02x?}", answer.len())
            })?;
        }
        (Reaction::Dropped, Some(reply)) => anyhow::bail!("silence instead of {reply:?}"),
        (Reaction::Answered(bytes), None) => {
            anyhow::bail!("an answer of {} bytes for nothing", bytes.len())
        }
    }
    Ok(())
}

fn check_answer(frame: &[u8], reply: Reply, answer: &[u8]) -> Result<()> {
    let Link::Packet(packet) = read(frame, &[]) else {
        anyhow::bail!("an answer to what is no packet");
    };
    let Contents::Upper(upper) = &packet.contents else {
        anyhow::bail!("an answer to a piece");
    };
    let network = network_at(frame);
    let swapped = [frame.get(6..12), frame.get(..6), frame.get(12..network)]
        .map(Option::unwrap_or_default)
        .concat();
    ensure!(
        answer.get(..network) == Some(&swapped),
        "the link header is not the other's turned round"
    );
    let read = SlicedPacket::from_ethernet(answer)?;
    let (from, to) = addresses(read.net.as_ref())?;
    ensure!(
        (from, to) == (packet.destination, packet.source),
        "from {from} to {to}"
    );
    let whole = answer.get(network..).unwrap_or_default();
    let original = frame.get(network..).unwrap_or_default();
    let longest = match &read.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header().to_header();
            ensure!(header.header_checksum == header.calc_header_checksum());
            ensure!(usize::from(header.total_len) == whole.len(), "its length");
            ensure!(!header.is_fragmenting_payload() && header.time_to_live >= 64);
            LONGEST.0
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header().to_header();
            ensure!(
                usize::from(header.payload_length) + 40 == whole.len(),
                "its length"
            );
            ensure!(header.hop_limit >= 64);
            LONGEST.1
        }
        _ => anyhow::bail!("no IP"),
    };
    ensure!(whole.len() <= longest, "{} bytes are too many", whole.len());
    match (&read.transport, reply) {
        (Some(TransportSlice::Tcp(tcp)), Reply::Reset) => check_reset(upper, tcp, &read),
        (Some(TransportSlice::Icmpv4(icmp)), Reply::Prohibited) => {
            let kind = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FilterProhibited);
            ensure!(icmp.icmp_type() == kind, "{:?}", icmp.icmp_type());
            let header = icmp.header();
            let sum = header.icmp_type.calc_checksum(icmp.payload());
            ensure!(header.checksum == sum, "the checksum is not {sum:04x}");
            check_quote(original, upper, icmp.payload())
        }
        (Some(TransportSlice::Icmpv6(icmp)), Reply::Prohibited) => {
            let kind = Icmpv6Type::DestinationUnreachable(DestUnreachableCode::Prohibited);
            ensure!(icmp.icmp_type() == kind, "{:?}", icmp.icmp_type());
            let Some(NetSlice::Ipv6(ip)) = &read.net else {
                anyhow::bail!("ICMPv6 outside IPv6");
            };
            let (source, destination) = (ip.header().source(), ip.header().destination());
            ensure!(
                icmp.is_checksum_valid(source, destination),
                "the checksum is wrong"
            );
            check_quote(original, upper, icmp.payload())
        }
        (other, _) => anyhow::bail!("{reply:?} is {other:?}"),
    }
}

/// RFC 9293 section 3.10.7.1: the reset of a segment with ACK takes its sequence number from
/// there; otherwise it has none and acknowledges all that the segment takes up.
fn check_reset(upper: &Upper, tcp: &TcpSlice, read: &SlicedPacket) -> Result<()> {
    let (source, destination) = upper.ports().context("no ports")?;
    let swapped = (tcp.destination_port(), tcp.source_port()) == (source, destination);
    ensure!(swapped, "the ports are not turned round");
    let flags = upper.flags().context("no flags")?;
    let number = |at: usize| -> Result<u32> {
        let bytes = upper.bytes.get(at..at + 4).context("short")?;
        Ok(u32::from_be_bytes(bytes.try_into()?))
    };
    ensure!(tcp.rst() && !tcp.syn() && !tcp.fin());
    if flags.ack {
        ensure!(!tcp.ack() && tcp.sequence_number() == number(8)?);
    } else {
        let offset = usize::from(upper.bytes.get(12).context("short")? >> 4) * 4;
        let data = upper.bytes.len().saturating_sub(offset);
        let length = u32::try_from(data)? + u32::from(flags.syn) + u32::from(flags.fin);
        let due = number(4)?.wrapping_add(length);
        ensure!(
            tcp.ack() && tcp.sequence_number() == 0,
            "neither sequence nor ACK"
        );
        ensure!(
            tcp.acknowledgment_number() == due,
            "acknowledges {}, not {due}",
            tcp.acknowledgment_number()
        );
    }
    ensure!(tcp.payload().is_empty(), "a reset with data");
    let sum = match &read.net {
        Some(NetSlice::Ipv4(ip)) => {
            tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination())?
        }
        Some(NetSlice::Ipv6(ip)) => {
            tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination())?
        }
        _ => anyhow::bail!("no IP"),
    };
    ensure!(tcp.checksum() == sum, "the checksum is not {sum:04x}");
    Ok(())
}

/// An error shows the packet it is about from its IP header on, and enough to know it by.
fn check_quote(original: &[u8], upper: &Upper, quote: &[u8]) -> Result<()> {
    ensure!(original.starts_with(quote), "it quotes another packet");
    let whole = upper.bytes.as_ptr().addr() - original.as_ptr().addr();
    let least = whole + upper.bytes.len().min(SHOWN);
    ensure!(quote.len() >= least, "{} bytes are quoted", quote.len());
    Ok(())
}

fn addresses(net: Option<&NetSlice>) -> Result<(std::net::IpAddr, std::net::IpAddr)> {
    Ok(match net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        _ => anyhow::bail!("no IP"),
    })
}

/// Where the packet begins, behind at most two tags.
fn network_at(frame: &[u8]) -> usize {
    let is_tag = |at: usize| matches!(frame.get(at..at + 2), Some([0x81, 0x00] | [0x88, 0xa8]));
    let tags = (0..2).take_while(|tag| is_tag(12 + tag * TAG)).count();
    LINK + tags * TAG
}
