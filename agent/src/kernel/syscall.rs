//! The bpf(2) calls that aya does not wrap: single and batched operations on a map by its file
//! descriptor. All of this crate's `unsafe` beside the barrier is here.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd};

/// Flags of BPF_MAP_UPDATE_ELEM: create or replace (include/uapi/linux/bpf.h).
const BPF_ANY: u64 = 0;

/// Where a batched read goes on.
pub(super) type Cursor = u64;

fn call(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<()> {
    let pointer: *mut bpf_attr = attributes;
    let size = size_of::<bpf_attr>();
    // SAFETY: `pointer` is a whole, initialised `bpf_attr` that lives through the call; the
    // pointers inside it are the caller's, who holds what they point to across the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, pointer, size) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn zeroed() -> bpf_attr {
    // SAFETY: `bpf_attr` is a union of plain integers; the kernel wants unused bytes to be zero.
    unsafe { std::mem::zeroed() }
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr() as u64
}

fn address_mut(bytes: &mut [u8]) -> u64 {
    bytes.as_mut_ptr() as u64
}

fn element(map: BorrowedFd<'_>, key: &[u8], value: u64, flags: u64) -> bpf_attr {
    let mut attributes = zeroed();
    // SAFETY: writing plain integers to a zeroed union; the element view is the one these
    // commands read.
    let view = unsafe { &mut attributes.__bindgen_anon_2 };
    view.map_fd = map.as_raw_fd().cast_unsigned();
    view.key = address(key);
    view.__bindgen_anon_1.value = value;
    view.flags = flags;
    attributes
}

/// The caller guarantees that `key` and `value` have the sizes the map was created with; `Map` is
/// the only one and checks them when it opens the map.
pub(super) fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
    let mut attributes = element(map, key, address_mut(value), 0);
    match call(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attributes) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let mut attributes = element(map, key, address(value), BPF_ANY);
    call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attributes)
}

/// Ok(false): there was no such key.
pub(super) fn delete(map: BorrowedFd<'_>, key: &[u8]) -> io::Result<bool> {
    let mut attributes = element(map, key, 0, 0);
    match call(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attributes) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first key, or the one after `key`; Ok(false) at the end.
pub(super) fn next_key(
    map: BorrowedFd<'_>,
    key: Option<&[u8]>,
    next: &mut [u8],
) -> io::Result<bool> {
    let mut attributes = element(map, key.unwrap_or_default(), address_mut(next), 0);
    if key.is_none() {
        attributes.__bindgen_anon_2.key = 0;
    }
    match call(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attributes) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Runs an XDP program once over `data`, of which the context says where metadata and frame lie.
/// What the program made of the data is written to `out`. Returns its verdict.
pub(super) fn test_run(
    program: BorrowedFd<'_>,
    data: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> io::Result<u32> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut attributes = zeroed();
    // SAFETY: writing plain integers to a zeroed union; this view is the one the command reads.
    let view = unsafe { &mut attributes.test };
    view.prog_fd = program.as_raw_fd().cast_unsigned();
    view.data_in = address(data);
    view.data_size_in = size(data);
    view.data_size_out = size(out);
    view.data_out = address_mut(out);
    view.ctx_in = address(context);
    view.ctx_size_in = size(context);
    view.repeat = 1;
    call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attributes)?;
    // SAFETY: the kernel wrote the verdict into the same view.
    Ok(unsafe { attributes.test.retval })
}

/// Number of elements done, and the error that stopped the batch, if any.
pub(super) struct Done {
    pub(super) count: u32,
    pub(super) error: Option<io::Error>,
}

fn batch(
    command: bpf_cmd,
    map: BorrowedFd<'_>,
    cursors: (u64, u64),
    keys: u64,
    values: u64,
    count: u32,
) -> Done {
    let mut attributes = zeroed();
    {
        // SAFETY: as in `element`, with the view that the batch commands read.
        let view = unsafe { &mut attributes.batch };
        (view.in_batch, view.out_batch) = cursors;
        view.keys = keys;
        view.values = values;
        view.count = count;
        view.map_fd = map.as_raw_fd().cast_unsigned();
    }
    let result = call(command, &mut attributes);
    // SAFETY: the kernel wrote how many it did into the same view (kernel/bpf/syscall.c puts the
    // count on success and on failure; when it refuses early, our own count is still there).
    let done = unsafe { attributes.batch.count };
    match result {
        Ok(()) => Done {
            count: done,
            error: None,
        },
        // Refused before the first element: the count is not the kernel's.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM)) => Done {
            count: 0,
            error: Some(error),
        },
        Err(error) => Done {
            count: done.min(count),
            error: Some(error),
        },
    }
}

/// `keys` and `values` hold `count` elements of the map's sizes.
pub(super) fn update_many(map: BorrowedFd<'_>, keys: &[u8], values: &[u8], count: u32) -> Done {
    let command = bpf_cmd::BPF_MAP_UPDATE_BATCH;
    batch(command, map, (0, 0), address(keys), address(values), count)
}

pub(super) fn delete_many(map: BorrowedFd<'_>, keys: &[u8], count: u32) -> Done {
    batch(
        bpf_cmd::BPF_MAP_DELETE_BATCH,
        map,
        (0, 0),
        address(keys),
        0,
        count,
    )
}

/// Reads up to `count` elements after the cursor (None: from the start) and moves it. ENOENT says
/// that these were the last.
pub(super) fn lookup_many(
    map: BorrowedFd<'_>,
    cursor: &mut Option<Cursor>,
    keys: &mut [u8],
    values: &mut [u8],
    count: u32,
) -> Done {
    let mut from = cursor.unwrap_or_default().to_ne_bytes();
    // A hash writes 4 bytes of bucket number here; 8 leave room.
    let mut to = [0u8; 8];
    let start = if cursor.is_some() {
        address_mut(&mut from)
    } else {
        0
    };
    let cursors = (start, address_mut(&mut to));
    let (keys, values) = (address_mut(keys), address_mut(values));
    let done = batch(
        bpf_cmd::BPF_MAP_LOOKUP_BATCH,
        map,
        cursors,
        keys,
        values,
        count,
    );
    *cursor = Some(u64::from_ne_bytes(to));
    done
}

/// Most programs at the end of one way out that are looked at; the kernel takes 64 (`BPF_MPROG_MAX`
/// in include/linux/bpf_mprog.h).
const TCX_MAX: usize = 64;

/// The ids of the tcx programs on an interface's way out. Needs no more than CAP_NET_ADMIN, unlike
/// opening them by id.
pub(super) fn outgoing_programs(interface: u32) -> io::Result<Vec<u32>> {
    let mut ids = [0u8; 4 * TCX_MAX];
    let mut attributes = zeroed();
    attributes.query.__bindgen_anon_1.target_ifindex = interface;
    attributes.query.attach_type = bpf_attach_type::BPF_TCX_EGRESS as u32;
    attributes.query.prog_ids = address_mut(&mut ids);
    attributes.query.__bindgen_anon_2.count = u32::try_from(TCX_MAX).unwrap_or(0);
    call(bpf_cmd::BPF_PROG_QUERY, &mut attributes)?;
    let (ids, _) = ids.as_chunks::<4>();
    let ids = ids.iter().map(|id| u32::from_ne_bytes(*id));
    Ok(ids.filter(|id| *id != 0).collect())
}
