//! What the forms with a name and a password have in common (`/login`, `/lost`, `/resync`,
//! `/ticket`): how what was typed is read, and which name stands in the field of the page.

use super::{
    form::Form,
    visit::{Away, Visit},
};
use crate::{
    directory::UserName,
    login::{Second, Typed},
};

/// What was typed, with what was shown beside the password.
pub(super) fn typed<'a>(
    visit: &'a Visit,
    form: &'a Form,
    second: Second<'a>,
) -> Result<Typed<'a>, Away> {
    Ok(Typed {
        username: form.text("username"),
        password: form.text("password"),
        second,
        from: visit.from()?,
        request_id: &visit.id,
    })
}

/// The name that a page begins with: the one this browser was asked to remember.
pub(super) fn remembered(visit: &Visit) -> String {
    let name = visit.remembered.as_ref();
    name.map(|name| name.as_str().to_owned())
        .unwrap_or_default()
}

/// The name that stands on the page again after a refusal; nothing where it could be nobody's.
pub(super) fn name_again(form: &Form) -> String {
    let name = UserName::parse(form.text("username"));
    name.map(|name| name.as_str().to_owned())
        .unwrap_or_default()
}
