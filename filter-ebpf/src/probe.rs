//! Recognising a probe (`filter_abi::Probe`) and answering it.

use aya_ebpf::programs::XdpContext;
use filter_abi::{Probe, Target};
use filter_core::Decision;

use crate::{maps, policy::Mode};

/// What a probe in front of this frame asks for, if there is one.
pub(crate) struct Probing(Option<Asked>);

struct Asked {
    at_ns: u64,
    flags: u32,
}

impl Probing {
    #[inline(always)]
    pub(crate) fn of(context: &XdpContext) -> Self {
        Self(asked(context))
    }

    /// Whether there is one.
    #[inline(always)]
    pub(crate) fn is_one(&self) -> bool {
        self.0.is_some()
    }

    #[inline(always)]
    pub(crate) fn answer(&self, context: &XdpContext, decision: &Decision) {
        if self.0.is_none() {
            return;
        }
        if let Some(probe) = place(context) {
            let Target { service, flags } = decision.target();
            // SAFETY: see `place`.
            unsafe { (*probe).reason = decision.number() };
            // SAFETY: see `place`.
            unsafe { (*probe).service = service };
            // SAFETY: see `place`.
            unsafe { (*probe).target = flags };
        }
    }
}

impl Mode for Probing {
    #[inline(always)]
    fn at_ns(&self) -> u64 {
        self.0.as_ref().map_or(0, |asked| asked.at_ns)
    }

    #[inline(always)]
    fn keeps(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|asked| asked.flags & Probe::COMMIT != 0)
    }
}

#[inline(always)]
fn asked(context: &XdpContext) -> Option<Asked> {
    let probe = place(context)?;
    // SAFETY: see `place`.
    let key = unsafe { (*probe).key };
    if key == 0 || maps::PROBE.get(0) != Some(&key) {
        return None;
    }
    // SAFETY: see `place`.
    let at_ns = unsafe { (*probe).now_ns };
    // SAFETY: see `place`.
    let flags = unsafe { (*probe).flags };
    Some(Asked { at_ns, flags })
}

/// Where a probe would stand. SAFETY of every access: the metadata in front of the frame is as
/// long as a probe by the check here, which the kernel's verifier proves again.
#[inline(always)]
fn place(context: &XdpContext) -> Option<*mut Probe> {
    let meta = context.metadata();
    if meta + size_of::<Probe>() > context.metadata_end() {
        return None;
    }
    Some(meta as *mut Probe)
}
