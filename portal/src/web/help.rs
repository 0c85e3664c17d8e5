//! `/help`: what people see, why, and what to do, each under an anchor that errors link to; a short
//! guide; the site's own text.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    page::{Page, render},
    visit::Visit,
};
use crate::{
    look::{Block, HelpText, Span},
    portal::Portal,
};

#[derive(Debug, Template)]
#[template(path = "help.html")]
struct HelpPage<'a> {
    page: Page<'a>,
    own: Option<HelpText<'a>>,
}

/// One symptom: anchor, what is seen, likely cause, what to do.
struct Symptom {
    anchor: &'static str,
    seen: String,
    cause: String,
    remedy: String,
}

impl HelpPage<'_> {
    fn symptoms(&self) -> Vec<Symptom> {
        let s = &self.page.t.symptoms;
        let rows = [
            ("refused", &s.refused, &s.refused_why, &s.refused_do),
            ("never", &s.never, &s.never_why, &s.never_do),
            ("sometimes", &s.sometimes, &s.sometimes_why, &s.sometimes_do),
            ("used", &s.used, &s.used_why, &s.used_do),
            ("clock", &s.clock, &s.clock_why, &s.clock_do),
            ("accounts", &s.accounts, &s.accounts_why, &s.accounts_do),
            ("no-code", &s.no_code, &s.no_code_why, &s.no_code_do),
            ("push", &s.push, &s.push_why, &s.push_do),
            ("waiting", &s.waiting, &s.waiting_why, &s.waiting_do),
            ("password", &s.password, &s.password_why, &s.password_do),
            ("lost", &s.lost, &s.lost_why, &s.lost_do),
            ("ticket", &s.ticket, &s.ticket_why, &s.ticket_do),
            ("token", &s.token, &s.token_why, &s.token_do),
            ("passkey", &s.passkey, &s.passkey_why, &s.passkey_do),
            ("address", &s.address, &s.address_why, &s.address_do),
            ("shut", &s.shut, &s.shut_why, &s.shut_do),
            ("shared", &s.shared, &s.shared_why, &s.shared_do),
            ("ended", &s.ended, &s.ended_why, &s.ended_do),
            ("down", &s.down, &s.down_why, &s.down_do),
        ];
        let symptom =
            |(anchor, seen, why, remedy): (&'static str, &String, &String, &String)| Symptom {
                anchor,
                seen: self.page.issued(seen),
                cause: self.page.issued(why),
                remedy: self.page.issued(remedy),
            };
        rows.into_iter().map(symptom).collect()
    }

    fn guide(&self) -> [(&str, &str); 9] {
        let g = &self.page.t.guide;
        [
            (&g.what, &g.what_text),
            (&g.set_up, &g.set_up_text),
            (&g.sign_in, &g.sign_in_text),
            (&g.second, &g.second_text),
            (&g.recovery, &g.recovery_text),
            (&g.backup, &g.backup_text),
            (&g.update, &g.update_text),
            (&g.tidy, &g.tidy_text),
            (&g.retire, &g.retire_text),
        ]
        .map(|(title, text)| (title.as_str(), text.as_str()))
    }
}

/// `GET /help`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let default = portal.config.portal.default_language;
    let page = HelpPage {
        own: portal.look.help(visit.language, default),
        page: visit.page(&portal, "/help"),
    };
    render(&visit, StatusCode::OK, &page)
}
