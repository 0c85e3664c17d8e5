//! `[clock]`: whom to ask for the time. Codes are made of it, so a portal whose clock is wrong lets
//! nobody in until it is right again.

use serde::Deserialize;

use super::units::Length;

/// The settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClockCheck {
    /// Names or addresses of NTP servers, with `:port` if it is not 123. Empty: nobody is asked.
    pub(crate) servers: Vec<String>,
    /// More than this counts as wrong.
    pub(crate) most_off: Length<5, 300>,
    /// How often they are asked.
    pub(crate) every: Length<10, 86_400>,
}

impl Default for ClockCheck {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            most_off: Length::of::<30>(),
            every: Length::of::<600>(),
        }
    }
}
