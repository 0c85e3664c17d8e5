//! Two system calls that millions of packets go through, without an allocation on the way: run a
//! program on a frame, and read a whole array of counters at once. The layouts are those of
//! `union bpf_attr` in include/uapi/linux/bpf.h.

use std::{io, mem::size_of, os::fd::RawFd};

/// `BPF_PROG_TEST_RUN`.
const TEST_RUN: libc::c_int = 10;
/// `BPF_MAP_LOOKUP_BATCH`.
const LOOKUP_BATCH: libc::c_int = 24;

/// The part of the union that `BPF_PROG_TEST_RUN` reads and writes.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    returned: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    zero: u32,
}

/// The part that `BPF_MAP_LOOKUP_BATCH` reads and writes.
#[repr(C)]
#[derive(Default)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

fn unsigned(fd: RawFd) -> io::Result<u32> {
    u32::try_from(fd).map_err(io::Error::other)
}

fn length(of: &[u8]) -> io::Result<u32> {
    u32::try_from(of.len()).map_err(io::Error::other)
}

/// Runs the program once on these bytes. `context` is a `struct xdp_md`, or nothing.
pub(super) fn test_run(program: RawFd, frame: &[u8], context: &[u8]) -> io::Result<u32> {
    let mut attributes = TestRun {
        program: unsigned(program)?,
        data_size_in: length(frame)?,
        data_in: frame.as_ptr().addr() as u64,
        ctx_size_in: length(context)?,
        ctx_in: if context.is_empty() {
            0
        } else {
            context.as_ptr().addr() as u64
        },
        repeat: 1,
        ..TestRun::default()
    };
    // SAFETY: the kernel reads `data_size_in` bytes at `data_in` and `ctx_size_in` at `ctx_in`,
    // which are two slices that outlive the call; it writes into the attributes alone, because
    // there is no room for output.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            TEST_RUN,
            &raw mut attributes,
            size_of::<TestRun>(),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(attributes.returned)
}

/// The first `count` values of a per-processor array of u64, those of one element side by side.
pub(super) fn all_values(map: RawFd, count: usize, cpus: usize) -> io::Result<Vec<u64>> {
    let mut keys = vec![0_u32; count];
    let mut values = vec![0_u64; count * cpus];
    let mut next = 0_u32;
    let mut attributes = Batch {
        out_batch: (&raw mut next).addr() as u64,
        keys: keys.as_mut_ptr().addr() as u64,
        values: values.as_mut_ptr().addr() as u64,
        count: u32::try_from(count).map_err(io::Error::other)?,
        map: unsigned(map)?,
        ..Batch::default()
    };
    // SAFETY: the kernel writes at most `count` keys of four bytes, `count` values of eight bytes
    // for each possible processor, and one key to `out_batch`; all three have that room and
    // outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LOOKUP_BATCH,
            &raw mut attributes,
            size_of::<Batch>(),
        )
    };
    // ENOENT: that was the last element, which is as it should be.
    let error = io::Error::last_os_error();
    if done < 0 && error.raw_os_error() != Some(libc::ENOENT) {
        return Err(error);
    }
    if usize::try_from(attributes.count).ok() != Some(count) {
        return Err(io::Error::other("the array is shorter than it should be"));
    }
    Ok(values)
}
