//! What operators have to say to everybody, such as maintenance: set and cleared by a verb, kept in
//! the database, shown on every page until its time is over.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};

use crate::{
    store::{Store, StoreError},
    text::Language,
};

const FACT: &str = "banner";
/// For how many seconds a portal goes by what it read last.
const KEPT: i64 = 2;
/// Longest text, in characters.
pub(crate) const TEXT_MAX: usize = 400;

/// A text per language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Banner {
    /// By tag.
    pub(crate) texts: BTreeMap<String, String>,
    /// Seconds; None: until it is cleared.
    pub(crate) until: Option<i64>,
}

impl Banner {
    /// The tag and the text for a reader: in their language, in the site's, or in any.
    pub(crate) fn text(&self, language: Language, default: Language) -> Option<(&str, &str)> {
        let of = |language: Language| self.texts.get_key_value(language.tag());
        let found = of(language).or_else(|| of(default));
        let found = found.or_else(|| self.texts.first_key_value());
        found.map(|(tag, text)| (tag.as_str(), text.as_str()))
    }

    /// The banner there is, over or not.
    pub(crate) async fn read(store: &Store) -> Result<Option<Self>, StoreError> {
        let kept = store.fact(FACT).await?.unwrap_or_default();
        // Nothing kept means: cleared.
        Ok(serde_json::from_str(&kept).ok())
    }

    pub(crate) async fn set(&self, store: &Store) -> Result<(), StoreError> {
        let kept = serde_json::to_string(self).unwrap_or_default();
        store.set_fact(FACT, &kept).await
    }

    pub(crate) async fn clear(store: &Store) -> Result<(), StoreError> {
        store.set_fact(FACT, "").await
    }
}

/// The banner as pages read it.
#[derive(Debug, Default)]
pub(crate) struct Banners(Mutex<Option<(i64, Option<Arc<Banner>>)>>);

impl Banners {
    /// What is to be shown at a moment, in seconds. A database that fails shows nothing: it is told
    /// where it matters.
    pub(crate) async fn at(&self, store: &Store, now: i64) -> Option<Arc<Banner>> {
        let kept = self.0.lock().ok().and_then(|kept| kept.clone());
        let fresh = kept.filter(|(at, _)| (0..KEPT).contains(&(now - at)));
        let banner = match fresh {
            Some((_, banner)) => banner,
            None => {
                let read = Banner::read(store).await.ok().flatten().map(Arc::new);
                if let Ok(mut kept) = self.0.lock() {
                    *kept = Some((now, read.clone()));
                }
                read
            }
        };
        banner.filter(|banner| banner.until.is_none_or(|until| now < until))
    }
}

#[cfg(test)]
mod tests;
