//! What a bind's result says about a password. Active Directory hides the reason in the text of
//! result 49; it goes to the audit, and to the person only where they can act on it.

use crate::directory::PasswordAnswer;

const SUCCESS: u32 = 0;
const CONSTRAINT_VIOLATION: u32 = 19;
const NO_SUCH_OBJECT: u32 = 32;
const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
const INVALID_CREDENTIALS: u32 = 49;
const UNWILLING: u32 = 53;

/// Err: no answer to the question at all.
pub(super) fn of(code: u32, text: &str) -> Result<PasswordAnswer, String> {
    match code {
        SUCCESS => Ok(PasswordAnswer::Right),
        INVALID_CREDENTIALS => Ok(credentials(text)),
        NO_SUCH_OBJECT => Ok(PasswordAnswer::Wrong("entry-gone")),
        INAPPROPRIATE_AUTHENTICATION => Ok(PasswordAnswer::Wrong("no-password-set")),
        // Password policies refuse so: locked, or expired beyond the grace.
        CONSTRAINT_VIOLATION => Ok(PasswordAnswer::Wrong("refused-by-policy")),
        UNWILLING => Ok(PasswordAnswer::Wrong("server-unwilling")),
        other => Err(format!("the bind ended with LDAP result {other}")),
    }
}

/// Result 49, with Active Directory's `data` sub-code if there is one.
fn credentials(text: &str) -> PasswordAnswer {
    let code = text.split("data ").nth(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default().to_ascii_lowercase()
    });
    PasswordAnswer::Wrong(match code.as_deref() {
        Some("532" | "773") => return PasswordAnswer::MustChange,
        Some("525") => "ad-525-no-such-user",
        Some("52e") => "ad-52e-wrong-password",
        Some("530") => "ad-530-not-at-this-time",
        Some("531") => "ad-531-not-from-this-station",
        Some("533") => "ad-533-disabled",
        Some("568") => "ad-568-too-many-ids",
        Some("701") => "ad-701-account-expired",
        Some("775") => "ad-775-locked-out",
        _ => "wrong-password",
    })
}
