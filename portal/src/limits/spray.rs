//! Notices spraying: many users tried from one source, or one user from many sources, within ten
//! minutes. It refuses nothing; the limits do. Memory is bounded on both axes.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use lru::LruCache;

use super::SourceKey;
use crate::config;

const WINDOW: i64 = 600;
/// Sources and users watched at most, each.
const WATCHED: usize = 16_384;

/// What was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SprayKind {
    ManyUsersFromOneSource,
    OneUserFromManySources,
}

impl SprayKind {
    /// The audit's word.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::ManyUsersFromOneSource => "spray-many-users",
            Self::OneUserFromManySources => "spray-many-sources",
        }
    }
}

/// What was seen in one window: hashes of the other side, at most as many as the threshold.
#[derive(Debug)]
struct Seen {
    since: i64,
    others: Vec<u64>,
    told: bool,
}

/// Watches both axes.
#[derive(Debug)]
pub(crate) struct Spray {
    hasher: RandomState,
    users: usize,
    sources: usize,
    by_source: Mutex<LruCache<u64, Seen>>,
    by_user: Mutex<LruCache<u64, Seen>>,
}

impl Spray {
    pub(crate) fn new(limits: &config::Limits) -> Self {
        let cache = || {
            Mutex::new(LruCache::new(
                NonZeroUsize::new(WATCHED).unwrap_or(NonZeroUsize::MIN),
            ))
        };
        let threshold = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            hasher: RandomState::new(),
            users: threshold(limits.spray_users.value()),
            sources: threshold(limits.spray_sources.value()),
            by_source: cache(),
            by_user: cache(),
        }
    }

    /// Notes a failed attempt; what it completes is told once per window.
    pub(crate) fn note(&self, source: SourceKey, user: &str, now: Timestamp) -> Vec<SprayKind> {
        let now = now.as_second();
        let source = self.hasher.hash_one(source);
        let user = self.hasher.hash_one(user);
        let mut told = Vec::new();
        if note(&self.by_source, source, user, self.users, now) {
            told.push(SprayKind::ManyUsersFromOneSource);
        }
        if note(&self.by_user, user, source, self.sources, now) {
            told.push(SprayKind::OneUserFromManySources);
        }
        told
    }
}

/// True when `one` has now been seen with `threshold` others for the first time in its window.
fn note(
    cache: &Mutex<LruCache<u64, Seen>>,
    one: u64,
    other: u64,
    threshold: usize,
    now: i64,
) -> bool {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = || Seen {
        since: now,
        others: Vec::new(),
        told: false,
    };
    let seen = cache.get_or_insert_mut(one, fresh);
    if now - seen.since >= WINDOW {
        *seen = fresh();
    }
    if seen.others.len() < threshold && !seen.others.contains(&other) {
        seen.others.push(other);
    }
    let completed = seen.others.len() >= threshold && !seen.told;
    seen.told |= completed;
    completed
}
