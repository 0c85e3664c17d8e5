//! `[shield]`: when a source that hammers the log-in is shut out in the kernel.

use ipnet::IpNet;
use serde::Deserialize;

use super::units::{Length, Whole};

const MINUTE: u32 = 60;

/// Off, or the numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shield {
    pub(crate) enabled: bool,
    /// Attempts of one source within ten minutes that were refused because it had to wait.
    pub(crate) after: Whole<3, 100_000>,
    /// How long it is shut out; the agent takes a day at most.
    #[serde(rename = "for")]
    pub(crate) length: Length<MINUTE, 86_400>,
    /// Sources that are never shut out.
    pub(crate) spare: Vec<IpNet>,
}

impl Default for Shield {
    fn default() -> Self {
        Self {
            enabled: true,
            after: Whole::of::<100>(),
            length: Length::of::<{ 15 * MINUTE }>(),
            spare: Vec::new(),
        }
    }
}
