//! The only place of the program that reads a clock.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;

/// Nanoseconds of CLOCK_BOOTTIME: the clock of every deadline, see `filter_abi`.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: the helper has no arguments and no precondition.
    unsafe { bpf_ktime_get_boot_ns() }
}
