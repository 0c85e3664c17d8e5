//! Tricks that got packets past other filters, each sent over a real wire. A trick is played
//! twice where it can be: by a stranger, who must not get in, and with the outside of somebody
//! who holds a grant for another service, who must not get further than that.

use anyhow::Result;
use tests::{
    lane::{Fate, Lane},
    packet::{self, IPV4, IPV6, QINQ, TCP, UDP, V4, VLAN, tag, tcp, udp},
    rig::GATE_MAC,
};

/// Port of the service that friend holds a grant for.
const ECHO: u16 = 7;
const SSH: u16 = 22;

/// Each trick: what it does, the frame, and the one reason it must be counted under.
macro_rules! tricks {
    ($($(#[$meta:meta])* $name:ident($lane:ident) => $reason:literal { $($frame:tt)* })*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() -> Result<()> {
            let mut lane = Lane::open()?;
            let frames: Vec<Vec<u8>> = {
                let $lane = &lane;
                $($frame)*
            };
            for frame in frames {
                lane.expect(&frame, $reason, Fate::Vanishes)?;
            }
            Ok(())
        }
    )*};
}

/// A stranger's datagram to the echo service, to be wrapped in something.
fn strange_v4(lane: &Lane) -> Result<Vec<u8>> {
    V4::default().packet(lane.stranger.0, lane.server.0, UDP, &udp(9, ECHO, b"x")?)
}

fn tagged(outer: u16, packet: &[u8]) -> Vec<u8> {
    packet::frame(GATE_MAC, outer, packet)
}

/// An IPv6 extension header of eight bytes whose byte 2 and 3 are given.
fn extension(next: u8, b2: u8, b3: u8) -> Vec<u8> {
    vec![next, 0, b2, b3, 0, 0, 0, 0]
}

/// Hop-by-hop and destination options hold one option that pads the header out (RFC 8200 §4.2).
fn padding(next: u8) -> Vec<u8> {
    vec![next, 0, 1, 4, 0, 0, 0, 0]
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// IPv6 from a stranger to the echo service behind a chain that ends in UDP.
fn strange_v6(lane: &Lane, first: u8, chain: &[u8]) -> Result<Vec<u8>> {
    let payload = [chain, &udp(9, ECHO, b"x")?].concat();
    Ok(lane.v6(&packet::v6(
        lane.stranger.1,
        lane.server.1,
        first,
        &payload,
    )?))
}

#[test]
fn the_honest_way_in_is_a_grant() -> Result<()> {
    let mut lane = Lane::open()?;
    for (friend, stranger) in [
        (
            lane.honest(lane.friend.0, ECHO)?,
            lane.honest(lane.stranger.0, ECHO)?,
        ),
        (
            lane.honest(lane.friend.1, ECHO)?,
            lane.honest(lane.stranger.1, ECHO)?,
        ),
    ] {
        lane.expect(&friend, "Granted", Fate::Passes)?;
        lane.expect(&stranger, "NoGrant", Fate::Vanishes)?;
    }
    Ok(())
}

tricks! {
    /// A filter that looks for IPv4 right behind the Ethernet header sees none in a tagged frame.
    vlan_tag_hides_the_address(lane) => "NoGrant" {
        vec![tagged(VLAN, &tag(7, IPV4, &strange_v4(lane)?))]
    }
    /// One tag is looked behind, two are not.
    double_vlan_tag_hides_the_address(lane) => "NoGrant" {
        vec![tagged(VLAN, &tag(7, VLAN, &tag(8, IPV4, &strange_v4(lane)?)))]
    }
    /// The kernel takes a priority tag (VID 0) off and goes on as if it had never been there.
    priority_tag_hides_the_address(lane) => "NoGrant" {
        vec![tagged(VLAN, &tag(0, IPV4, &strange_v4(lane)?))]
    }
    /// The service tag has another EtherType than the customer tag.
    qinq_outer_tag_hides_the_address(lane) => "NoGrant" {
        let inner = tag(8, IPV4, &strange_v4(lane)?);
        vec![tagged(QINQ, &tag(7, VLAN, &inner)), tagged(QINQ, &tag(7, QINQ, &inner))]
    }
    /// More tags than anybody uses are not walked and not passed.
    a_third_tag_is_one_too_many(lane) => "EtherType" {
        let inner = tag(8, VLAN, &tag(9, IPV4, &strange_v4(lane)?));
        vec![tagged(VLAN, &tag(7, VLAN, &inner))]
    }
    /// Protocols that carry IP below another EtherType: MPLS, PPPoE, and one nobody registered.
    another_ether_type_carries_the_packet(lane) => "EtherType" {
        let packet = strange_v4(lane)?;
        [0x8847, 0x8864, 0x1234].map(|kind| tagged(kind, &packet)).to_vec()
    }
    /// IPv4 options move the ports; read at the fixed place, these name the port of the friend's
    /// own service, while the kernel delivers to ssh.
    ip_options_shift_the_ports(lane) => "NoGrant" {
        let options = V4 { options: vec![1, 1, 0, 7, 1, 1, 0, 7], ..V4::default() };
        let packet =
            options.packet(lane.friend.0, lane.server.0, TCP, &tcp(9, SSH, b""))?;
        vec![lane.v4(&packet)]
    }
    /// The packet shows an address that is open and names the protected one in an option.
    source_route_option_names_the_next_hop(lane) => "SourceRouted" {
        let gate = lane.rig.layout.gate_at.v4;
        let mut frames = Vec::new();
        for kind in [131, 137] {
            let mut options = vec![1, kind, 7, 4];
            options.extend(lane.server.0.octets());
            for to in [gate, lane.server.0] {
                let routed = V4 { options: options.clone(), ..V4::default() };
                let packet = routed.packet(lane.friend.0, to, UDP, &udp(9, ECHO, b"x")?)?;
                frames.push(lane.v4(&packet));
            }
        }
        frames
    }
    /// RFC 1858: so small a first fragment that the TCP flags or the ports are in the second.
    tiny_first_fragment_hides_its_flags(lane) => "FragmentUnknown" {
        let first = V4 { more_fragments: true, ..V4::default() };
        let tcp = tcp(9, ECHO, b"");
        let mut frames = Vec::new();
        for length in [0, 3, 8] {
            let part = tcp.get(..length).unwrap_or_default();
            frames.push(lane.v4(&first.packet(lane.friend.0, lane.server.0, TCP, part)?));
        }
        frames
    }
    /// RFC 3128: a second fragment that begins inside the first and overwrites its port.
    overlapping_fragment_overwrites_the_port(lane) => "FragmentUnknown" {
        let second = V4 { offset: 1, ..V4::default() };
        let packet =
            second.packet(lane.friend.0, lane.server.0, TCP, &tcp(9, ECHO, b""))?;
        vec![lane.v4(&packet)]
    }
    /// The same in IPv6, where the ports of a first fragment are behind its fragment header.
    tiny_first_fragment_in_ipv6(lane) => "FragmentUnknown" {
        let segment = tcp(9, ECHO, b"");
        let mut frames = Vec::new();
        for length in [0, 3, 8] {
            let part = segment.get(..length).unwrap_or_default();
            let payload = [&extension(TCP, 0, 1), part].concat();
            let packet = packet::v6(lane.friend.1, lane.server.1, FRAGMENT, &payload)?;
            frames.push(lane.v6(&packet));
        }
        frames
    }
    /// Where a first fragment has its ports, a later one has data, which anybody can choose.
    later_fragment_begins_with_a_forged_port(lane) => "FragmentUnknown" {
        let later = V4 { offset: 185, ..V4::default() };
        let forged = udp(9, ECHO, b"x")?;
        vec![
            lane.v4(&later.packet(lane.friend.0, lane.server.0, UDP, &forged)?),
            lane.v4(&later.packet(lane.stranger.0, lane.server.0, UDP, &forged)?),
        ]
    }
    /// Extension headers stand between the IPv6 header and the ports.
    options_headers_hide_the_ports(lane) => "NoGrant" {
        vec![
            strange_v6(lane, HOP_BY_HOP, &padding(UDP))?,
            strange_v6(lane, DESTINATION_OPTIONS, &padding(UDP))?,
            strange_v6(
                lane,
                HOP_BY_HOP,
                &[padding(DESTINATION_OPTIONS), padding(UDP)].concat(),
            )?,
        ]
    }
    /// A routing header with segments left says that the destination shown is not the last one.
    routing_header_names_the_next_hop(lane) => "SourceRouted" {
        let mut frames = Vec::new();
        for kind in [0, 2, 4] {
            let payload = [extension(UDP, kind, 1), udp(9, ECHO, b"x")?].concat();
            for to in [lane.server.1, lane.rig.layout.gate_at.v6] {
                let packet = packet::v6(lane.friend.1, to, ROUTING, &payload)?;
                frames.push(lane.v6(&packet));
            }
        }
        frames
    }
    /// One without segments left is only another header to walk.
    routing_header_at_its_end_is_walked(lane) => "NoGrant" {
        vec![strange_v6(lane, ROUTING, &extension(UDP, 0, 0))?]
    }
    /// The length of an authentication header counts in other units than all the others.
    authentication_header_is_measured_otherwise(lane) => "NoGrant" {
        let header = [vec![UDP, 4, 0, 0], vec![0; 20]].concat();
        vec![strange_v6(lane, AUTHENTICATION, &header)?]
    }
    /// A fragment header at the end of a chain still makes it a fragment.
    fragment_header_at_the_end_of_a_chain(lane) => "FragmentUnknown" {
        let later = extension(UDP, 0x05, 0xc8);
        let chain = [padding(DESTINATION_OPTIONS), padding(FRAGMENT), later].concat();
        let payload = [chain, udp(9, ECHO, b"x")?].concat();
        let packet = packet::v6(lane.friend.1, lane.server.1, HOP_BY_HOP, &payload)?;
        vec![lane.v6(&packet)]
    }
    /// A fragment header around a whole packet (RFC 6946) does not excuse it from the ports.
    atomic_fragment_is_a_whole_packet(lane) => "NoGrant" {
        vec![strange_v6(lane, FRAGMENT, &extension(UDP, 0, 0))?]
    }
    /// More headers than are walked, in the hope that a filter gives up and passes.
    seven_extension_headers_are_too_many(lane) => "TooDeep" {
        let mut chain = Vec::new();
        for _ in 0..6 {
            chain.extend(padding(DESTINATION_OPTIONS));
        }
        chain.extend(padding(UDP));
        vec![strange_v6(lane, DESTINATION_OPTIONS, &chain)?]
    }
    /// A header that claims to be longer than the packet.
    extension_header_runs_past_the_packet(lane) => "TooDeep" {
        let mut header = padding(UDP);
        header.splice(1..2, [200]);
        vec![strange_v6(lane, HOP_BY_HOP, &header)?]
    }
    /// RFC 7045: a number one does not know is not an extension header; walking it would read
    /// ports where an attacker wrote them.
    unknown_next_header_is_not_walked(lane) => "NoService" {
        let payload = [padding(UDP), udp(9, ECHO, b"x")?].concat();
        let packet = packet::v6(lane.friend.1, lane.server.1, 253, &payload)?;
        vec![lane.v6(&packet)]
    }
    /// A packet inside a packet: the outer one has no port, the inner one the friend's.
    tunnels_to_the_protected_address_have_no_service(lane) => "NoService" {
        let inner4 =
            V4::default().packet(lane.friend.0, lane.server.0, UDP, &udp(9, ECHO, b"x")?)?;
        let inner6 = packet::v6(lane.friend.1, lane.server.1, UDP, &udp(9, ECHO, b"x")?)?;
        let gre = [&[0, 0, 0x08, 0][..], &inner4].concat();
        let mut frames = Vec::new();
        let in_tunnels = [(4, &inner4), (41, &inner6), (47, &gre), (50, &gre)];
        for (protocol, inner) in in_tunnels {
            let packet = V4::default().packet(lane.friend.0, lane.server.0, protocol, inner)?;
            frames.push(lane.v4(&packet));
            frames.push(lane.v6(&packet::v6(lane.friend.1, lane.server.1, protocol, inner)?));
        }
        frames
    }
    /// In IPv4 an authentication header is a protocol like others, and what is in it no port.
    authentication_header_in_ipv4_has_no_service(lane) => "NoService" {
        let header = [vec![UDP, 4, 0, 0], vec![0; 20], udp(9, ECHO, b"x")?].concat();
        let packet =
            V4::default().packet(lane.friend.0, lane.server.0, AUTHENTICATION, &header)?;
        vec![lane.v4(&packet)]
    }
    /// Bytes behind the end of the packet are not part of it, whatever header they look like.
    trailing_bytes_hold_a_second_header(lane) => "Malformed" {
        let mut frames = Vec::new();
        for length in [20, 23] {
            let short = V4 { total_length: Some(length), ..V4::default() };
            let packet =
                short.packet(lane.friend.0, lane.server.0, UDP, &udp(9, ECHO, b"x")?)?;
            frames.push(lane.v4(&packet));
        }
        frames
    }
    /// Payload length 0 once meant a jumbogram; here it means that there are no ports.
    ipv6_payload_length_zero_has_no_ports(lane) => "Malformed" {
        let udp = udp(9, ECHO, b"x")?;
        let packet = packet::v6_with_length(lane.friend.1, lane.server.1, UDP, &udp, 0)?;
        vec![lane.v6(&packet)]
    }
    /// A packet that says it is longer than the frame that carries it.
    lengths_beyond_the_frame_are_malformed(lane) => "Malformed" {
        let udp = udp(9, ECHO, b"x")?;
        let long = V4 { total_length: Some(1400), ..V4::default() };
        vec![
            lane.v4(&long.packet(lane.friend.0, lane.server.0, UDP, &udp)?),
            lane.v6(&packet::v6_with_length(lane.friend.1, lane.server.1, UDP, &udp, 1400)?),
        ]
    }
    /// Version and EtherType that disagree, and a header shorter than a header is.
    contradicting_headers_are_malformed(lane) => "Malformed" {
        let udp = udp(9, ECHO, b"x")?;
        let four = V4::default().packet(lane.friend.0, lane.server.0, UDP, &udp)?;
        let six = packet::v6(lane.friend.1, lane.server.1, UDP, &udp)?;
        let short = V4 { header_words: Some(4), ..V4::default() };
        vec![
            lane.v6(&four),
            lane.v4(&six),
            lane.v4(&short.packet(lane.friend.0, lane.server.0, UDP, &udp)?),
        ]
    }
    /// Other protocols have ports, too, and theirs are other ports.
    udp_lite_and_sctp_are_not_udp(lane) => "NoService" {
        let mut frames = Vec::new();
        for protocol in [132, 136, 33] {
            let payload = udp(9, ECHO, b"x")?;
            let packet = V4::default().packet(lane.friend.0, lane.server.0, protocol, &payload)?;
            frames.push(lane.v4(&packet));
            let packet = packet::v6(lane.friend.1, lane.server.1, protocol, &payload)?;
            frames.push(lane.v6(&packet));
        }
        frames
    }
    /// An Ethernet header and nothing else.
    frame_of_fourteen_bytes(lane) => "Malformed" {
        vec![lane.v4(&[]), lane.v6(&[]), lane.v4(&[0x45])]
    }
    /// Addresses that no packet from outside may have, or that stand for the friend's elsewhere.
    impossible_sources_hold_no_grant(lane) => "NoGrant" {
        let mut frames = Vec::new();
        for source in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            let udp = udp(9, ECHO, b"x")?;
            let packet = V4::default().packet(source.parse()?, lane.server.0, UDP, &udp)?;
            frames.push(lane.v4(&packet));
        }
        let mapped = lane.friend.0.to_ipv6_mapped();
        for source in ["::".parse()?, "::1".parse()?, "ff02::1".parse()?, mapped] {
            let udp = udp(9, ECHO, b"x")?;
            frames.push(lane.v6(&packet::v6(source, lane.server.1, UDP, &udp)?));
        }
        frames
    }
    /// Many filters wave name service through, in either direction.
    name_service_ports_are_ports_like_others(lane) => "NoService" {
        let mut frames = Vec::new();
        for (from, to) in [(9, 53), (53, 9)] {
            let payload = udp(from, to, b"x")?;
            let packet = V4::default().packet(lane.friend.0, lane.server.0, UDP, &payload)?;
            frames.push(lane.v4(&packet));
        }
        frames
    }
    /// The portal's port is open at the portal and nowhere else.
    portal_port_on_a_protected_address(lane) => "NoService" {
        let payload = tcp(9, 8443, b"");
        vec![
            lane.v4(&V4::default().packet(lane.stranger.0, lane.server.0, TCP, &payload)?),
            lane.v6(&packet::v6(lane.stranger.1, lane.server.1, TCP, &payload)?),
        ]
    }
    /// The broadcast address of a protected network is protected.
    broadcast_into_the_protected_network(lane) => "NoService" {
        let udp = udp(9, ECHO, b"x")?;
        let to = "198.51.100.255".parse()?;
        vec![lane.v4(&V4::default().packet(lane.friend.0, to, UDP, &udp)?)]
    }
    /// "Everything that is not a SYN passes" is how others let replies in.
    packets_without_syn_are_judged_like_others(lane) => "NoGrant" {
        let mut frames = Vec::new();
        for flags in [0x10, 0x04, 0x11, 0x12, 0x00, 0xff] {
            let mut segment = tcp(9, ECHO, b"");
            segment.splice(13..14, [flags]);
            let packet =
                V4::default().packet(lane.stranger.0, lane.server.0, TCP, &segment)?;
            frames.push(lane.v4(&packet));
        }
        frames
    }
    /// ICMP has no port; it is a target of its own, which this server does not offer.
    icmp_is_a_target_of_its_own(lane) => "NoService" {
        let echo = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
        let packet = V4::default().packet(lane.friend.0, lane.server.0, 1, &echo)?;
        vec![lane.v4(&packet)]
    }
    /// Neighbour discovery from afar: a router lowers the hop limit, so only a neighbour's is 255.
    forged_neighbour_discovery(lane) => "NoService" {
        let solicitation = [135, 0, 0, 0, 0, 0, 0, 0];
        vec![lane.v6(&packet::v6(lane.friend.1, lane.server.1, 58, &solicitation)?)]
    }
}

/// A filter that goes by the destination MAC misses frames to everybody; the kernel takes them.
#[test]
fn broadcast_frame_carries_a_unicast_packet() -> Result<()> {
    let mut lane = Lane::open()?;
    let frame = packet::frame([0xff; 6], IPV4, &strange_v4(&lane)?);
    let before = lane.agent.count("NoGrant")?;
    lane.expect(&frame, "NoGrant", Fate::Vanishes)?;
    anyhow::ensure!(lane.agent.count("NoGrant")? == before + 1);
    Ok(())
}

/// Tags in front of IPv6 are looked behind as they are in front of IPv4.
#[test]
fn vlan_tag_in_front_of_ipv6() -> Result<()> {
    let mut lane = Lane::open()?;
    let packet = packet::v6(lane.stranger.1, lane.server.1, UDP, &udp(9, ECHO, b"x")?)?;
    lane.expect(
        &tagged(VLAN, &tag(7, IPV6, &packet)),
        "NoGrant",
        Fate::Vanishes,
    )
}

/// A tag does not lock a friend out: the same grant counts in a VLAN.
#[test]
fn a_tag_does_not_lock_a_friend_out() -> Result<()> {
    let mut lane = Lane::open()?;
    let payload = udp(9, ECHO, b"x")?;
    let packet = V4::default().packet(lane.friend.0, lane.server.0, UDP, &payload)?;
    lane.expect(
        &tagged(VLAN, &tag(7, IPV4, &packet)),
        "Granted",
        Fate::Passes,
    )
}

/// Spanning tree frames have a length where others have a type. They pass, and so would IP in
/// them, which the kernel gives to nobody.
#[test]
fn layer_two_control_passes() -> Result<()> {
    let mut lane = Lane::open()?;
    let arp = packet::frame(GATE_MAC, 0x0806, &[0; 28]);
    let length = packet::frame(GATE_MAC, 38, &[0x42; 38]);
    lane.expect(&arp, "Control", Fate::Passes)?;
    lane.expect(&length, "Control", Fate::Passes)
}

/// What goes to an address that is not protected is none of the filter's business.
#[test]
fn an_unprotected_destination_is_left_alone() -> Result<()> {
    let mut lane = Lane::open()?;
    for to in ["203.0.113.5", "224.0.0.1", "255.255.255.255"] {
        let payload = udp(9, ECHO, b"x")?;
        let packet = V4::default().packet(lane.stranger.0, to.parse()?, UDP, &payload)?;
        lane.expect(&lane.v4(&packet), "NotProtected", Fate::Passes)?;
    }
    Ok(())
}
