//! The headers every response carries. Nothing is loaded from elsewhere, nothing runs inline,
//! nothing may frame the portal, nothing is kept in a cache unless a handler says so.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::config::{Config, Origin, Probe};

const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=63072000; includeSubDomains"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

/// What a handler may say otherwise.
const UNLESS_SAID: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
];

/// Two content security policies: of every page, and of the one that shows a person's services.
#[derive(Clone, Debug)]
pub(super) struct Policies {
    every: HeaderValue,
    access: HeaderValue,
}

impl Policies {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            every: policy(config, &[]),
            access: policy(config, &config.probe),
        }
    }

    /// What stands behind the log-in is named to those who are through it.
    fn for_answer(&self, path: &str, status: StatusCode) -> &HeaderValue {
        match path == "/access" && status == StatusCode::OK {
            true => &self.access,
            false => &self.every,
        }
    }
}

/// Only where the portal has other names of its own may a page's form and script go there; the
/// script may look whether a listed service answers.
fn policy(config: &Config, probes: &[Probe]) -> HeaderValue {
    let origins = config.origins();
    let list = |origins: &mut dyn Iterator<Item = &Origin>| -> String {
        origins.map(|o| format!(" {}", o.as_str())).collect()
    };
    let names = list(&mut origins.iter());
    let probed = list(&mut probes.iter().map(|probe| probe.url.origin()));
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         connect-src 'self'{names}{probed}; form-action 'self'{names}; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    );
    // Names are checked letter by letter; were one odd, nothing at all would be allowed.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Adds them.
pub(super) async fn secure(
    State(policies): State<Policies>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let policy = policies.for_answer(&path, response.status()).clone();
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in UNLESS_SAID {
        headers.entry(name).or_insert(value);
    }
    response
}
