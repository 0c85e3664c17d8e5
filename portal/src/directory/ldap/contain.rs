//! Runs the LDAP library in tasks of its own. It stops with a panic at answers it cannot read; such
//! a panic ends that one task and reads as "no answer" here.

use std::{fmt, panic};

use ldap3::LdapError;
use tokio::task::JoinSet;

use super::verdict;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    Ldap(LdapError),
    Unreadable,
}

impl Fault {
    /// True: nothing came in time.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Ldap(LdapError::Timeout { .. }))
    }

    /// True: the server answered clearly, another connection would hear the same.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Ldap(LdapError::LdapResult { .. } | LdapError::AdapterInit(_))
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ldap(LdapError::LdapResult { result }) => {
                write!(f, "LDAP result {result}")?;
                match verdict::advice(result.rc, &result.text) {
                    Some(advice) => write!(f, ": {advice}"),
                    None => Ok(()),
                }
            }
            Self::Ldap(error) => error.fmt(f),
            Self::Unreadable => f.write_str("the server's answer cannot be read"),
        }
    }
}

impl From<LdapError> for Fault {
    fn from(error: LdapError) -> Self {
        Self::Ldap(error)
    }
}

/// Runs `work` in its own task; dropping this ends it.
pub(super) async fn contain<T: Send + 'static>(
    work: impl Future<Output = Result<T, LdapError>> + Send + 'static,
) -> Result<T, Fault> {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(result)) => Ok(result?),
        Some(Err(_)) | None => Err(Fault::Unreadable),
    }
}

/// Says a panic of the LDAP library as what it is; every other panic is reported as before.
pub(crate) fn quiet_library() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let file = info.location().map_or("", |location| location.file());
        if file.contains("ldap3") || file.contains("lber") {
            tracing::warn!("an LDAP server sent something that cannot be read");
        } else {
            before(info);
        }
    }));
}
