//! `[recovery]`: what one of the printed recovery codes opens, together with the password.

use serde::Deserialize;

/// What a recovery code is good for, besides telling that a phone is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Opens {
    /// There are no recovery codes.
    Nothing,
    /// Setting up another authenticator, and nothing else.
    #[default]
    Enrolment,
    /// That, or one log-in in the place of a code.
    Unlock,
}

/// The settings.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recovery {
    pub(crate) opens: Opens,
}
