//! What a bind's result says about a password. Active Directory hides the reason in the text of
//! result 49, password policies in a control; it goes to the audit, and to the person only where
//! they can act on it.

use super::policy::Policy;
use crate::directory::PasswordAnswer;

const SUCCESS: u32 = 0;
const STRONGER_AUTH_REQUIRED: u32 = 8;
const CONFIDENTIALITY_REQUIRED: u32 = 13;
const CONSTRAINT_VIOLATION: u32 = 19;
const NO_SUCH_OBJECT: u32 = 32;
const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
const INVALID_CREDENTIALS: u32 = 49;
const UNWILLING: u32 = 53;

/// Err: no answer to the question at all.
pub(super) fn of(code: u32, text: &str, policy: Option<Policy>) -> Result<PasswordAnswer, String> {
    match (code, policy) {
        // A password that is too old opens nothing, even where the server still lets it pass.
        (SUCCESS | INVALID_CREDENTIALS, Some(Policy::Expired)) => {
            Ok(PasswordAnswer::MustChange("ppolicy-password-expired"))
        }
        (SUCCESS, Some(Policy::ChangeAfterReset)) => {
            Ok(PasswordAnswer::MustChange("ppolicy-change-after-reset"))
        }
        (SUCCESS, Some(Policy::Grace(_))) => Ok(PasswordAnswer::MustChange("ppolicy-grace")),
        (INVALID_CREDENTIALS, Some(Policy::Locked)) => {
            Ok(PasswordAnswer::Wrong("ppolicy-locked-out"))
        }
        (SUCCESS, _) => Ok(PasswordAnswer::Right),
        (INVALID_CREDENTIALS, _) => Ok(credentials(text)),
        (NO_SUCH_OBJECT, _) => Ok(PasswordAnswer::Wrong("entry-gone")),
        (INAPPROPRIATE_AUTHENTICATION, _) => Ok(PasswordAnswer::Wrong("no-password-set")),
        // Password policies refuse so: locked, or expired beyond the grace.
        (CONSTRAINT_VIOLATION, _) => Ok(PasswordAnswer::Wrong("refused-by-policy")),
        (UNWILLING, _) => Ok(PasswordAnswer::Wrong("server-unwilling")),
        (other, _) => Err(match advice(other, text) {
            Some(advice) => format!("the bind ended with LDAP result {other}: {advice}"),
            None => format!("the bind ended with LDAP result {other}"),
        }),
    }
}

/// What an operator has to do about a result that is the set-up's fault. `text` is the server's.
pub(super) fn advice(code: u32, text: &str) -> Option<String> {
    match code {
        STRONGER_AUTH_REQUIRED | CONFIDENTIALITY_REQUIRED => Some(
            "the server wants TLS or signing (strongerAuthRequired) and saw neither: let `urls` \
             name the directory itself by ldaps:// (636; Global Catalog 3269), or by ldap:// with \
             starttls = true; something between that ends TLS and goes on in plain is refused so, \
             too"
            .into(),
        ),
        INVALID_CREDENTIALS => match credentials(text) {
            PasswordAnswer::MustChange(why) | PasswordAnswer::Wrong(why) => Some(format!(
                "bind_dn cannot log in ({why}): check bind_dn, the password in \
                 bind_password_file, and that account"
            )),
            PasswordAnswer::Right => None,
        },
        _ => None,
    }
}

/// Active Directory's `data` sub-code, in lower case.
fn sub_code(text: &str) -> Option<String> {
    let rest = text.split("data ").nth(1)?;
    let end = rest
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(rest.len());
    Some(rest.get(..end)?.to_ascii_lowercase())
}

/// Result 49, by the sub-code if there is one.
fn credentials(text: &str) -> PasswordAnswer {
    PasswordAnswer::Wrong(match sub_code(text).as_deref() {
        Some("532") => return PasswordAnswer::MustChange("ad-532-password-expired"),
        Some("773") => return PasswordAnswer::MustChange("ad-773-must-change"),
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
