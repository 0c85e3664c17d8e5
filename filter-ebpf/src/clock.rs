//! The only place of the programs that reads a clock.

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_boot_ns};
use filter_abi::Cpu;

/// Nanoseconds of CLOCK_BOOTTIME, the clock of every deadline (see `filter_abi`), read once per
/// tick of the kernel on each CPU: a tick is at most 10 ms, and reading the tick costs one load
/// where the clock costs as much as the rest of the verdict.
#[inline(always)]
pub(crate) fn now_ns(cpu: *mut Cpu) -> u64 {
    // SAFETY: the helper has no arguments and no precondition.
    let tick = unsafe { bpf_jiffies64() };
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned and alive while the program runs.
    if unsafe { (*cpu).tick } == tick {
        // SAFETY: as above.
        return unsafe { (*cpu).now_ns };
    }
    // SAFETY: the helper has no arguments and no precondition.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    // The moment first, its tick after: a program that interrupts this one between the two reads
    // the clock again instead of taking an old moment for a new one.
    // SAFETY: as above.
    let moment = unsafe { &raw mut (*cpu).now_ns };
    // SAFETY: a field of the entry, aligned.
    unsafe { moment.write_volatile(now) };
    // SAFETY: as above.
    let read_at = unsafe { &raw mut (*cpu).tick };
    // SAFETY: a field of the entry, aligned.
    unsafe { read_at.write_volatile(tick) };
    now
}
