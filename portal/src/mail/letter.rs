//! A letter: one person's notice with its headers. Addresses and header lines are made by the
//! library's types, which know no line ends; values are filled into the body only as text.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::{
    Address, Message,
    message::{
        Mailbox, SinglePart,
        header::{Header, HeaderName, HeaderValue},
    },
};

use super::{MailError, Templates};
use crate::{
    config::{Config, Mail},
    notices::Kind,
    text::Language,
};

/// RFC 3834 §5: nobody answers such a mail, not even an absence note.
#[derive(Clone, Debug)]
struct AutoSubmitted;

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        AUTO_SUBMITTED
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(AUTO_SUBMITTED, "auto-generated".into())
    }
}

/// What a letter is made of.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) kind: Kind,
    pub(crate) language: Language,
    pub(crate) user: &'a str,
    /// Of the kind, and its time.
    pub(crate) values: &'a [(&'a str, &'a str)],
}

/// Writes letters for one site.
#[derive(Debug)]
pub(crate) struct Writer {
    templates: Templates,
    from: Mailbox,
    portal: String,
    contact: String,
    url: String,
}

impl Writer {
    pub(crate) fn new(config: &Config, mail: &Mail) -> Result<Self, MailError> {
        Ok(Self {
            templates: Templates::load(mail.templates.as_deref(), config.portal.default_language)?,
            from: mail.from().clone(),
            portal: config.portal.name.clone(),
            contact: config.portal.contact.clone(),
            url: config.portal.url(),
        })
    }

    /// Subject and body.
    pub(crate) fn text(&self, letter: &Letter<'_>) -> (String, String) {
        let common = [
            ("user", letter.user),
            ("portal", self.portal.as_str()),
            ("contact", self.contact.as_str()),
            ("url", self.url.as_str()),
        ];
        let values = [&common[..], letter.values].concat();
        let filled = self.templates.fill(letter.kind, letter.language, &values);
        (filled.subject, filled.body)
    }

    /// Where a link of a mail leads.
    pub(crate) fn link(&self, token: &str) -> String {
        format!("{}/not-me?link={token}", self.url)
    }

    /// The mail as it travels. `id`: its own part of the Message-ID.
    pub(crate) fn write(
        &self,
        letter: &Letter<'_>,
        to: Address,
        id: &str,
        now: Timestamp,
    ) -> Result<Message, MailError> {
        let (subject, body) = self.text(letter);
        // The library folds long lines of a header, and encodes what is not ASCII.
        let subject: String = subject.chars().filter(|c| !c.is_control()).collect();
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(SystemTime::from(now))
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(AutoSubmitted)
            .singlepart(SinglePart::plain(body))
            .map_err(|e| MailError::Other(format!("the mail cannot be written: {e}")))
    }
}
