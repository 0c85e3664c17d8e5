//! The program on the way out, run at a moment of the asker's choice. It takes no probe and reads
//! the true clock, but only once per tick of the kernel on each processor, and keeps what it read
//! in `CPUS`. So another moment is written there, and it must still be the same tick afterwards.

use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use anyhow::{Context as _, Result, ensure};
use aya::programs::SchedClassifier;
use filter_abi::Cpu;

use super::{Loaded, call};

/// Whether the kernel makes a packet of these bytes: something has to be behind the link header,
/// and of IP a whole header (`bpf_prog_test_run_skb` in net/bpf/test_run.c).
pub fn is_packet(frame: &[u8]) -> bool {
    let least = match frame.get(12..14) {
        Some([0x08, 0x00]) => 20,
        Some([0x86, 0xdd]) => 40,
        _ => 1,
    };
    frame.len() >= 14 + least
}

/// `TC_ACT_UNSPEC`: nothing is decided.
const UNSPECIFIED: u32 = u32::MAX;
const TICK: usize = std::mem::offset_of!(Cpu, tick) / 8;
const NOW: usize = std::mem::offset_of!(Cpu, now_ns) / 8;

/// The program and the tick it last read the clock at.
#[derive(Debug, Default)]
pub(super) struct Out {
    program: Option<RawFd>,
    tick: u64,
}

impl Loaded {
    /// Lets a frame leave. False: the tick was over, so what the program wrote down is of another
    /// moment and has to be taken back before it is tried again.
    pub fn leave(&mut self, frame: &[u8], now_ns: u64) -> Result<bool> {
        let program = match self.out.program {
            Some(program) => program,
            None => self.load_out()?,
        };
        let mut cpus = call::first_value(self.counters, Cpu::WORDS, self.cpus)?;
        for cpu in cpus.chunks_mut(Cpu::WORDS) {
            for (at, value) in [(TICK, self.out.tick), (NOW, now_ns)] {
                *cpu.get_mut(at).context("a short entry")? = value;
            }
        }
        call::set_first_value(self.counters, &cpus)?;
        let (returned, _) = call::test_run(program, frame, &[], &mut []).with_context(|| {
            format!("BPF_PROG_TEST_RUN on the way out of {} bytes", frame.len())
        })?;
        ensure!(
            returned == UNSPECIFIED,
            "a packet on its way out was given {returned}"
        );
        let after = call::first_value(self.counters, Cpu::WORDS, self.cpus)?;
        let ticks = after.iter().skip(TICK).step_by(Cpu::WORDS);
        let later = ticks.copied().find(|tick| *tick != self.out.tick);
        self.out.tick = later.unwrap_or(self.out.tick);
        Ok(later.is_none())
    }

    fn load_out(&mut self) -> Result<RawFd> {
        let program: &mut SchedClassifier = self
            .ebpf
            .program_mut("sekisho_out")
            .context("the object holds no program for the way out")?
            .try_into()?;
        program.load()?;
        let program = program.fd()?.as_fd().as_raw_fd();
        self.out.program = Some(program);
        Ok(program)
    }
}
