//! The filter of sources (`filter_abi::mark`), kept in step with the grants: every source is
//! marked before its grant is written, so that the filter never hides one. Marks of grants that
//! ended stay until the filter is made anew; they cost a look-up, never an admission.

use filter_abi::{Sources, WORDS_MIN, mark};

use super::{error::KernelError, map::Map};

/// Grants for each word at which the filter is made anew: 8 bits for each grant, of which about
/// one stranger in 25 gets through to the table.
const FULL: usize = 8;
/// Grants for each word that a new filter is made for.
const ROOMY: usize = 4;

/// Words of the largest filter that a capacity can need.
pub(super) fn words_max(capacity: u32) -> u32 {
    let full = u32::try_from(FULL).unwrap_or(u32::MAX);
    capacity.div_ceil(full).next_power_of_two().max(WORDS_MIN)
}

/// One family's filter. `SOURCES` has two stretches for it: one in force, one to build the next.
pub(super) struct SourceFilter {
    /// First word of the two stretches.
    first: u32,
    words_max: u32,
    place: Sources,
    words: Vec<u64>,
    marks: usize,
    /// Marks at which the filter is made anew.
    limit: usize,
}

impl SourceFilter {
    /// A filter of which nothing is known yet: the first source makes it anew.
    pub(super) fn new(first: u32, words_max: u32, place: Sources) -> Self {
        Self {
            first,
            words_max,
            place,
            words: Vec::new(),
            marks: 0,
            limit: 0,
        }
    }

    /// Whether so many more sources find room without making the filter anew.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.marks + more <= self.limit
    }

    /// Marks sources in the filter in force.
    pub(super) fn add(
        &mut self,
        map: &Map<u32, u64>,
        seed: u64,
        sources: impl Iterator<Item = u64>,
    ) -> Result<(), KernelError> {
        let mut dirty = Vec::new();
        for source in sources {
            let mark = mark(self.place, seed, source);
            self.marks += 1;
            let at = (mark.word - self.place.base) as usize;
            if let Some(word) = self.words.get_mut(at)
                && *word & mark.bits != mark.bits
            {
                *word |= mark.bits;
                dirty.push(mark.word);
            }
        }
        dirty.sort_unstable();
        dirty.dedup();
        let written: Vec<(u32, u64)> = dirty
            .into_iter()
            .filter_map(|word| {
                let at = (word - self.place.base) as usize;
                Some((word, *self.words.get(at)?))
            })
            .collect();
        map.write_many(&written)
            .map_err(|error| KernelError::io("marking sources failed", error))
    }

    /// Builds the next filter, with room for `more` beside `sources`, where nobody looks yet.
    /// It is in force once its place stands in the settings.
    pub(super) fn renew(
        &mut self,
        map: &Map<u32, u64>,
        seed: u64,
        sources: &[u64],
        more: usize,
    ) -> Result<Sources, KernelError> {
        let wanted = (sources.len() + more).div_ceil(ROOMY);
        let words = u32::try_from(wanted)
            .unwrap_or(u32::MAX)
            .clamp(WORDS_MIN, self.words_max)
            .next_power_of_two()
            .min(self.words_max);
        let other = if self.place.base == self.first {
            self.first + self.words_max
        } else {
            self.first
        };
        self.place = Sources {
            base: other,
            mask: words - 1,
        };
        self.words = vec![0; words as usize];
        for &source in sources {
            let mark = mark(self.place, seed, source);
            let at = (mark.word - self.place.base) as usize;
            if let Some(word) = self.words.get_mut(at) {
                *word |= mark.bits;
            }
        }
        self.marks = sources.len();
        // Where the table is as large as it gets, a fuller filter is better than making it anew
        // for every grant.
        self.limit = (words as usize * FULL).max((sources.len() + more) * 5 / 4);
        let all: Vec<(u32, u64)> = (self.place.base..)
            .zip(self.words.iter().copied())
            .collect();
        map.write_many(&all)
            .map_err(|error| KernelError::io("writing the filter of sources failed", error))?;
        Ok(self.place)
    }
}
