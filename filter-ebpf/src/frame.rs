//! The raw packet window: a bounded offset, a check against the end, then the read.

use aya_ebpf::{EbpfContext as _, helpers::bpf_xdp_load_bytes, programs::XdpContext};
use filter_core::{REACH, Window};

/// The bytes between `data` and `data_end`. In a multi-buffer frame that is the linear part; what
/// lies behind it cannot be read, and what cannot be read is not admitted.
pub(crate) struct Frame<'a> {
    context: &'a XdpContext,
    data: usize,
    end: usize,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(crate) fn new(context: &'a XdpContext) -> Self {
        Self {
            context,
            data: context.data(),
            end: context.data_end(),
        }
    }

    /// The verifier learns nothing from the check of a single byte at a variable offset
    /// (`find_good_pkt_pointers` in kernel/bpf/verifier.c), so the helper checks and copies it.
    /// Only IPv4 options are read this way.
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        let mut byte = 0u8;
        let into = (&raw mut byte).cast();
        let at = u32::try_from(at).ok()?;
        // SAFETY: the helper writes one byte, to a local that outlives the call, or fails.
        let error = unsafe { bpf_xdp_load_bytes(self.context.as_ptr().cast(), at, into, 1) };
        (error == 0).then_some(byte)
    }
}

impl Window for Frame<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if at > REACH {
            return None;
        }
        if N == 1 {
            return self.byte(at).map(|byte| [byte; N]);
        }
        let start = self.data + at;
        if start + N > self.end {
            return None;
        }
        // SAFETY: `start .. start + N` lies inside `data .. data_end` by the check right above,
        // which the kernel's verifier proves again; a byte array has no alignment to keep.
        Some(unsafe { *(start as *const [u8; N]) })
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.end - self.data
    }

    /// Written as two halves and read as a whole: the verifier follows a stack slot only when it
    /// is read as it was written (`check_stack_read_fixed_off` in kernel/bpf/verifier.c).
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "offsets are bounded by REACH, and a BPF register has 64 bits"
    )]
    fn forget(at: usize) -> usize {
        let mut whole = 0u64;
        let low = (&raw mut whole).cast::<u32>();
        // SAFETY: the first half of `whole`, which is aligned for it.
        unsafe { low.write_volatile(at as u32) };
        // SAFETY: `whole` has two halves; this is where the second one starts.
        let high = unsafe { low.add(1) };
        // SAFETY: the second half of `whole`.
        unsafe { high.write_volatile(0) };
        // SAFETY: all of `whole`, initialised and aligned.
        unsafe { (&raw const whole).read_volatile() as usize }
    }
}
