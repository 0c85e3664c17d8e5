//! `[review]`: how often the operators are reminded to go through devices, exceptions and methods.

use serde::Deserialize;

use super::units::Length;

const DAY: u32 = 86_400;

/// The settings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Review {
    pub(crate) every: Length<{ 30 * DAY }, { 3_650 * DAY }>,
}

impl Default for Review {
    fn default() -> Self {
        Self {
            every: Length::of::<{ 365 * DAY }>(),
        }
    }
}
