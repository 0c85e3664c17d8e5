//! The raw packet window: a bounded offset, a check against the end, then the read.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::XdpContext,
};
use filter_abi::Cpu;
use filter_core::{REACH, Window};

/// The bytes between `data` and `data_end`, read in place: the whole frame, or the first buffer of
/// a multi-buffer frame.
pub(crate) struct Frame<'a> {
    context: &'a XdpContext,
    cpu: *mut Cpu,
    data: usize,
    end: usize,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(crate) fn new(context: &'a XdpContext, cpu: *mut Cpu) -> Self {
        Self {
            context,
            cpu,
            data: context.data(),
            end: context.data_end(),
        }
    }

    #[inline(always)]
    pub(crate) fn context(&self) -> &'a XdpContext {
        self.context
    }

    /// A value at an offset; None if the linear part ends before its last byte.
    ///
    /// The verifier learns nothing from the check of a single byte at a variable offset
    /// (`find_good_pkt_pointers` in kernel/bpf/verifier.c), so the kernel copies those.
    #[inline(always)]
    fn value<T: Plain>(&self, at: usize) -> Option<T> {
        if at > REACH {
            return None;
        }
        if size_of::<T>() == 1 {
            return copy(self.context, at);
        }
        let start = self.data + at;
        if start + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: `start .. start + size` lies inside `data .. data_end` by the check right above,
        // which the kernel's verifier proves again, and any bytes are a value. Headers are not
        // aligned in a frame: BPF loads from any address where the machine does, and elsewhere
        // the verifier refuses the program (`check_ptr_alignment`). LLVM must not know, or it
        // reads byte by byte, which doubles the cost of a verdict; telling it of unaligned access
        // as such (`allows-misaligned-mem-access`) makes it misalign the stack, too, which no
        // verifier takes.
        Some(unsafe { *(start as *const T) })
    }

    /// Whether part of the frame lies behind its first buffer.
    #[inline(always)]
    pub(crate) fn is_scattered(&self) -> bool {
        self.length() > self.end - self.data
    }

    /// Bytes of the whole frame.
    #[inline(always)]
    pub(crate) fn length(&self) -> usize {
        // SAFETY: the helper only reads the context it is given.
        unsafe { bpf_xdp_get_buff_len(self.context.as_ptr().cast()) as usize }
    }
}

/// Copies a value out of the frame, whichever of its buffers it lies in. None: the frame ends
/// before.
#[inline(always)]
fn copy<T: Plain>(context: &XdpContext, at: usize) -> Option<T> {
    if at > REACH {
        return None;
    }
    let mut value = T::ZERO;
    let (into, length) = ((&raw mut value).cast(), size_of::<T>() as u32);
    // SAFETY: the helper writes that many bytes to a local that outlives the call, or fails.
    let error = unsafe { bpf_xdp_load_bytes(context.as_ptr().cast(), at as u32, into, length) };
    (error == 0).then_some(value)
}

/// The bytes of a frame whose headers do not lie in its first buffer, all copied by the kernel.
pub(crate) struct Scattered<'a>(pub(crate) &'a Frame<'a>);

impl Window for Scattered<'_> {
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        copy(self.0.context, at)
    }

    #[inline(always)]
    fn number(&self, at: usize) -> Option<u16> {
        copy(self.0.context, at).map(u16::from_be)
    }

    #[inline(always)]
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        copy(self.0.context, at)
    }

    #[inline(always)]
    fn holds(&self, length: usize) -> bool {
        length <= self.0.length()
    }

    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        forget(self.0.cpu, number)
    }
}

/// Integers and arrays of them.
pub(crate) trait Plain: Copy {
    const ZERO: Self;
}

impl Plain for u8 {
    const ZERO: Self = 0;
}

impl Plain for u16 {
    const ZERO: Self = 0;
}

impl<const N: usize> Plain for [u32; N] {
    const ZERO: Self = [0; N];
}

impl Window for Frame<'_> {
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        self.value(at)
    }

    #[inline(always)]
    fn number(&self, at: usize) -> Option<u16> {
        self.value(at).map(u16::from_be)
    }

    #[inline(always)]
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        self.value(at)
    }

    #[inline(always)]
    fn holds(&self, length: usize) -> bool {
        length <= self.end - self.data || length <= self.length()
    }

    /// Written to a map and read back: the verifier does not follow what a map holds.
    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        forget(self.cpu, number)
    }
}

#[inline(always)]
pub(crate) fn forget(cpu: *mut Cpu, number: u64) -> u64 {
    // SAFETY: `cpu` is this CPU's entry of `CPUS`, aligned, alive and used by nobody else while
    // this program runs.
    let place = unsafe { &raw mut (*cpu).scratch };
    // SAFETY: as above.
    unsafe { place.write_volatile(number) };
    // SAFETY: as above.
    unsafe { place.read_volatile() }
}
