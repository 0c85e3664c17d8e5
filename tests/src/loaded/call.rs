//! System calls that millions of packets go through, as bare as can be: run a program on a frame,
//! read all counters at once, empty a map. The layouts are those of
//! `union bpf_attr` in include/uapi/linux/bpf.h.

use std::{io, mem::size_of, os::fd::RawFd};

/// `BPF_PROG_TEST_RUN`.
const TEST_RUN: libc::c_int = 10;
/// `BPF_MAP_LOOKUP_ELEM`.
const LOOKUP: libc::c_int = 1;
/// `BPF_MAP_UPDATE_ELEM`.
const UPDATE: libc::c_int = 2;
/// `BPF_MAP_DELETE_ELEM`.
const DELETE: libc::c_int = 3;
/// `BPF_MAP_GET_NEXT_KEY`.
const NEXT_KEY: libc::c_int = 4;

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

/// The part that the calls on single elements read. `value` is the next key's place, too.
#[repr(C)]
#[derive(Default)]
struct Element {
    map: u32,
    zero: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn unsigned(fd: RawFd) -> io::Result<u32> {
    u32::try_from(fd).map_err(io::Error::other)
}

fn length(of: &[u8]) -> io::Result<u32> {
    u32::try_from(of.len()).map_err(io::Error::other)
}

/// Runs the program once on these bytes. `context` is a `struct xdp_md`, or nothing; what the
/// program leaves of metadata and frame is written to `out`, as far as it reaches. Comes back with
/// what the program returned, and how many bytes there are.
pub(super) fn test_run(
    program: RawFd,
    frame: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> io::Result<(u32, usize)> {
    let mut attributes = TestRun {
        program: unsigned(program)?,
        data_size_in: length(frame)?,
        data_in: frame.as_ptr().addr() as u64,
        data_size_out: length(out)?,
        data_out: if out.is_empty() {
            0
        } else {
            out.as_mut_ptr().addr() as u64
        },
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
    // and writes at most `data_size_out` at `data_out`; the three slices have these lengths and
    // outlive the call, as do the attributes, whose size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            TEST_RUN,
            &raw mut attributes,
            size_of::<TestRun>(),
        )
    };
    // ENOSPC: there was more than `out` has room for.
    let error = io::Error::last_os_error();
    if done < 0 && (out.is_empty() || error.raw_os_error() != Some(libc::ENOSPC)) {
        return Err(error);
    }
    let length = usize::try_from(attributes.data_size_out).map_err(io::Error::other)?;
    Ok((attributes.returned, length))
}

/// The first element of a per-processor array: `words` of u64 for each processor.
pub(super) fn first_value(map: RawFd, words: usize, cpus: usize) -> io::Result<Vec<u64>> {
    let key = 0_u32;
    let mut values = vec![0_u64; words * cpus];
    let mut attributes = Element {
        map: unsigned(map)?,
        key: (&raw const key).addr() as u64,
        value: values.as_mut_ptr().addr() as u64,
        ..Element::default()
    };
    // SAFETY: the kernel reads a key of four bytes and writes `words` of eight bytes for each
    // possible processor; both have that room and outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LOOKUP,
            &raw mut attributes,
            size_of::<Element>(),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(values)
}

/// Writes the first element of a per-processor array, as `first_value` reads it.
pub(super) fn set_first_value(map: RawFd, values: &[u64]) -> io::Result<()> {
    let key = 0_u32;
    let mut attributes = Element {
        map: unsigned(map)?,
        key: (&raw const key).addr() as u64,
        value: values.as_ptr().addr() as u64,
        ..Element::default()
    };
    // SAFETY: the kernel reads a key of four bytes and the values of all possible processors,
    // which are as many as `first_value` read; both outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            UPDATE,
            &raw mut attributes,
            size_of::<Element>(),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Deletes all elements of a map with keys of this many bytes.
pub(super) fn wipe(map: RawFd, key_size: u32) -> io::Result<()> {
    let size = usize::try_from(key_size).map_err(io::Error::other)?;
    let mut key = vec![0_u8; size];
    loop {
        let mut first = Element {
            map: unsigned(map)?,
            value: key.as_mut_ptr().addr() as u64,
            ..Element::default()
        };
        // SAFETY: without a key the kernel writes the first one, of `key_size` bytes, into the
        // buffer of that length, which outlives the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                NEXT_KEY,
                &raw mut first,
                size_of::<Element>(),
            )
        };
        if done < 0 {
            let error = io::Error::last_os_error();
            let is_empty = error.raw_os_error() == Some(libc::ENOENT);
            return if is_empty { Ok(()) } else { Err(error) };
        }
        let mut gone = Element {
            map: unsigned(map)?,
            key: key.as_ptr().addr() as u64,
            ..Element::default()
        };
        // SAFETY: the kernel reads a key of `key_size` bytes from the same buffer.
        let done =
            unsafe { libc::syscall(libc::SYS_bpf, DELETE, &raw mut gone, size_of::<Element>()) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
    }
}
