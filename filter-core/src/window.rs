//! How a packet's bytes are read: a bounded offset, a check, then a read.

/// How far into a frame headers are looked for. Whatever starts past it cannot be read, so it is
/// never admitted; the kernel's verifier needs the bound, and every implementation keeps it.
pub const REACH: usize = 4096;

/// Bytes of one frame, from its Ethernet header on.
pub trait Window {
    /// The `N` bytes that start at `at`; None if `at` is past [`REACH`] or any of them past the end.
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// How many bytes the frame has.
    fn length(&self) -> usize;

    /// The same offset. The kernel side makes the verifier forget what it knows of it, so that all
    /// rounds of a walk look alike to it and are proven once instead of once per path.
    #[inline(always)]
    fn forget(at: usize) -> usize {
        at
    }
}

/// A window over a slice, for the host.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a>(pub &'a [u8]);

impl Window for Slice<'_> {
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if at > REACH {
            return None;
        }
        self.0.get(at..)?.first_chunk::<N>().copied()
    }

    fn length(&self) -> usize {
        self.0.len()
    }
}
