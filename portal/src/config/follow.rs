//! `follow`: what a live cookie may do at another address than the one it was made for.

use serde::Deserialize;

/// The policy, safest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Follow {
    /// Nothing: the person logs in again.
    #[default]
    Refuse,
    /// Move what is open, for a code of now.
    Code,
    /// Move what is open. A stolen cookie can do that, too.
    Move,
}
