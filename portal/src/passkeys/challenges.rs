//! Challenges that wait for their reply: each is taken once, ends after two minutes, and belongs to
//! the source it was given to. Bounded: a source pushes out only its own, and only when it has more
//! under way than an office behind one address would.

use std::{
    collections::VecDeque,
    fmt,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;

use crate::{limits::SourceKey, random};

/// How long a browser may take, in seconds.
const LIFE: i64 = 120;
const SOURCES: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
const OF_ONE_SOURCE: usize = 32;

struct Waiting<T> {
    id: String,
    expires: i64,
    state: T,
}

/// Keeps what belongs to each challenge.
pub(super) struct Challenges<T>(Mutex<LruCache<SourceKey, VecDeque<Waiting<T>>>>);

impl<T> Default for Challenges<T> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(SOURCES)))
    }
}

impl<T> fmt::Debug for Challenges<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges(…)")
    }
}

impl<T> Challenges<T> {
    /// Keeps a challenge's state; gives the id to ask for it with.
    pub(super) fn keep(&self, from: SourceKey, state: T, now: i64) -> String {
        let id = random::handle();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.get_or_insert_mut(from, VecDeque::new);
        waiting.retain(|one| one.expires > now);
        if waiting.len() == OF_ONE_SOURCE {
            waiting.pop_front();
        }
        waiting.push_back(Waiting {
            id: id.clone(),
            expires: now + LIFE,
            state,
        });
        id
    }

    /// Takes it. None: no such challenge from there, taken before, or too late.
    pub(super) fn take(&self, from: SourceKey, id: &str, now: i64) -> Option<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.get_mut(&from)?;
        let at = waiting.iter().position(|one| one.id == id)?;
        let one = waiting.remove(at)?;
        (one.expires > now).then_some(one.state)
    }
}
