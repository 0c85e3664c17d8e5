//! Showing user space a few of the packets that are dropped. A budget bounds the cost: once that
//! of a second is spent, most packets of a flood only count down.

use aya_ebpf::{EbpfContext as _, helpers::bpf_xdp_load_bytes};
use filter_abi::{SAMPLE_BYTES, Sample};
use filter_core::{Decision, Policy as _};

use crate::{
    frame::Frame,
    maps,
    policy::{Kernel, Mode},
};

/// Dropped packets that go by, once the budget of a second is spent, before the clock is looked at
/// again.
const REST: u64 = 63;

/// Whether this CPU has a sample left in this second (2^30 ns).
#[inline(always)]
pub(crate) fn is_due<M: Mode>(kernel: &Kernel<M>, budget: u32) -> bool {
    if !kernel.mode.keeps() {
        return false;
    }
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned, alive and used by nobody else.
    let rest = unsafe { &raw mut (*kernel.cpu).sample_rest };
    // SAFETY: a field of the entry, aligned.
    if let Some(less) = unsafe { *rest }.checked_sub(1) {
        // SAFETY: as above.
        unsafe { *rest = less };
        return false;
    }
    let second = kernel.now_ns() >> 30;
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned, alive and used by nobody else.
    let cpu = unsafe { &mut *kernel.cpu };
    if cpu.sample_second != second {
        cpu.sample_second = second;
        cpu.samples = 0;
    }
    let due = cpu.samples < u64::from(budget);
    if !due {
        cpu.sample_rest = REST;
    }
    due
}

/// Writes a sample, if the ring has room.
#[inline(never)]
pub(crate) fn take<M: Mode>(
    frame: &Frame<'_>,
    kernel: &Kernel<M>,
    decision: Decision,
    opened: u32,
) {
    let context = frame.context();
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned, alive and used by nobody else.
    let cpu = unsafe { &mut *kernel.cpu };
    cpu.samples += 1;
    let Some(mut entry) = maps::SAMPLES.reserve::<Sample>(0) else {
        return;
    };
    let length = frame.length();
    let captured = length.min(SAMPLE_BYTES);
    let sample = entry.as_mut_ptr();
    // SAFETY: the entry is reserved for one `Sample`; its frame is filled right below.
    unsafe {
        sample.write(Sample {
            now_ns: kernel.now_ns(),
            interface: context.ingress_ifindex() as u32,
            reason: decision.number(),
            service: decision.target().service,
            length: length as u32,
            captured: captured as u32,
            observed: opened,
            frame: [0; SAMPLE_BYTES],
        });
    }
    // SAFETY: a field of the reserved entry.
    let into = unsafe { (&raw mut (*sample).frame).cast() };
    let bytes = captured as u32;
    if bytes > 0 && bytes as usize <= SAMPLE_BYTES {
        // SAFETY: the helper writes at most `SAMPLE_BYTES` bytes to the field, or fails; what it
        // does not write is zero.
        unsafe { bpf_xdp_load_bytes(context.as_ptr().cast(), 0, into, bytes) };
    }
    entry.submit(0);
}
