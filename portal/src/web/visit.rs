//! What every page knows about a request: its id, the language, the client's address and the live
//! cookie, each found once and in one way.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    response::{IntoResponse, Redirect, Response},
};
use http::{header, request::Parts};

use super::{cookies, failed::Kind, page::Page};
use crate::{
    banner::Banner,
    client_addr::{AddrRefused, ClientAddr, Peer, client_addr},
    directory::UserName,
    live::LiveCookie,
    portal::Portal,
    random,
    text::Language,
};

/// One request's circumstances.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) id: String,
    pub(super) language: Language,
    pub(super) client: Result<ClientAddr, AddrRefused>,
    pub(super) cookie: Option<LiveCookie>,
    pub(super) remembered: Option<UserName>,
    /// What operators have to say; asked for by [`Visit::with_banner`].
    pub(super) banner: Option<Arc<Banner>>,
    /// `?say=…` and `?n=…`: which prepared words the page shows.
    pub(super) say: Option<String>,
    pub(super) notice: Option<String>,
}

impl Visit {
    pub(super) fn of_parts(portal: &Portal, parts: &Parts) -> Self {
        let headers = &parts.headers;
        let peer = parts
            .extensions
            .get::<Peer>()
            .copied()
            .unwrap_or(Peer::Nobody);
        let accept = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|v| v.to_str().ok());
        let texts = &portal.texts;
        let language = cookies::language(headers)
            .and_then(|tag| texts.known(tag))
            .or_else(|| texts.negotiate(accept?))
            .unwrap_or(portal.config.portal.default_language);
        let query = parts.uri.query().unwrap_or("");
        let asked = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        Self {
            id: random::request_id(),
            language,
            client: client_addr(peer, headers, &portal.config.proxies.trusted),
            cookie: None,
            remembered: cookies::name(headers),
            banner: None,
            say: asked("say"),
            notice: asked("n"),
        }
    }

    /// Finds what operators have to say.
    pub(super) async fn with_banner(mut self, portal: &Portal) -> Self {
        let now = portal.now().as_second();
        self.banner = portal.banners.at(&portal.store, now).await;
        self
    }

    /// The page's common part. `here`: the path the language switch comes back to.
    pub(super) fn page<'a>(&'a self, portal: &'a Portal, here: &'static str) -> Page<'a> {
        Page::new(portal, self, here)
    }

    /// The cookie of somebody logged in.
    pub(super) fn person(&self) -> Result<&LiveCookie, Away> {
        self.cookie.as_ref().ok_or(Away::LogIn)
    }

    /// The client's address.
    pub(super) fn from(&self) -> Result<ClientAddr, Away> {
        self.client.map_err(|refused| {
            tracing::warn!(request = %self.id, %refused, "no client address");
            Away::NoAddress
        })
    }
}

/// Why a visitor is sent elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Away {
    /// Nobody is logged in: to the log-in page.
    LogIn,
    /// To the page that says there is no client address.
    NoAddress,
}

impl IntoResponse for Away {
    fn into_response(self) -> Response {
        match self {
            Self::LogIn => Redirect::to("/?say=again").into_response(),
            Self::NoAddress => Kind::NoAddress.into_response(),
        }
    }
}

impl<S> FromRequestParts<S> for Visit
where
    S: Send + Sync,
    Arc<Portal>: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let portal = Arc::<Portal>::from_ref(state);
        let visit = Self::of_parts(&portal, parts);
        let mut visit = visit.with_banner(&portal).await;
        if let Some(value) = cookies::login(&parts.headers) {
            let found =
                LiveCookie::find(&portal.store, &portal.config.limits, value, portal.now()).await;
            visit.cookie = found.map_err(|failure| {
                tracing::error!(request = %visit.id, %failure, "cookies cannot be read");
                Kind::Down.into_response()
            })?;
        }
        Ok(visit)
    }
}
