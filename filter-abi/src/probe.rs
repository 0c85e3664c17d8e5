//! Asking the running program about a packet that never was on a wire.

/// Metadata in front of a frame handed to `BPF_PROG_TEST_RUN` (`xdp_md::data_meta`): the program
/// judges the frame by its live maps and writes its answer here. A packet from a wire has no
/// metadata; should a driver put some there, it does not know the key.
///
/// An agent asks programs of other versions, too, before it replaces them: neither this layout nor
/// that of the map `PROBE` ever changes, and a reason keeps its number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The number in `PROBE`; 0 there: nobody may ask.
    pub key: u64,
    /// The moment to judge at; 0 = now.
    pub now_ns: u64,
    /// Bits of `Probe::COMMIT` and its neighbours.
    pub flags: u32,
    /// Answer: `Reason as u32`.
    pub reason: u32,
    /// Answer: number of the service the packet was judged by, 0 for none.
    pub service: u32,
    /// Answer: `Target::flags` of the target it was judged by.
    pub target: u32,
}

impl Probe {
    /// The verdict leaves its traces as a real packet's does: counters, last-seen, rates, flows,
    /// fragments. Without it the probe changes nothing.
    pub const COMMIT: u32 = 1;
}

const _: () = assert!(
    size_of::<Probe>() == 32,
    "older kernels take no more metadata"
);
