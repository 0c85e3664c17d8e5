//! The style sheet, the script and the icon, served from the binary, and the site's own look. Their
//! addresses hold a digest of them, so browsers may keep them for good.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use data_encoding::HEXLOWER;
use http::{HeaderValue, header};
use sha2::{Digest as _, Sha256};

use super::failed::Kind;
use crate::portal::Portal;

const STYLE: &str = include_str!("../../static/style.css");
const SCRIPT: &str = include_str!("../../static/portal.js");
const DESK: &str = include_str!("../../static/desk.css");
const ICON: &str = include_str!("../../static/icon.svg");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = [STYLE, SCRIPT, ICON, DESK]
        .iter()
        .fold(Sha256::new(), |hash, text| {
            hash.chain_update(text.as_bytes())
        })
        .finalize();
    HEXLOWER.encode(digest.get(..6).unwrap_or_default())
});

/// The digest in their addresses.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// `GET /static/{name}`.
pub(super) async fn file(State(portal): State<Arc<Portal>>, Path(name): Path<String>) -> Response {
    let (kind, bytes) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE.as_bytes()),
        "desk.css" => ("text/css; charset=utf-8", DESK.as_bytes()),
        "portal.js" => ("text/javascript; charset=utf-8", SCRIPT.as_bytes()),
        "icon.svg" => ("image/svg+xml", ICON.as_bytes()),
        name => match portal.look.file(name) {
            Some(own) => own,
            None => return Kind::NotFound.into_response(),
        },
    };
    let keep = HeaderValue::from_static("public, max-age=31536000, immutable");
    let kind = HeaderValue::from_static(kind);
    (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)],
        bytes.to_vec(),
    )
        .into_response()
}
