//! A person of the laboratory: a user name, a password, a phone and a browser at one machine.

use anyhow::{Context as _, Result};

use super::{layout::home, record::Lab};
use crate::{
    codes::Phone,
    curl::{Browser, Page},
    net::Namespace,
};

pub(super) struct Person {
    pub(super) name: String,
    password: String,
    pub(super) phone: Phone,
    browser: Browser,
    url: String,
}

impl Person {
    pub(super) fn new(lab: &Lab, name: &str, at: Namespace, url: &str) -> Result<Self> {
        let user = lab
            .users
            .iter()
            .find(|user| user.name == name)
            .context("no such person")?;
        Ok(Self {
            name: user.name.clone(),
            password: user.password.clone(),
            phone: Phone::new(&user.totp_secret),
            browser: Browser::new(Some(at), &lab.portal.ca, home(&format!("cookies-{name}"))),
            url: url.to_owned(),
        })
    }

    /// The same person at a browser that was never here: without the cookie of a log-in before,
    /// with which a repeated form is answered as the first one was.
    pub(super) fn with_new_browser(&mut self, lab: &Lab, at: Namespace) {
        self.browser = Browser::new(Some(at), &lab.portal.ca, home("cookies-new"));
    }

    pub(super) fn log_in(&self, code: &str, more: &[(&str, &str)]) -> Result<Page> {
        self.log_in_with(&self.password, code, more)
    }

    pub(super) fn log_in_with(
        &self,
        password: &str,
        code: &str,
        more: &[(&str, &str)],
    ) -> Result<Page> {
        let mut form = vec![
            ("username", &*self.name),
            ("password", password),
            ("code", code),
        ];
        form.extend(more);
        self.post("/login", &form)
    }

    pub(super) fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Page> {
        self.browser.post(&format!("{}{path}", self.url), form)
    }
}
