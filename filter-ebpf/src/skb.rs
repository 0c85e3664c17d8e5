//! The window over a packet on its way out, at the traffic control hook.

use aya_ebpf::{EbpfContext as _, helpers::bpf_skb_load_bytes, programs::TcContext};
use filter_abi::Cpu;
use filter_core::{REACH, Window};

use crate::frame::{Plain, forget};

/// The bytes of a packet from its link header on, copied by the kernel: they may lie in several
/// pieces.
pub(crate) struct Skb<'a> {
    pub(crate) context: &'a TcContext,
    pub(crate) cpu: *mut Cpu,
}

impl Skb<'_> {
    #[inline(always)]
    fn value<T: Plain>(&self, at: usize) -> Option<T> {
        if at > REACH {
            return None;
        }
        let mut value = T::ZERO;
        let (into, length) = ((&raw mut value).cast(), size_of::<T>() as u32);
        let context = self.context.as_ptr().cast();
        // SAFETY: the helper writes that many bytes to a local that outlives the call, or fails.
        let error = unsafe { bpf_skb_load_bytes(context, at as u32, into, length) };
        (error == 0).then_some(value)
    }
}

impl Window for Skb<'_> {
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

    /// A packet that the kernel will cut into segments says its whole length here.
    #[inline(always)]
    fn holds(&self, length: usize) -> bool {
        length <= self.context.len() as usize
    }

    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        forget(self.cpu, number)
    }
}
