//! How often the directory is looked through for leavers, and how many may go at once before a
//! person has to look first.

use crate::config::units::{Length, Whole};

/// `watch`, `watch_share` and `watch_least` of `[directory]`.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) every: Length<5, 3600>,
    /// Per cent of the people looked at; more are held back.
    pub(crate) share: Whole<1, 100>,
    /// So many may always go, whatever the share.
    pub(crate) least: Whole<1, 100_000>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            every: Length::of::<60>(),
            share: Whole::of::<33>(),
            least: Whole::of::<10>(),
        }
    }
}
