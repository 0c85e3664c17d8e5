//! One map with typed keys and values over the raw calls.

use std::{io, marker::PhantomData, os::fd::AsFd as _};

use aya::maps::MapData;
use filter_abi::Bytes;

use super::{error::KernelError, syscall};

/// Elements in one batched call: 4,096 values of 32 bytes are 128 KiB, which stays in cache.
const BATCH: usize = 4_096;

/// A map whose key and value sizes were checked when it was opened.
pub(super) struct Map<K, V> {
    name: &'static str,
    data: MapData,
    _kv: PhantomData<fn(K) -> V>,
}

impl<K: Bytes, V: Bytes> Map<K, V> {
    /// `data` must have been checked against the layout of that name.
    pub(super) fn new(name: &'static str, data: MapData) -> Self {
        Self {
            name,
            data,
            _kv: PhantomData,
        }
    }

    fn failed(&self, what: &str, error: io::Error) -> KernelError {
        KernelError::io(format!("{what} the map {} failed", self.name), error)
    }

    pub(super) fn read(&self, key: &K) -> Result<Option<V>, KernelError> {
        let mut value = V::ZERO;
        let found = syscall::lookup(
            self.data.fd().as_fd(),
            key.to_bytes().as_ref(),
            value.as_mut(),
        )
        .map_err(|error| self.failed("reading", error))?;
        Ok(found.then(|| V::from_bytes(&value)))
    }

    /// The error is the kernel's own; E2BIG means that the map is full.
    pub(super) fn try_write(&self, key: &K, value: &V) -> io::Result<()> {
        let (key, value) = (key.to_bytes(), value.to_bytes());
        syscall::update(self.data.fd().as_fd(), key.as_ref(), value.as_ref())
    }

    pub(super) fn write(&self, key: &K, value: &V) -> Result<(), KernelError> {
        self.try_write(key, value)
            .map_err(|error| self.failed("writing", error))
    }

    pub(super) fn delete(&self, key: &K) -> Result<(), KernelError> {
        syscall::delete(self.data.fd().as_fd(), key.to_bytes().as_ref())
            .map(drop)
            .map_err(|error| self.failed("deleting from", error))
    }

    /// Every key, one call each; for the small tables.
    pub(super) fn keys(&self) -> Result<Vec<K>, KernelError> {
        let mut keys = Vec::new();
        let mut last: Option<K::Array> = None;
        loop {
            let mut next = K::ZERO;
            let from = last.as_ref().map(AsRef::as_ref);
            let more = syscall::next_key(self.data.fd().as_fd(), from, next.as_mut())
                .map_err(|error| self.failed("listing", error))?;
            if !more {
                return Ok(keys);
            }
            keys.push(K::from_bytes(&next));
            last = Some(next);
        }
    }

    /// Deletes every entry that is not to be kept; for the small tables.
    pub(super) fn retain(&self, keep: impl Fn(&K) -> bool) -> Result<(), KernelError> {
        for key in self.keys()?.iter().filter(|key| !keep(key)) {
            self.delete(key)?;
        }
        Ok(())
    }

    /// Writes many; the error is the kernel's own.
    pub(super) fn write_many(&self, entries: &[(K, V)]) -> io::Result<()> {
        for chunk in entries.chunks(BATCH) {
            let mut keys = Vec::with_capacity(size_of_val(chunk));
            let mut values = Vec::with_capacity(size_of_val(chunk));
            for (key, value) in chunk {
                keys.extend_from_slice(key.to_bytes().as_ref());
                values.extend_from_slice(value.to_bytes().as_ref());
            }
            let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let done = syscall::update_many(self.data.fd().as_fd(), &keys, &values, count);
            if let Some(error) = done.error {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Deletes many. A batch stops at the first key that is not there (kernel/bpf/syscall.c,
    /// `generic_map_delete_batch`), so it goes on behind it.
    pub(super) fn delete_many(&self, keys: &[K]) -> Result<(), KernelError> {
        let size = K::ZERO.as_ref().len();
        for chunk in keys.chunks(BATCH) {
            let mut bytes = Vec::with_capacity(chunk.len() * size);
            for key in chunk {
                bytes.extend_from_slice(key.to_bytes().as_ref());
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let count = u32::try_from(rest.len() / size).unwrap_or(u32::MAX);
                let done = syscall::delete_many(self.data.fd().as_fd(), rest, count);
                let skip = match done.error {
                    None => break,
                    Some(error) if error.raw_os_error() == Some(libc::ENOENT) => done.count + 1,
                    Some(error) => return Err(self.failed("deleting from", error)),
                };
                rest = rest.get(skip as usize * size..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Shows every entry of a hash, in pieces.
    pub(super) fn scan(&self, mut show: impl FnMut(Vec<(K, V)>)) -> Result<(), KernelError> {
        let key_size = K::ZERO.as_ref().len();
        let value_size = V::ZERO.as_ref().len();
        let mut room = BATCH;
        let mut cursor = None;
        loop {
            let (mut keys, mut values) = (vec![0; room * key_size], vec![0; room * value_size]);
            let before = cursor;
            let count = u32::try_from(room).unwrap_or(u32::MAX);
            let fd = self.data.fd().as_fd();
            let done = syscall::lookup_many(fd, &mut cursor, &mut keys, &mut values, count);
            let last = match done.error {
                None => false,
                Some(error) => match error.raw_os_error() {
                    Some(libc::ENOENT) => true,
                    // One bucket holds more than fits: try again with more room.
                    Some(libc::ENOSPC) => {
                        cursor = before;
                        room *= 2;
                        continue;
                    }
                    _ => return Err(self.failed("listing", error)),
                },
            };
            let pairs = keys
                .chunks_exact(key_size)
                .zip(values.chunks_exact(value_size));
            let entries: Vec<(K, V)> = pairs
                .take(done.count as usize)
                .map(|(key, value)| (typed::<K>(key), typed::<V>(value)))
                .collect();
            if !entries.is_empty() {
                show(entries);
            }
            if last {
                return Ok(());
            }
        }
    }
}

fn typed<T: Bytes>(bytes: &[u8]) -> T {
    let mut array = T::ZERO;
    array.as_mut().copy_from_slice(bytes);
    T::from_bytes(&array)
}
