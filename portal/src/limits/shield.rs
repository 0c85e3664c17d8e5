//! Notices a source that goes on trying although it has to wait, so that it can be shut out of the
//! kernel for a while. It refuses nothing by itself, and its memory is bounded.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use ipnet::IpNet;
use jiff::Timestamp;
use lru::LruCache;

use super::SourceKey;
use crate::config;

/// Attempts are counted over this many seconds.
const WINDOW: i64 = 600;

#[derive(Debug)]
struct Seen {
    since: i64,
    refused: u32,
}

/// Counts what was refused, source by source.
#[derive(Debug)]
pub(crate) struct Shield {
    after: u32,
    spare: Vec<IpNet>,
    seen: Mutex<LruCache<SourceKey, Seen>>,
}

impl Shield {
    /// None: it is switched off.
    pub(crate) fn new(shield: &config::Shield, limits: &config::Limits) -> Option<Self> {
        let remembered = usize::try_from(limits.sources_remembered.value()).unwrap_or(1_000);
        shield.enabled.then(|| Self {
            after: shield.after.value(),
            spare: shield.spare.clone(),
            seen: Mutex::new(LruCache::new(
                NonZeroUsize::new(remembered).unwrap_or(NonZeroUsize::MIN),
            )),
        })
    }

    /// Counts an attempt that was refused because its source had to wait. Some: the prefix of a
    /// source that is to be shut out now; its count begins anew.
    pub(crate) fn note(&self, source: SourceKey, now: Timestamp) -> Option<IpNet> {
        let prefix = source.prefix();
        if self.spare.iter().any(|spare| meet(spare, &prefix)) {
            return None;
        }
        let now = now.as_second();
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.get_or_insert_mut(source, || Seen {
            since: now,
            refused: 0,
        });
        if now - seen.since >= WINDOW {
            (seen.since, seen.refused) = (now, 0);
        }
        seen.refused += 1;
        if seen.refused < self.after {
            return None;
        }
        all.pop(&source);
        Some(prefix)
    }
}

/// Whether two prefixes have an address in common.
pub(crate) fn meet(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
