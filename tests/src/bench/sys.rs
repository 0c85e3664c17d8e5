//! The bpf(2) calls that no library wraps safely: loading instructions written here, running a
//! loaded program on a packet, sending live frames. Knows nothing of what is measured.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// Commands of bpf(2) and types (include/uapi/linux/bpf.h).
const MAP_CREATE: libc::c_long = 0;
const PROG_LOAD: libc::c_long = 5;
const OBJ_GET: libc::c_long = 7;
const PROG_TEST_RUN: libc::c_long = 10;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const MAP_UPDATE_BATCH: libc::c_long = 26;
const LINK_CREATE: libc::c_long = 28;
const LINK_DETACH: libc::c_long = 34;
const MAP_TYPE_HASH: u32 = 1;
const PROG_TYPE_CLASSIFIER: u32 = 3;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const ATTACH_IN: u32 = 46;
const ATTACH_OUT: u32 = 47;
const TEST_LIVE_FRAMES: u32 = 2;
/// In the driver, never the slow generic way (include/uapi/linux/if_link.h).
const XDP_FLAGS_DRV_MODE: u32 = 4;
/// Frames of one sending batch; the kernel's own default.
const BATCH: u32 = 64;
const LICENSE: &[u8] = b"Dual MIT/GPL\0";

/// An argument block of bpf(2): plain integers without padding, as the kernel reads them.
trait Block {}

#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[repr(C)]
#[derive(Default)]
struct Run {
    program: u32,
    answer: u32,
    data_size: u32,
    data_size_out: u32,
    data: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size: u32,
    context_size_out: u32,
    context: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    zero: u32,
}

#[repr(C)]
struct Id {
    id: u32,
    next: u32,
    flags: u32,
}

#[repr(C)]
struct Create {
    kind: u32,
    key_size: u32,
    value_size: u32,
    capacity: u32,
}

#[repr(C)]
struct Batch {
    from: u64,
    to: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

#[repr(C)]
struct Attach {
    program: u32,
    interface: u32,
    kind: u32,
    flags: u32,
}

#[repr(C)]
struct Pinned {
    path: u64,
    descriptor: u32,
    flags: u32,
}

#[repr(C)]
struct Link {
    descriptor: u32,
}

impl Block for Pinned {}
impl Block for Link {}
impl Block for Load {}
impl Block for Run {}
impl Block for Id {}
impl Block for Create {}
impl Block for Batch {}
impl Block for Attach {}

fn call<B: Block>(command: libc::c_long, block: &mut B) -> io::Result<i32> {
    let size = size_of::<B>();
    let pointer: *mut B = block;
    // SAFETY: `pointer` is to a whole, initialised block of that size that lives through the call.
    // The addresses inside are made by the functions below from slices they hold across the call,
    // with the slices' own lengths.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size) };
    i32::try_from(answer)
        .ok()
        .filter(|answer| *answer >= 0)
        .ok_or_else(io::Error::last_os_error)
}

fn descriptor(answer: i32) -> OwnedFd {
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(answer) }
}

fn raw(descriptor: &OwnedFd) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

/// Takes the program of a pinned link off, though others hold the link; the pin stays, leading
/// nowhere.
pub fn detach_link(pin: &std::path::Path) -> Result<()> {
    let path = std::ffi::CString::new(pin.to_string_lossy().into_owned())?;
    let mut pinned = Pinned {
        path: address(path.as_bytes_with_nul()),
        descriptor: 0,
        flags: 0,
    };
    let link = call(OBJ_GET, &mut pinned).with_context(|| format!("{}", pin.display()))?;
    let link = descriptor(link);
    let mut block = Link {
        descriptor: raw(&link),
    };
    call(LINK_DETACH, &mut block).context("detaching a link")?;
    Ok(())
}

/// Where on an interface a program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// In the driver, before anything else
    Xdp,
    /// On the way in, after XDP and before the protocols
    In,
    /// At the end of the way out
    Out,
}

impl Hook {
    /// Program type, attach type, flags of the link.
    const fn numbers(self) -> (u32, u32, u32) {
        match self {
            Self::Xdp => (PROG_TYPE_XDP, ATTACH_XDP, XDP_FLAGS_DRV_MODE),
            Self::In => (PROG_TYPE_CLASSIFIER, ATTACH_IN, 0),
            Self::Out => (PROG_TYPE_CLASSIFIER, ATTACH_OUT, 0),
        }
    }
}

/// A program in the kernel.
#[derive(Debug)]
pub(super) struct Program(OwnedFd, Hook);

/// An attached program. Detached when dropped.
#[derive(Debug)]
pub(super) struct Attached {
    _link: OwnedFd,
}

/// What a program has cost since statistics were switched on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) nanoseconds: u64,
    pub(super) runs: u64,
}

impl Program {
    /// Loads an XDP program.
    pub(super) fn load(instructions: &[u64]) -> Result<Self> {
        Self::load_for(Hook::Xdp, instructions)
    }

    /// Loads instructions; on refusal the error carries the verifier's reasons.
    pub(super) fn load_for(hook: Hook, instructions: &[u64]) -> Result<Self> {
        let (kind, attach, _) = hook.numbers();
        let mut block = Load {
            kind,
            count: u32::try_from(instructions.len())?,
            instructions: address(instructions),
            license: address(LICENSE),
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel: 0,
            flags: 0,
            name: *b"sekisho_bench\0\0\0",
            interface: 0,
            attach,
        };
        if let Ok(answer) = call(PROG_LOAD, &mut block) {
            return Ok(Self(descriptor(answer), hook));
        }
        // Once more for the reasons: a log that is too small for them would be an error, too.
        let mut log = vec![0_u8; 1 << 16];
        (block.log_level, block.log_size) = (1, u32::try_from(log.len())?);
        block.log = log.as_mut_ptr() as u64;
        let loaded = call(PROG_LOAD, &mut block);
        let said = || {
            String::from_utf8_lossy(&log)
                .trim_end_matches('\0')
                .to_owned()
        };
        let answer = loaded.with_context(|| format!("loading a program failed; {}", said()))?;
        Ok(Self(descriptor(answer), hook))
    }

    /// An XDP program that somebody else loaded.
    pub(super) fn by_id(id: u32) -> Result<Self> {
        let mut block = Id {
            id,
            next: 0,
            flags: 0,
        };
        let answer = call(PROG_GET_FD_BY_ID, &mut block)
            .with_context(|| format!("there is no program with the id {id}"))?;
        Ok(Self(descriptor(answer), Hook::Xdp))
    }

    /// Runs it on a frame, `repeat` times in the kernel; what it answered the last time.
    pub(super) fn test_run(&self, frame: &[u8], repeat: u32) -> Result<u32> {
        Ok(self.run(frame, repeat)?.answer)
    }

    /// Nanoseconds of one of `repeat` runs on a frame, by the kernel's own clock.
    pub(super) fn run_time(&self, frame: &[u8], repeat: u32) -> Result<u32> {
        Ok(self.run(frame, repeat)?.duration)
    }

    fn run(&self, frame: &[u8], repeat: u32) -> Result<Run> {
        let mut block = Run {
            program: raw(&self.0),
            data_size: u32::try_from(frame.len())?,
            data: address(frame),
            repeat,
            ..Run::default()
        };
        call(PROG_TEST_RUN, &mut block).context("BPF_PROG_TEST_RUN failed")?;
        Ok(block)
    }

    /// Runs it on `count` real frames, which go where it sends them. The time that sending took, by
    /// the kernel's own clock: making the call ready and putting things away takes some ten
    /// milliseconds, in which nothing is sent.
    pub(super) fn send_live(&self, frame: &[u8], count: u32) -> Result<Duration> {
        let mut block = Run {
            program: raw(&self.0),
            data_size: u32::try_from(frame.len())?,
            data: address(frame),
            repeat: count,
            flags: TEST_LIVE_FRAMES,
            batch: BATCH,
            ..Run::default()
        };
        call(PROG_TEST_RUN, &mut block).context("sending live frames failed")?;
        Ok(Duration::from_nanos(block.duration.into()) * count)
    }

    /// Puts it on an interface of the calling thread's network namespace.
    pub(super) fn attach(&self, interface: u32) -> Result<Attached> {
        let (_, kind, flags) = self.1.numbers();
        let mut block = Attach {
            program: raw(&self.0),
            interface,
            kind,
            flags,
        };
        let answer = call(LINK_CREATE, &mut block).context("attaching a program failed")?;
        Ok(Attached {
            _link: descriptor(answer),
        })
    }

    /// Its run time and count, which move only while the kernel's statistics are on.
    pub(super) fn spent(&self) -> Result<Spent> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd()))?;
        let field = |name: &str| -> Result<u64> {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .and_then(|value| value.trim().parse().ok())
                .with_context(|| format!("the kernel tells no {name} of a program"))
        };
        Ok(Spent {
            nanoseconds: field("run_time_ns")?,
            runs: field("run_cnt")?,
        })
    }
}

/// A preallocated hash from an IPv4 source to a deadline.
#[derive(Debug)]
pub(super) struct Table(OwnedFd);

impl Table {
    pub(super) fn new(capacity: u32) -> Result<Self> {
        let mut block = Create {
            kind: MAP_TYPE_HASH,
            key_size: 4,
            value_size: 8,
            capacity,
        };
        let answer = call(MAP_CREATE, &mut block).context("making a hash failed")?;
        Ok(Self(descriptor(answer)))
    }

    /// The number by which instructions name it.
    pub(super) fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    pub(super) fn fill(&self, keys: &[[u8; 4]], deadline_ns: u64) -> Result<()> {
        let values = vec![deadline_ns; keys.len()];
        let mut block = Batch {
            from: 0,
            to: 0,
            keys: address(keys),
            values: address(&values),
            count: u32::try_from(keys.len())?,
            map: raw(&self.0),
            element_flags: 0,
            flags: 0,
        };
        call(MAP_UPDATE_BATCH, &mut block).context("filling a hash failed")?;
        Ok(())
    }
}
