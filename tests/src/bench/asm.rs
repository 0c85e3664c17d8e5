//! A tiny assembler for kernel programs: as many instructions as the helper programs of the bench
//! need. Jumps go to labels. Knows nothing of what the programs are for.

use std::collections::HashMap;

use anyhow::{Context as _, Result};

/// Registers: `R0` answers, `R1` to `R5` are arguments and lost at calls, `R10` is the stack's end.
#[derive(Clone, Copy, Debug)]
pub(super) enum R {
    R0 = 0,
    R1,
    R2,
    R3,
    R6 = 6,
    R7,
    R10 = 10,
}

/// Sizes of loads and stores: the bits in their opcode (Documentation/bpf/standardization).
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    B4 = 0x00,
    B2 = 0x08,
    B8 = 0x18,
}

/// Helpers of the kernel, by number (include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug)]
pub(super) enum Helper {
    MapLookup = 1,
    KtimeNs = 5,
    Random = 7,
    VlanPush = 18,
    VlanPop = 19,
    Redirect = 23,
}

/// Arithmetic on 64 bits: the high bits of the opcode.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Add = 0x00,
    And = 0x50,
    Right = 0x70,
    Xor = 0xa0,
    Mov = 0xb0,
}

/// Conditions of unsigned jumps: the high bits of the opcode.
#[derive(Clone, Copy, Debug)]
pub(super) enum If {
    Equal = 0x10,
    Above = 0x20,
    NotBelow = 0x30,
    NotEqual = 0x50,
}

const LOAD: u8 = 0x61;
const STORE: u8 = 0x63;
const ALU: u8 = 0x07;
const JUMP: u8 = 0x05;
/// The second operand is a register.
const FROM_REGISTER: u8 = 0x08;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const LOAD_WIDE: u8 = 0x18;
/// In a wide load: the number is a map's descriptor.
const MAP_DESCRIPTOR: u8 = 1;

/// Instructions under construction.
#[derive(Debug, Default)]
pub(super) struct Asm {
    code: Vec<u64>,
    labels: HashMap<&'static str, usize>,
    jumps: Vec<(usize, &'static str)>,
}

impl Asm {
    fn push(mut self, code: u8, registers: (u8, u8), offset: i16, number: i32) -> Self {
        let (to, from) = registers;
        let bytes = offset.to_le_bytes();
        let [a, b, c, d] = number.to_le_bytes();
        let [low, high] = bytes;
        self.code.push(u64::from_le_bytes([
            code,
            to | from << 4,
            low,
            high,
            a,
            b,
            c,
            d,
        ]));
        self
    }

    pub(super) fn load(self, size: Size, to: R, from: R, offset: i16) -> Self {
        self.push(LOAD | size as u8, (to as u8, from as u8), offset, 0)
    }

    pub(super) fn store(self, size: Size, to: R, offset: i16, from: R) -> Self {
        self.push(STORE | size as u8, (to as u8, from as u8), offset, 0)
    }

    pub(super) fn number(self, op: Op, to: R, number: i32) -> Self {
        self.push(ALU | op as u8, (to as u8, 0), 0, number)
    }

    pub(super) fn register(self, op: Op, to: R, from: R) -> Self {
        let code = ALU | op as u8 | FROM_REGISTER;
        self.push(code, (to as u8, from as u8), 0, 0)
    }

    pub(super) fn jump_number(
        mut self,
        when: If,
        left: R,
        right: i32,
        label: &'static str,
    ) -> Self {
        self.jumps.push((self.code.len(), label));
        self.push(JUMP | when as u8, (left as u8, 0), 0, right)
    }

    pub(super) fn jump(mut self, when: If, left: R, right: R, label: &'static str) -> Self {
        self.jumps.push((self.code.len(), label));
        let code = JUMP | when as u8 | FROM_REGISTER;
        self.push(code, (left as u8, right as u8), 0, 0)
    }

    pub(super) fn map(self, to: R, descriptor: i32) -> Self {
        self.push(LOAD_WIDE, (to as u8, MAP_DESCRIPTOR), 0, descriptor)
            .push(0, (0, 0), 0, 0)
    }

    pub(super) fn call(self, helper: Helper) -> Self {
        self.push(CALL, (0, 0), 0, helper as i32)
    }

    pub(super) fn exit(self) -> Self {
        self.push(EXIT, (0, 0), 0, 0)
    }

    pub(super) fn label(mut self, name: &'static str) -> Self {
        self.labels.insert(name, self.code.len());
        self
    }

    /// The instructions, every jump filled in.
    pub(super) fn finish(mut self) -> Result<Vec<u64>> {
        for (at, label) in self.jumps {
            let target = self.labels.get(label).context("a jump to no label")?;
            let [target, behind] = [*target, at + 1].map(i16::try_from);
            let distance = target? - behind?;
            let instruction = self.code.get_mut(at).context("a jump from nowhere")?;
            *instruction |= u64::from(distance.cast_unsigned()) << 16;
        }
        Ok(self.code)
    }
}
