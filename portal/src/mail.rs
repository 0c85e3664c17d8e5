//! Mail: the texts, the letter, the server, and the task that carries what waits. It reads the
//! queue and nothing waits for it; what cannot be sent is tried again and given up in the end.

mod delivery;
mod letter;
mod post;
mod templates;

pub(crate) use delivery::Delivery;
pub(crate) use letter::{Letter, Writer};
pub(crate) use post::{Post, Posted, SmtpPost};
pub(crate) use templates::Templates;

/// Why no mail can be sent at all; told at start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    #[error(transparent)]
    Template(#[from] templates::TemplateError),
    #[error("{path}: {what}")]
    File { path: String, what: String },
    #[error("mail cannot be sent: {0}")]
    Other(String),
}
