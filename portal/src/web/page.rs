//! The pages' data. What a template shows is prepared here or in its handler; templates decide
//! nothing but layout, and everything they print is escaped.

pub(super) mod desk;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http::StatusCode;
use zeroize::Zeroizing;

use super::{statics, times, times::Moment, visit::Visit};
use crate::{
    client_addr::ClientAddr,
    config::{Follow, Link},
    look::Look,
    portal::Portal,
    text::{Language, Words},
};

/// What a notice is about; decides its look and how urgently it is read out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Info,
    Bad,
}

/// A sentence above the page's content.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) tone: Tone,
    pub(super) text: String,
    /// Where the help page says more.
    pub(super) help: Option<&'static str>,
}

impl Notice {
    fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
            help: None,
        }
    }

    /// With a link to this part of the help page.
    pub(super) fn see(self, part: &'static str) -> Self {
        Self {
            help: Some(part),
            ..self
        }
    }

    pub(super) fn good(text: impl Into<String>) -> Self {
        Self::new(Tone::Good, text)
    }

    pub(super) fn info(text: impl Into<String>) -> Self {
        Self::new(Tone::Info, text)
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(Tone::Bad, text)
    }

    pub(super) fn is_bad(&self) -> bool {
        self.tone == Tone::Bad
    }

    pub(super) fn class(&self) -> &'static str {
        match self.tone {
            Tone::Good => "good",
            Tone::Info => "info",
            Tone::Bad => "bad",
        }
    }

    pub(super) fn label<'a>(&self, words: &'a Words) -> &'a str {
        match self.tone {
            Tone::Good => &words.common.done,
            Tone::Info => &words.common.note,
            Tone::Bad => &words.common.error,
        }
    }
}

/// What every page has.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) t: &'a Words,
    pub(super) language: Language,
    pub(super) brand: &'a str,
    pub(super) issuer: &'a str,
    pub(super) contact: &'a str,
    pub(super) feedback: Option<&'a str>,
    pub(super) url: String,
    pub(super) request: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) here: &'static str,
    pub(super) zone: String,
    /// The present, for the countdown: a phone's own clock may be wrong.
    pub(super) now: i64,
    pub(super) notices: Vec<Notice>,
    /// The part of the help page about what is shown.
    pub(super) topic: Option<&'static str>,
    pub(super) look: &'a Look,
    /// Language and text.
    pub(super) banner: Option<(&'a str, &'a str)>,
    pub(super) support: Support,
    pub(super) languages: Vec<(Language, &'a str)>,
    pub(super) assets: &'static str,
}

/// What helps whoever is asked for help. Nothing secret: it is meant to be sent around.
#[derive(Debug)]
pub(super) struct Support {
    pub(super) time: String,
    pub(super) address: String,
}

impl Support {
    fn new(portal: &Portal, client: Option<ClientAddr>, zone: &str) -> Self {
        let now = portal.now().to_zoned(portal.zone.clone());
        Self {
            time: format!("{} {zone}", now.strftime("%F %T")),
            address: client.map_or("?".into(), |from| from.ip().to_string()),
        }
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

impl<'a> Page<'a> {
    pub(super) fn new(portal: &'a Portal, visit: &'a Visit, here: &'static str) -> Self {
        let config = &portal.config.portal;
        let names = portal.texts.all();
        let languages = names.map(|(own, words)| (own, words.common.language_name.as_str()));
        let zone = times::zone_name(&portal.zone, portal.now());
        let banner = visit.banner.as_deref();
        Self {
            t: portal.texts.of(visit.language),
            language: visit.language,
            brand: &config.name,
            issuer: &config.issuer,
            contact: &config.contact,
            feedback: portal.config.look.feedback.as_ref().map(Link::as_str),
            url: config.url(),
            request: &visit.id,
            user: visit.cookie.as_ref().map(|cookie| cookie.user_name()),
            here,
            support: Support::new(portal, visit.client.ok(), &zone),
            zone,
            now: portal.now().as_second(),
            notices: Vec::new(),
            topic: None,
            look: &portal.look,
            banner: banner.and_then(|text| text.text(visit.language, config.default_language)),
            languages: languages.collect(),
            assets: statics::version(),
        }
    }

    pub(super) fn with(mut self, notice: Notice) -> Self {
        self.notices.push(notice);
        self
    }

    /// A text with the issuer's name put in.
    pub(super) fn issued(&self, text: &str) -> String {
        crate::text::fill(text, &[("issuer", self.issuer)])
    }

    /// Where passkeys work.
    pub(super) fn wrong_site(&self) -> String {
        crate::text::fill(&self.t.passkey.wrong_site, &[("url", &self.url)])
    }

    pub(super) fn is_here(&self, path: &str) -> bool {
        self.here == path
    }
}

/// Renders a page; a failure is logged and answered without one.
pub(super) fn render(visit: &Visit, status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(failure) => {
            tracing::error!(request = %visit.id, %failure, "a page cannot be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) username: String,
    pub(super) remember: bool,
    pub(super) address: Option<String>,
    pub(super) code_alone: bool,
    /// There are passkeys here.
    pub(super) passkeys: bool,
}

#[derive(Debug, Template)]
#[template(path = "access.html")]
pub(super) struct AccessPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) address: String,
    pub(super) rows: Vec<AccessRow>,
    pub(super) elsewhere: Vec<AccessRow>,
    /// May open and extend from this address.
    pub(super) here: bool,
    /// What else this cookie may do about it.
    pub(super) follow: Follow,
    /// What is known of others at this address.
    pub(super) shared: Option<String>,
    pub(super) families: Option<FamiliesPart>,
    /// They are of the help desk.
    pub(super) desk: bool,
}

impl AccessPage<'_> {
    fn any_open(&self) -> bool {
        self.rows
            .iter()
            .chain(&self.elsewhere)
            .any(|row| row.open.is_some())
    }

    fn any_open_here(&self) -> bool {
        self.rows.iter().any(|row| row.open.is_some())
    }

    fn lacking(&self, row: &AccessRow) -> String {
        crate::text::fill(&self.page.t.prove.text, &[("service", &row.service)])
    }

    fn any_lacking(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.open.is_none() && row.asks.is_some())
    }

    fn any_shut(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.open.is_none() && row.allowed)
    }
}

/// What is known of the address families, and the texts of the offer to prove the other.
#[derive(Debug)]
pub(super) struct FamiliesPart {
    pub(super) rows: [FamilyRow; 2],
    /// The script does it at once.
    pub(super) auto: bool,
    pub(super) offer: String,
    pub(super) open: String,
    pub(super) working: String,
    pub(super) unreachable: String,
    pub(super) refused: String,
}

/// One address family.
#[derive(Debug)]
pub(super) struct FamilyRow {
    pub(super) label: String,
    pub(super) address: String,
    pub(super) services: String,
    pub(super) open: bool,
    /// Not the one by which the page was asked for.
    pub(super) other: bool,
}

/// One service.
#[derive(Debug)]
pub(super) struct AccessRow {
    pub(super) service: String,
    pub(super) source: String,
    /// The rules allow opening it now.
    pub(super) allowed: bool,
    /// What must be shown first.
    pub(super) asks: Option<Asks>,
    /// Where the browser may look whether the service answers.
    pub(super) probe: Option<String>,
    pub(super) open: Option<OpenRow>,
}

/// The fields of a form that shows what a service still asks for.
#[derive(Debug)]
pub(super) struct Asks {
    pub(super) password: bool,
    pub(super) code: bool,
    pub(super) passkey: bool,
}

/// An open service's figures.
#[derive(Debug)]
pub(super) struct OpenRow {
    pub(super) until: Moment,
    pub(super) deadline: i64,
    pub(super) left: String,
    pub(super) soon: bool,
    pub(super) packets: String,
    pub(super) last_seen: Option<Moment>,
}

/// One step of a crossing: a sentence and a button.
#[derive(Debug, Template)]
#[template(path = "cross.html")]
pub(super) struct CrossPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) title: String,
    pub(super) text: String,
    /// None: to `/cross/return` of this very name.
    pub(super) action: Option<String>,
    pub(super) field: (&'static str, String),
    pub(super) button: String,
}

#[derive(Debug, Template)]
#[template(path = "devices.html")]
pub(super) struct DevicesPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) devices: Vec<DeviceRow<'a>>,
    pub(super) full: bool,
    /// Why none can be set up from here and now.
    pub(super) unfit: Option<String>,
    /// There are passkeys here.
    pub(super) passkeys: bool,
    pub(super) recovery: RecoveryPart,
}

impl DevicesPage<'_> {
    fn codes_left(&self, left: &i64) -> String {
        crate::text::fill(&self.page.t.recovery.left, &[("left", &left.to_string())])
    }
}

/// The recovery codes.
#[derive(Debug)]
pub(super) enum RecoveryPart {
    /// There are none here.
    Off,
    /// The person has none.
    None,
    Left {
        left: i64,
        made: Moment,
    },
}

/// Codes to be printed.
#[derive(Debug, Template)]
#[template(path = "recovery.html")]
pub(super) struct RecoveryPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) owner: String,
    pub(super) made: String,
    pub(super) url: String,
    pub(super) codes: Vec<Zeroizing<String>>,
    /// Where the person goes on.
    pub(super) next: &'static str,
}

#[derive(Debug, Template)]
#[template(path = "lost.html")]
pub(super) struct LostPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) username: String,
    /// There are recovery codes.
    pub(super) codes: bool,
    /// One may open access once.
    pub(super) unlock: bool,
}

#[derive(Debug, Template)]
#[template(path = "resync.html")]
pub(super) struct ResyncPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) username: String,
}

/// One token.
#[derive(Debug)]
pub(super) struct DeviceRow<'a> {
    pub(super) id: String,
    pub(super) name: String,
    /// What it is, where it is no app.
    pub(super) kind: &'a str,
    pub(super) state: &'a str,
    pub(super) tone: &'static str,
    pub(super) weak: bool,
    pub(super) created: Moment,
    pub(super) last_used: Option<Moment>,
    /// Whose it is, and the word for the form.
    pub(super) owner: &'a str,
    pub(super) said: &'static str,
    pub(super) may_replace: bool,
    pub(super) may_suspend: bool,
    pub(super) may_resume: bool,
    pub(super) may_revoke: bool,
}

#[derive(Debug, Template)]
#[template(path = "enrol.html")]
pub(super) struct EnrolPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) action: &'static str,
    pub(super) step: String,
    pub(super) type_hint: String,
    pub(super) token: Zeroizing<String>,
    pub(super) secret: Zeroizing<String>,
    pub(super) picture: Zeroizing<String>,
    pub(super) name: String,
    /// Whose device it is, where the ticket says so.
    pub(super) decided: Option<&'a str>,
    /// What was said of it, where the page is shown again.
    pub(super) said: &'static str,
}

#[derive(Debug, Template)]
#[template(path = "ticket.html")]
pub(super) struct TicketPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) ticket: String,
    pub(super) username: String,
    pub(super) step: String,
}

#[derive(Debug, Template)]
#[template(path = "signins.html")]
pub(super) struct SigninsPage<'a> {
    pub(super) page: Page<'a>,
    pub(super) rows: Vec<SigninRow<'a>>,
}

/// One log-in attempt.
#[derive(Debug)]
pub(super) struct SigninRow<'a> {
    pub(super) at: Moment,
    pub(super) source: String,
    pub(super) result: &'a str,
    pub(super) good: bool,
    pub(super) device: String,
}

#[derive(Debug, Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) page: Page<'a>,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) link: Option<(&'static str, &'a str)>,
}

#[derive(Debug, Template)]
#[template(path = "not_me.html")]
pub(super) struct NotMePage<'a> {
    pub(super) page: Page<'a>,
    pub(super) link: String,
}
