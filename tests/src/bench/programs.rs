//! The helper programs of the bench: one that only drops, the plain-hash filter a good programmer
//! writes in an afternoon, and the sender of floods. Ours is never among them.

use anyhow::Result;
use nix::net::if_::if_nametoindex;
use xtask::net::Namespace;

use super::{
    asm::{Asm, Helper, If, Op, R, Size},
    sys::{Attached, Program, Table},
};

/// Answers of an XDP program (include/uapi/linux/bpf.h).
pub(super) const DROP: u32 = 1;
pub(super) const PASS: u32 = 2;

/// Where the fields of an untagged IPv4 frame begin.
const ETHER_TYPE: i16 = 12;
const CHECKSUM: i16 = 24;
const SOURCE: i16 = 26;
const HEADERS: u8 = 34;
/// 0x0800 as a little-endian machine loads it.
const IPV4_LOADED: i32 = 0x0008;

/// Drops at once: what the kernel's own share of every figure is, and the most any filter can do.
pub(super) fn bare_drop() -> Result<Program> {
    answer(DROP)
}

/// Passes at once: what having any program on the interface costs.
pub(super) fn bare_pass() -> Result<Program> {
    answer(PASS)
}

/// A program on an interface that passes everything, for as long as this lives. The end of a
/// virtual link that has one also takes what the other end's program sends back
/// (`veth_xdp_flush` in drivers/net/veth.c).
pub struct Passing {
    _attached: Attached,
}

impl Passing {
    pub fn on(namespace: &Namespace, interface: &str) -> Result<Self> {
        let attached = namespace
            .inside(|| -> Result<Attached> { bare_pass()?.attach(if_nametoindex(interface)?) })??;
        Ok(Self {
            _attached: attached,
        })
    }
}

fn answer(what: u32) -> Result<Program> {
    let code = Asm::default()
        .number(Op::Mov, R::R0, what.cast_signed())
        .exit();
    Program::load(&code.finish()?)
}

/// Loads the frame's bounds and goes to `short` unless both headers are there; leaves the frame's
/// start in R6. R1 is the context.
fn headers(code: Asm, short: &'static str) -> Asm {
    code.load(Size::B4, R::R6, R::R1, 0)
        .load(Size::B4, R::R2, R::R1, 4)
        .register(Op::Mov, R::R3, R::R6)
        .number(Op::Add, R::R3, HEADERS.into())
        .jump(If::Above, R::R3, R::R2, short)
}

/// Reads the source and drops: what any filter pays for a packet that another core wrote.
pub(super) fn only_reads() -> Result<Program> {
    let code = headers(Asm::default(), "drop")
        .load(Size::B4, R::R1, R::R6, SOURCE)
        // Used, so that the load is waited for as every filter must.
        .jump_number(If::Equal, R::R1, 0, "pass")
        .label("drop")
        .number(Op::Mov, R::R0, DROP.cast_signed())
        .exit()
        .label("pass")
        .number(Op::Mov, R::R0, PASS.cast_signed())
        .exit();
    Program::load(&code.finish()?)
}

/// IPv4 only, no tags, no ports, one preallocated hash from the source to a deadline on the
/// precise clock: the least that could be called a filter with deadlines.
pub(super) fn plain_hash(table: &Table) -> Result<Program> {
    let code = headers(Asm::default(), "pass")
        .load(Size::B2, R::R1, R::R6, ETHER_TYPE)
        .jump_number(If::NotEqual, R::R1, IPV4_LOADED, "pass")
        .load(Size::B4, R::R1, R::R6, SOURCE)
        .store(Size::B4, R::R10, -4, R::R1)
        .map(R::R1, table.raw())
        .register(Op::Mov, R::R2, R::R10)
        .number(Op::Add, R::R2, -4)
        .call(Helper::MapLookup)
        .jump_number(If::Equal, R::R0, 0, "drop")
        .load(Size::B8, R::R6, R::R0, 0)
        .call(Helper::KtimeNs)
        .jump(If::NotBelow, R::R0, R::R6, "drop")
        .label("pass")
        .number(Op::Mov, R::R0, PASS.cast_signed())
        .exit()
        .label("drop")
        .number(Op::Mov, R::R0, DROP.cast_signed())
        .exit();
    Program::load(&code.finish()?)
}

/// Which sources a flood comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sources {
    /// The frame's own
    One,
    /// The same, all headers written anew: frames are used again, and a kernel that forwarded one
    /// has changed its addresses and its time to live
    OneAnew,
    /// Every frame another one, uniformly over all 2³²
    Random,
}

/// Sends every frame out of an interface. `frame` is the one it will be run on: with random
/// sources its checksum is computed anew, or the peers behind the kernel's IPv4 receive code
/// would never see it. Before each it waits for `turns` of an empty loop.
pub(super) fn sender(
    interface: u32,
    sources: Sources,
    turns: u32,
    frame: &[u8],
) -> Result<Program> {
    let mut code = Asm::default();
    if sources == Sources::OneAnew {
        code = headers_anew(headers(code, "short"), frame);
    }
    if sources == Sources::Random {
        code = headers(code, "short")
            .call(Helper::Random)
            .store(Size::B4, R::R6, SOURCE, R::R0)
            .register(Op::Mov, R::R1, R::R0)
            .number(Op::And, R::R1, 0xffff)
            .number(Op::Right, R::R0, 16)
            .number(Op::And, R::R0, 0xffff)
            .register(Op::Add, R::R1, R::R0)
            .number(Op::Add, R::R1, rest_of_sum(frame));
        for _ in 0..2 {
            code = code
                .register(Op::Mov, R::R2, R::R1)
                .number(Op::Right, R::R2, 16)
                .number(Op::And, R::R1, 0xffff)
                .register(Op::Add, R::R1, R::R2);
        }
        code = code
            .number(Op::Xor, R::R1, 0xffff)
            .store(Size::B2, R::R6, CHECKSUM, R::R1);
    }
    if turns > 0 {
        code = code
            .number(Op::Mov, R::R7, turns.cast_signed())
            .label("wait")
            .number(Op::Add, R::R7, -1)
            .jump_number(If::NotEqual, R::R7, 0, "wait");
    }
    let code = code
        .number(Op::Mov, R::R1, interface.cast_signed())
        .number(Op::Mov, R::R2, 0)
        .call(Helper::Redirect)
        .exit()
        .label("short")
        .number(Op::Mov, R::R0, DROP.cast_signed())
        .exit();
    let code = code.finish()?;
    // Without rewriting nothing jumps to the last two instructions, and the verifier refuses what
    // cannot be reached.
    let reached = if sources == Sources::One {
        code.len() - 2
    } else {
        code.len()
    };
    Program::load(code.get(..reached).unwrap_or_default())
}

/// Writes link and IPv4 header of the frame at R6.
fn headers_anew(mut code: Asm, frame: &[u8]) -> Asm {
    let headers = frame.get(..HEADERS.into()).unwrap_or_default();
    let mut offset = 0;
    for pair in headers.chunks_exact(2) {
        if let [low, high] = pair {
            let word = i32::from(u16::from_ne_bytes([*low, *high]));
            code = code
                .number(Op::Mov, R::R1, word)
                .store(Size::B2, R::R6, offset, R::R1);
        }
        offset += 2;
    }
    code
}

/// The sum of all 16-bit words of the IPv4 header but checksum and source, as this machine loads
/// them (RFC 1071: byte order does not matter as long as it is one).
fn rest_of_sum(frame: &[u8]) -> i32 {
    let header = frame.get(14..34).unwrap_or_default();
    header
        .chunks_exact(2)
        .enumerate()
        .filter(|(word, _)| !matches!(word, 5..=7))
        .map(|(_, pair)| match pair {
            [low, high] => i32::from(u16::from_ne_bytes([*low, *high])),
            _ => 0,
        })
        .sum()
}
