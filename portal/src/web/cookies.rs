//! The four cookies: who is logged in, the remembered user name, the chosen language, and when the
//! log-in page was asked for. All are
//! `__Host-`, Secure, HttpOnly and SameSite=Strict.

use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, header};

use crate::{directory::UserName, text::Language};

const LOGIN: &str = "__Host-sekisho";
const NAME: &str = "__Host-sekisho-name";
const LANGUAGE: &str = "__Host-sekisho-lang";
const SINCE: &str = "__Host-sekisho-since";
const HALF_A_YEAR: u32 = 180 * 24 * 3600;
const RULES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// The value of the log-in cookie.
pub(super) fn login(headers: &HeaderMap) -> Option<&str> {
    read(headers, LOGIN)
}

/// The tag of the chosen language.
pub(super) fn language(headers: &HeaderMap) -> Option<&str> {
    read(headers, LANGUAGE)
}

/// The remembered user name.
pub(super) fn name(headers: &HeaderMap) -> Option<UserName> {
    let value = read(headers, NAME).filter(|value| value.len() <= 512)?;
    let bytes = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
    UserName::parse(&String::from_utf8(bytes).ok()?)
}

/// Until the browser is closed; the portal ends it earlier.
pub(super) fn set_login(value: &str) -> HeaderValue {
    // The value is our own Base64, so a header can always carry it.
    HeaderValue::from_str(&format!("{LOGIN}={value}; {RULES}"))
        .unwrap_or(HeaderValue::from_static(""))
}

pub(super) fn end_login() -> HeaderValue {
    end(LOGIN)
}

pub(super) fn set_name(name: &UserName) -> HeaderValue {
    keep(NAME, &BASE64URL_NOPAD.encode(name.as_str().as_bytes()))
}

pub(super) fn end_name() -> HeaderValue {
    end(NAME)
}

pub(super) fn set_language(language: Language) -> HeaderValue {
    keep(LANGUAGE, language.tag())
}

/// When the log-in page was asked for; see `since`.
pub(super) fn since(headers: &HeaderMap) -> Option<&str> {
    read(headers, SINCE).filter(|value| value.len() <= 64)
}

pub(super) fn set_since(value: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{SINCE}={value}; Max-Age=3600; {RULES}"))
        .unwrap_or(HeaderValue::from_static(""))
}

pub(super) fn end_since() -> HeaderValue {
    end(SINCE)
}

fn keep(name: &str, value: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{name}={value}; Max-Age={HALF_A_YEAR}; {RULES}"))
        .unwrap_or(HeaderValue::from_static(""))
}

fn end(name: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{name}=; Max-Age=0; {RULES}"))
        .unwrap_or(HeaderValue::from_static(""))
}
