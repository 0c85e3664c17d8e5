//! What the program leaves behind in its maps, read back.

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, Pod,
    maps::{HashMap, MapError, RingBuf},
};
use filter_abi::{Bytes, SAMPLE_BYTES, names};

/// A sample out of the ring.
#[derive(Clone, Debug)]
pub struct Sample {
    pub now_ns: u64,
    pub reason: u32,
    pub service: u32,
    pub length: u32,
    pub observed: u32,
    pub start: Vec<u8>,
}

/// One entry of a hash.
pub fn one<K: Bytes, V: Bytes>(ebpf: &Ebpf, name: &str, key: &K) -> Result<Option<V>>
where
    K::Array: Pod,
    V::Array: Pod,
{
    let map: HashMap<_, K::Array, V::Array> = ebpf
        .map(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    match map.get(&key.to_bytes(), 0) {
        Ok(value) => Ok(Some(V::from_bytes(&value))),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error).with_context(|| name.to_owned()),
    }
}

/// All entries of a hash.
pub fn all<K: Bytes, V: Bytes>(ebpf: &Ebpf, name: &str) -> Result<Vec<(K, V)>>
where
    K::Array: Pod,
    V::Array: Pod,
{
    let map: HashMap<_, K::Array, V::Array> = ebpf
        .map(name)
        .with_context(|| name.to_owned())?
        .try_into()?;
    let mut entries = Vec::new();
    for entry in map.iter() {
        let (key, value) = entry.with_context(|| name.to_owned())?;
        entries.push((K::from_bytes(&key), V::from_bytes(&value)));
    }
    Ok(entries)
}

/// The samples that nobody took yet.
pub fn samples(ebpf: &mut Ebpf) -> Result<Vec<Sample>> {
    let map = ebpf.map_mut(names::SAMPLES).context(names::SAMPLES)?;
    let mut ring = RingBuf::try_from(map)?;
    let mut samples = Vec::new();
    while let Some(bytes) = ring.next() {
        samples.push(sample(&bytes)?);
    }
    Ok(samples)
}

/// `filter_abi::Sample`, field by field.
fn sample(bytes: &[u8]) -> Result<Sample> {
    ensure!(
        bytes.len() == size_of::<filter_abi::Sample>(),
        "a sample of {} bytes",
        bytes.len()
    );
    let (head, frame) = bytes.split_at(bytes.len() - SAMPLE_BYTES);
    let number = |at: usize| -> Result<u32> {
        let word = head.get(at..at + 4).context("a short sample")?;
        Ok(u32::from_ne_bytes(word.try_into()?))
    };
    let captured = usize::try_from(number(24)?)?;
    let start = frame
        .get(..captured)
        .context("more than there is room for")?;
    let moment = head.get(..8).context("a short sample")?;
    Ok(Sample {
        now_ns: u64::from_ne_bytes(moment.try_into()?),
        reason: number(12)?,
        service: number(16)?,
        length: number(20)?,
        observed: number(28)?,
        start: start.to_vec(),
    })
}
