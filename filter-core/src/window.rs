//! How a packet's bytes are read: a bounded offset, a check, then a read.

/// How far into a frame headers are looked for. Whatever starts past it cannot be read, so it is
/// never admitted; the kernel's verifier needs the bound, and every implementation keeps it.
pub const REACH: usize = 4096;

/// Bytes of one frame, from its Ethernet header on. Each read is None if `at` is past [`REACH`] or
/// any of its bytes past the end.
pub trait Window {
    fn byte(&self, at: usize) -> Option<u8>;

    /// Two bytes, as the number they are in network byte order.
    fn number(&self, at: usize) -> Option<u16>;

    /// Words of four bytes in the order they lie in memory. Whole words, because a compiler that
    /// sees single bytes handles them one by one.
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]>;

    /// Whether the frame has at least so many bytes.
    fn holds(&self, length: usize) -> bool;

    /// The same number. The kernel side makes the verifier forget what it knows of it, so that all
    /// ways to one place look alike to it and what follows is proven once instead of once per way.
    #[inline(always)]
    fn forget(&self, number: u64) -> u64 {
        number
    }
}

/// The two numbers of a word, in network byte order.
#[inline(always)]
pub(crate) const fn halves(word: u32) -> (u16, u16) {
    let word = u32::from_be(word);
    ((word >> 16) as u16, (word & 0xffff) as u16)
}

/// A window over a slice, for the host.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a>(pub &'a [u8]);

impl Slice<'_> {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if at > REACH {
            return None;
        }
        self.0.get(at..)?.first_chunk::<N>().copied()
    }
}

impl Window for Slice<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    fn number(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        if at > REACH {
            return None;
        }
        let bytes = self.0.get(at..)?.get(..N * 4)?;
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = bytes.first_chunk().copied().map_or(0, u32::from_ne_bytes);
        }
        Some(words)
    }

    fn holds(&self, length: usize) -> bool {
        length <= self.0.len()
    }
}
