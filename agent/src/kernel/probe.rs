//! Asking a program about one frame (`filter_abi::Probe`).

use std::os::fd::BorrowedFd;

use filter_abi::{Bytes as _, Probe};

use super::{Probed, error::KernelError, syscall};

/// What the program returns for a packet that goes on (`enum xdp_action` in include/uapi/linux/bpf.h).
const XDP_PASS: u32 = 2;
/// The kernel takes no shorter frame.
const SHORTEST: usize = 14;

/// In the answer's place before it is given.
const UNANSWERED: u32 = u32::MAX;

/// What the program says of a frame that comes at `at_ns` of CLOCK_BOOTTIME, or now if that is 0.
/// None: it took the question for a packet.
pub(super) fn ask(
    program: BorrowedFd<'_>,
    key: u64,
    frame: &[u8],
    at_ns: u64,
) -> Result<Option<Probed>, KernelError> {
    let failed = |error| KernelError::io("asking the program", error);
    if frame.len() < SHORTEST {
        return Err(KernelError::Rejected(
            "a frame has at least 14 bytes".into(),
        ));
    }
    let probe = Probe {
        key,
        now_ns: at_ns,
        reason: UNANSWERED,
        ..Probe::default()
    };
    let metadata = probe.to_bytes();
    let data = [metadata.as_slice(), frame].concat();
    let (start, end) = (metadata.len(), data.len());
    // `struct xdp_md`: data, data_end, data_meta, and three fields that stay 0.
    let mut context = Vec::new();
    for field in [start, end, 0, 0, 0, 0] {
        let field = u32::try_from(field).unwrap_or(u32::MAX);
        context.extend(field.to_ne_bytes());
    }
    let mut out = data.clone();
    let verdict = syscall::test_run(program, &data, &context, &mut out).map_err(failed)?;
    let mut answer = metadata;
    for (to, from) in answer.iter_mut().zip(&out) {
        *to = *from;
    }
    let answer = Probe::from_bytes(&answer);
    Ok((answer.reason != UNANSWERED).then_some(Probed {
        passes: verdict == XDP_PASS,
        reason: answer.reason,
        service: answer.service,
    }))
}
