//! `[exceptions]`: how long one may last, and when its end is announced.

use serde::Deserialize;

use super::units::Length;

const HOUR: u32 = 3_600;
const DAY: u32 = 24 * HOUR;

/// The settings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Exceptions {
    /// No exception lasts longer.
    pub(crate) longest: Length<HOUR, { 90 * DAY }>,
    /// The person and the operators are told of its end so long before.
    pub(crate) reminder: Length<HOUR, { 14 * DAY }>,
}

impl Default for Exceptions {
    fn default() -> Self {
        Self {
            longest: Length::of::<{ 14 * DAY }>(),
            reminder: Length::of::<DAY>(),
        }
    }
}
