//! Reading the ring of dropped packets.

use std::io;

use aya::maps::{Map, MapData, RingBuf};
use filter_abi::{SAMPLE_BYTES, names};

use super::{error::KernelError, layout::Layout, pins::Pins};

/// The one reader of the ring.
pub struct Samples(RingBuf<MapData>);

/// A dropped packet as the program wrote it down (`filter_abi::Sample`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// CLOCK_BOOTTIME.
    pub at_ns: u64,
    pub interface: u32,
    /// `Reason as u32`.
    pub reason: u32,
    /// Number of the service, 0 for none.
    pub service: u32,
    /// Bytes of the frame.
    pub length: u32,
    pub observed: bool,
    /// The first of them.
    pub frame: Vec<u8>,
}

impl Samples {
    /// Opens the pinned ring.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        let layout = Layout::of(names::SAMPLES)
            .ok_or_else(|| KernelError::Rejected("there is no layout of the ring".into()))?;
        let path = pins.map(layout);
        let failed = |error: aya::maps::MapError| {
            KernelError::io(
                format!("opening {}", path.display()),
                io::Error::other(error),
            )
        };
        let data = MapData::from_pin(&path).map_err(failed)?;
        if !layout.fits(&data, 0) {
            return Err(KernelError::Rejected(format!(
                "{} is not the map of this version",
                path.display()
            )));
        }
        RingBuf::try_from(Map::RingBuf(data))
            .map(Self)
            .map_err(failed)
    }

    /// The oldest sample that was not read yet.
    pub fn oldest(&mut self) -> Option<Dropped> {
        loop {
            let item = self.0.next()?;
            if let Some(dropped) = read(&item) {
                return Some(dropped);
            }
        }
    }
}

/// The fields of `filter_abi::Sample`, one after the other.
fn read(bytes: &[u8]) -> Option<Dropped> {
    let (at, rest) = bytes.split_first_chunk::<8>()?;
    let (words, frame) = rest.split_first_chunk::<24>()?;
    let mut words = words
        .chunks_exact(4)
        .filter_map(|word| word.first_chunk().copied())
        .map(u32::from_ne_bytes);
    let (interface, reason, service) = (words.next()?, words.next()?, words.next()?);
    let (length, captured, observed) = (words.next()?, words.next()?, words.next()?);
    let captured = usize::try_from(captured).ok()?.min(SAMPLE_BYTES);
    Some(Dropped {
        at_ns: u64::from_ne_bytes(*at),
        interface,
        reason,
        service,
        length,
        observed: observed != 0,
        frame: frame.get(..captured)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_as_the_program_writes_it() {
        let mut bytes = 7u64.to_ne_bytes().to_vec();
        for word in [3u32, 14, 2, 1_500, 4, 1] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend([0xaa; SAMPLE_BYTES]);
        assert_eq!(bytes.len(), size_of::<filter_abi::Sample>());
        let dropped = read(&bytes).unwrap();
        assert_eq!(
            (
                dropped.at_ns,
                dropped.interface,
                dropped.reason,
                dropped.service
            ),
            (7, 3, 14, 2)
        );
        assert_eq!((dropped.length, dropped.observed), (1_500, true));
        assert_eq!(dropped.frame, [0xaa; 4]);
        assert_eq!(read(&bytes[..20]), None);
    }
}
