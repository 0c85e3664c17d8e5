//! Issuing a ticket, for verbs and for the desk. The code has 120 bits, is shown once, and only its
//! hash is kept.

use agent_api::AuditKind;
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::{
    audit::{Written, clean, draft},
    directory::Account,
    lockout::Means,
    notices::{Kind, Notices},
    random,
    store::{NewTicket, Owner, StoreError},
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issue<'a> {
    pub(crate) account: &'a Account,
    /// How long it may be used, in seconds.
    pub(crate) seconds: i64,
    pub(crate) note: &'a str,
    /// A token that ends when another one is set up with the ticket.
    pub(crate) replaces: Option<&'a str>,
    /// Whose device it is for.
    pub(crate) owner: Option<Owner>,
    pub(crate) by: &'a str,
    pub(crate) request_id: Option<&'a str>,
}

/// A ticket that was made, with the code that is never seen again.
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) code: Zeroizing<String>,
    pub(crate) expires: i64,
    /// Where the audit record went.
    pub(crate) record: Written,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Made({})", self.id)
    }
}

/// Makes a ticket, audits it and tells the person.
pub(crate) async fn issue(
    means: Means<'_>,
    notices: &Notices,
    asked: Issue<'_>,
) -> Result<Made, StoreError> {
    let Issue { account, .. } = asked;
    let letters = Zeroizing::new(BASE32_NOPAD.encode(&random::bytes::<15>()));
    let now = means.now.as_second();
    let expires = now + asked.seconds;
    let id = random::id('k');
    let note = clean(asked.note);
    let new = NewTicket {
        id: &id,
        user_id: &account.id,
        user_name: &account.name,
        code: random::digest(&letters),
        replaces: asked.replaces,
        issued: now,
        expires,
        issued_by: asked.by,
        note: &note,
        owner: asked.owner,
    };
    means.store.add_ticket(&new).await?;
    let mut entry = draft(AuditKind::Ticket, "issued");
    entry.user = Some(account.name.clone());
    entry.token = asked.replaces.map(str::to_owned);
    entry.reason = Some(format!("{id}: {note}"));
    entry.request_id = asked.request_id.map(str::to_owned);
    let record = means.audit.write(entry).await?;
    let until = notices.moment(expires);
    notices
        .tell(account.into(), Kind::TicketIssued, &[("until", &until)])
        .await;
    let code = grouped(&letters);
    Ok(Made {
        id,
        code,
        expires,
        record,
    })
}

/// `ABCD-EFGH-…`.
fn grouped(letters: &str) -> Zeroizing<String> {
    let mut out = String::with_capacity(letters.len() * 5 / 4);
    for (index, letter) in letters.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            out.push('-');
        }
        out.push(letter);
    }
    Zeroizing::new(out)
}
