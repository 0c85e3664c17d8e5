//! Saying no instead of nothing, where a service wants it: a TCP reset (RFC 9293 §3.10.7.1), or
//! "administratively prohibited" (RFC 1812 §5.2.7.1, RFC 4443 §3.1), sent back from the driver.
//!
//! Only to plain packets: options, extension headers and fragments get silence, and so does
//! whatever cannot be an honest client's address. A budget bounds what a forged source can make
//! the filter send to somebody else.

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_action,
    helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len},
    programs::XdpContext,
};
use filter_abi::Target;

use crate::policy::{Kernel, Mode};
use filter_core::Policy as _;

/// Answers of one CPU in a second (2^30 ns).
const BUDGET: u64 = 1_000;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Hop-by-hop options, routing, fragment, authentication, destination options.
const EXTENSIONS: [u8; 5] = [0, 43, 44, 51, 60];
const HOPS: u8 = 64;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const V4_WORDS: usize = 5;
const V6_WORDS: usize = 10;
/// What an ICMP error quotes: the header and the first 8 bytes behind it.
const QUOTED: usize = 2;
/// Those bytes.
const SHOWN: u32 = 4 * QUOTED as u32;

/// Whether a packet that was dropped for want of a grant is answered now.
#[inline(always)]
pub(crate) fn is_due<M: Mode>(kernel: &Kernel<M>, target: Target) -> bool {
    if !target.has(Target::ANSWERS) || !kernel.mode.keeps() {
        return false;
    }
    let second = kernel.now_ns() >> 30;
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned, alive and used by nobody else.
    let cpu = unsafe { &mut *kernel.cpu };
    if cpu.answer_second != second {
        cpu.answer_second = second;
        cpu.answers = 0;
    }
    cpu.answers += 1;
    cpu.answers <= BUDGET
}

/// Turns the packet into its answer; what the program returns.
#[inline(never)]
pub(crate) fn answer(context: &XdpContext, flags: u32) -> u32 {
    match write(context, flags & Target::ANSWER_RESET != 0) {
        Some(()) => xdp_action::XDP_TX,
        None => xdp_action::XDP_DROP,
    }
}

/// None: this packet gets no answer.
#[inline(always)]
fn write(context: &XdpContext, reset: bool) -> Option<()> {
    match place(context)? {
        (14, IPV4) => v4::<14>(context, reset),
        (18, IPV4) => v4::<18>(context, reset),
        (22, IPV4) => v4::<22>(context, reset),
        (14, IPV6) => v6::<14>(context, reset),
        (18, IPV6) => v6::<18>(context, reset),
        (22, IPV6) => v6::<22>(context, reset),
        _ => None,
    }
}

/// Where the network header starts, and which it is.
#[inline(always)]
fn place(context: &XdpContext) -> Option<(usize, u16)> {
    let mut at = 14;
    for _ in 0..2 {
        match u16::from_be(read::<u16>(context, at - 2)?) {
            VLAN | QINQ => at += 4,
            kind => return Some((at, kind)),
        }
    }
    Some((at, u16::from_be(read::<u16>(context, at - 2)?)))
}

/// Where a value stands in the frame as it is now: lengths change, so each use checks anew.
/// SAFETY of every access: the bytes lie inside the frame by the check here, which the kernel's
/// verifier proves again; every `T` is integers. For alignment see `Frame::value`.
#[inline(always)]
fn at<T>(context: &XdpContext, at: usize) -> Option<*mut T> {
    let start = context.data() + at;
    (start + size_of::<T>() <= context.data_end()).then_some(start as *mut T)
}

#[inline(always)]
fn read<T: Copy>(context: &XdpContext, place: usize) -> Option<T> {
    let from = at::<T>(context, place)?;
    // SAFETY: see `at`.
    Some(unsafe { *from })
}

#[inline(always)]
fn put<T: Copy>(context: &XdpContext, place: usize, value: T) -> Option<()> {
    let to = at::<T>(context, place)?;
    // SAFETY: see `at`.
    unsafe { *to = value };
    Some(())
}

/// The frame gets this many bytes more in front, and ends after `length` of them in all.
#[inline(always)]
fn resize(context: &XdpContext, front: i32, length: usize) -> Option<()> {
    let raw = context.as_ptr().cast();
    // SAFETY: the helper takes the program's context; pointers into the frame are made anew after.
    if front != 0 && unsafe { bpf_xdp_adjust_head(raw, -front) } != 0 {
        return None;
    }
    // SAFETY: the helper only reads the context. A jumbo frame goes on behind `data_end`.
    let now = unsafe { bpf_xdp_get_buff_len(raw) };
    let more = i32::try_from(length).ok()? - i32::try_from(now).ok()?;
    // SAFETY: as above.
    if more != 0 && unsafe { bpf_xdp_adjust_tail(raw, more) } != 0 {
        return None;
    }
    Some(())
}

/// Everything in front of the network header, as six words and the rest.
type Link = [u16; 11];

/// The link header, turned round. None: it was not sent to one machine.
#[inline(always)]
fn link<const AT: usize>(context: &XdpContext) -> Option<Link> {
    let mut link = [0; 11];
    let [d0, d1, d2, s0, s1, s2, kind]: [u16; 7] = read(context, 0)?;
    // The lowest bit of the first byte marks a group (IEEE 802 §8.2).
    if d0.to_ne_bytes()[0] & 1 != 0 {
        return None;
    }
    link[..7].copy_from_slice(&[s0, s1, s2, d0, d1, d2, kind]);
    if AT >= 18 {
        let tag: [u16; 2] = read(context, 14)?;
        link[7..9].copy_from_slice(&tag);
    }
    if AT == 22 {
        let tag: [u16; 2] = read(context, 18)?;
        link[9..11].copy_from_slice(&tag);
    }
    Some(link)
}

#[inline(always)]
fn write_link<const AT: usize>(context: &XdpContext, link: &Link) -> Option<()> {
    for (index, word) in link.iter().enumerate() {
        if index * 2 < AT {
            put(context, index * 2, *word)?;
        }
    }
    Some(())
}

/// One's complement sum of words in memory order (RFC 1071: it does not depend on the order of
/// bytes, and words of 32 bits may be summed and folded).
#[inline(always)]
fn sum(words: &[u32]) -> u64 {
    let mut sum = 0;
    for word in words {
        sum += *word as u64;
    }
    sum
}

#[inline(always)]
fn folded(mut sum: u64) -> u16 {
    sum = (sum >> 32) + (sum & 0xffff_ffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    !(sum as u16)
}

/// A word of memory.
#[inline(always)]
const fn word(a: u8, b: u8, c: u8, d: u8) -> u32 {
    u32::from_ne_bytes([a, b, c, d])
}

/// A word whose second half is a checksum in memory order.
#[inline(always)]
const fn word_with(a: u8, b: u8, checksum: u16) -> u32 {
    let [c, d] = checksum.to_ne_bytes();
    word(a, b, c, d)
}

/// The TCP header of a reset: five words, the checksum still missing. None: no answer to a reset.
#[inline(always)]
fn reset_of(tcp: &[u32; 5], length: u32) -> Option<[u32; 5]> {
    let [ports, sequence, acknowledged, control, _] = *tcp;
    let [offset, flags, ..] = control.to_ne_bytes();
    if flags & RST != 0 {
        return None;
    }
    let header = u32::from(offset >> 4) * 4;
    // No header is shorter, and who reads one that is discards it in silence.
    if header < 20 {
        return None;
    }
    let mut behind = length.checked_sub(header)?;
    behind += u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let ports = ports.rotate_left(16);
    if flags & ACK != 0 {
        return Some([ports, acknowledged, 0, word(0x50, RST, 0, 0), 0]);
    }
    let next = u32::from_be(sequence).wrapping_add(behind).to_be();
    Some([ports, 0, next, word(0x50, RST | ACK, 0, 0), 0])
}

#[inline(always)]
fn v4<const AT: usize>(context: &XdpContext, reset: bool) -> Option<()> {
    let ip: [u32; V4_WORDS] = read(context, AT)?;
    let [first, pieces, living, source, destination] = ip;
    let [version, _, l0, l1] = first.to_ne_bytes();
    let [_, _, f0, f1] = pieces.to_ne_bytes();
    let [_, protocol, ..] = living.to_ne_bytes();
    let [s0, ..] = source.to_ne_bytes();
    let in_pieces = u16::from_be_bytes([f0, f1]) & 0x3fff != 0;
    // Nobody's, loopback, multicast and beyond (RFC 6890).
    if version != 0x45 || in_pieces || s0 == 0 || s0 == 127 || s0 >= 224 {
        return None;
    }
    let length = u32::from(u16::from_be_bytes([l0, l1])).checked_sub(20)?;
    let link = link::<AT>(context)?;
    let head = |bytes: u8, protocol: u8| {
        let mut ip = [
            word(0x45, 0, 0, bytes),
            word(0, 0, 0x40, 0),
            word(HOPS, protocol, 0, 0),
            destination,
            source,
        ];
        ip[2] = word_with(HOPS, protocol, folded(sum(&ip)));
        ip
    };
    if reset && protocol == TCP {
        let tcp: [u32; 5] = read(context, AT + 20)?;
        let mut tcp = reset_of(&tcp, length)?;
        let pseudo = sum(&[source, destination, word(0, TCP, 0, 20)]);
        tcp[4] = in_front(folded(pseudo + sum(&tcp)));
        resize(context, 0, AT + 40)?;
        write_link::<AT>(context, &link)?;
        put(context, AT, head(40, TCP))?;
        put(context, AT + 20, tcp)?;
        return Some(());
    }
    // What is quoted has to be the packet's own.
    length.checked_sub(SHOWN)?;
    // No error about an error (RFC 1122 §3.2.2).
    let quoted: [u32; V4_WORDS + QUOTED] = read(context, AT)?;
    if protocol == ICMP && quoted[V4_WORDS].to_ne_bytes()[0] != 8 {
        return None;
    }
    // Destination unreachable, communication administratively prohibited.
    let icmp = word_with(3, 13, folded(sum(&quoted) + u64::from(word(3, 13, 0, 0))));
    resize(context, 28, AT + 56)?;
    write_link::<AT>(context, &link)?;
    put(context, AT, head(56, ICMP))?;
    put(context, AT + 20, [icmp, 0])?;
    Some(())
}

/// A checksum in the first half of a word.
#[inline(always)]
const fn in_front(checksum: u16) -> u32 {
    let [a, b] = checksum.to_ne_bytes();
    word(a, b, 0, 0)
}

#[inline(always)]
fn v6<const AT: usize>(context: &XdpContext, reset: bool) -> Option<()> {
    let ip: [u32; V6_WORDS] = read(context, AT)?;
    let [first, second, s0, s1, s2, s3, d0, d1, d2, d3] = ip;
    let [version, ..] = first.to_ne_bytes();
    let [l0, l1, protocol, _] = second.to_ne_bytes();
    let [start, ..] = s0.to_ne_bytes();
    // Nobody's, loopback, multicast (RFC 4291 §2.5).
    if version >> 4 != 6 || start == 0xff || s0 | s1 | s2 == 0 {
        return None;
    }
    // What stands behind them may be an error, or TCP in pieces.
    if EXTENSIONS.contains(&protocol) {
        return None;
    }
    let length = u32::from(u16::from_be_bytes([l0, l1]));
    let link = link::<AT>(context)?;
    let head = |bytes: u8, protocol: u8| {
        [
            word(0x60, 0, 0, 0),
            word(0, bytes, protocol, HOPS),
            d0,
            d1,
            d2,
            d3,
            s0,
            s1,
            s2,
            s3,
        ]
    };
    let addresses = sum(&[s0, s1, s2, s3, d0, d1, d2, d3]);
    if reset && protocol == TCP {
        let tcp: [u32; 5] = read(context, AT + 40)?;
        let mut tcp = reset_of(&tcp, length)?;
        let pseudo = addresses + sum(&[word(0, 0, 0, 20), word(0, 0, 0, TCP)]);
        tcp[4] = in_front(folded(pseudo + sum(&tcp)));
        resize(context, 0, AT + 60)?;
        write_link::<AT>(context, &link)?;
        put(context, AT, head(20, TCP))?;
        put(context, AT + 40, tcp)?;
        return Some(());
    }
    length.checked_sub(SHOWN)?;
    let quoted: [u32; V6_WORDS + QUOTED] = read(context, AT)?;
    // No error about an error, nor about discovery (RFC 4443 §2.4).
    if protocol == ICMPV6 && quoted[V6_WORDS].to_ne_bytes()[0] != 128 {
        return None;
    }
    // Destination unreachable, communication administratively prohibited.
    let pseudo = addresses + sum(&[word(0, 0, 0, 56), word(0, 0, 0, ICMPV6)]);
    let icmp = word_with(
        1,
        1,
        folded(pseudo + sum(&quoted) + u64::from(word(1, 1, 0, 0))),
    );
    resize(context, 48, AT + 96)?;
    write_link::<AT>(context, &link)?;
    put(context, AT, head(56, ICMPV6))?;
    put(context, AT + 40, [icmp, 0])?;
    Some(())
}
