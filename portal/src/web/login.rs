//! The log-in page, the log-in, the log-off and the language switch.

use std::sync::Arc;

use agent_api::{AuditKind, CloseRequest};
use axum::{
    extract::State,
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    access::opened_words,
    cookies, enrolment,
    failed::{failed, refusal, topic},
    form::Form,
    page::{LoginPage, Notice, render},
    since,
    ticket::enrol_page,
    typed::{name_again, remembered, typed},
    visit::Visit,
};
use crate::{
    access,
    audit::draft,
    config::FactorKind,
    directory::UserName,
    enrol::{Device, Origin, Plan, TooMany},
    grants::{self, GrantsError, Wanted},
    live::LiveCookie,
    login::{Outcome, Second, Shown},
    portal::{Failure, Portal},
    proof::FactorsPassed,
};

/// Pages the language switch may come back to.
const PAGES: [&str; 10] = [
    "/",
    "/access",
    "/devices",
    "/logins",
    "/help",
    "/ticket",
    "/lost",
    "/resync",
    "/desk",
    "/desk/figures",
];

/// `GET /`.
pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
) -> Response {
    if visit.cookie.is_some() {
        return Redirect::to("/access").into_response();
    }
    let notice = match (visit.say.as_deref(), portal.texts.of(visit.language)) {
        (Some("again"), words) => Some(Notice::info(&words.login.again)),
        (Some("fresh"), words) => Some(Notice::info(&words.devices.fresh)),
        (Some("address"), words) => {
            let address = visit.client.map(|a| a.ip().to_string()).unwrap_or_default();
            let text = crate::text::fill(&words.login.address_changed, &[("address", &address)]);
            Some(Notice::info(text).see("address"))
        }
        _ => None,
    };
    let since = since::begin(&portal, &headers);
    let since = since.map(|value| (header::SET_COOKIE, value));
    let page = page(&portal, &visit, StatusCode::OK, remembered(&visit), notice);
    (AppendHeaders(since), page).into_response()
}

fn page(
    portal: &Portal,
    visit: &Visit,
    status: StatusCode,
    username: String,
    notice: Option<Notice>,
) -> Response {
    let mut page = visit.page(portal, "/");
    page.user = None;
    page.notices.extend(notice);
    if visit.client.is_err() {
        let text = page.t.login.address.clone();
        page = page.with(Notice::bad(text));
    }
    let login = LoginPage {
        remember: visit.remembered.is_some(),
        username,
        address: visit.client.ok().map(|address| address.ip().to_string()),
        passkeys: portal.passkeys.is_some(),
        code_alone: access::alone_is_used(&portal.config.access, FactorKind::Otp),
        page,
    };
    render(visit, status, &login)
}

/// `POST /login`.
pub(super) async fn log_in(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
    form: Form,
) -> Response {
    let typed = match typed(&visit, &form, second(&form)) {
        Ok(typed) => typed,
        Err(away) => return away.into_response(),
    };
    match portal.log_in(&typed).await {
        Outcome::Refused(shown) => {
            // The form was sent twice and the first one got in: that one counts.
            if let Some(cookie) = &visit.cookie
                && cookie.is_from(typed.from)
                && cookie
                    .user_name()
                    .eq_ignore_ascii_case(typed.username.trim())
            {
                return Redirect::to("/access").into_response();
            }
            let words = portal.texts.of(visit.language);
            let (status, text) = enrolment::refusal(&portal, &visit, shown, &words.login.refused);
            let notice = Notice::bad(text).see(topic(shown));
            page(&portal, &visit, status, name_again(&form), Some(notice))
        }
        Outcome::Enrol(passed) => {
            match portal
                .offer(passed.account(), Origin::FirstLogin, Plan::default())
                .await
            {
                Ok(Ok(offer)) => enrol_page(
                    &portal,
                    &visit,
                    "/ticket/confirm",
                    offer,
                    Device::default(),
                    None,
                ),
                Ok(Err(TooMany)) => Redirect::to("/").into_response(),
                Err(failure) => failed(&visit, &failure),
            }
        }
        Outcome::In(proof) => enter(&portal, &visit, &headers, &form, proof).await,
    }
}

/// In, or the page that says what failed on the way.
pub(super) async fn enter(
    portal: &Portal,
    visit: &Visit,
    headers: &HeaderMap,
    form: &Form,
    proof: FactorsPassed,
) -> Response {
    match let_in(portal, visit, headers, form, proof).await {
        Ok(response) => response,
        Err(failure) => failed(visit, &failure),
    }
}

/// What was shown beside the password.
pub(super) fn second(form: &Form) -> Second<'_> {
    match form.text("passkey") {
        "" => Second::Code(form.text("code")),
        reply => Second::Passkey {
            challenge: form.text("challenge"),
            reply,
        },
    }
}

/// Makes the cookie, opens what may be opened, and goes to my access.
async fn let_in(
    portal: &Portal,
    visit: &Visit,
    headers: &HeaderMap,
    form: &Form,
    proof: FactorsPassed,
) -> Result<Response, Failure> {
    let Ok(from) = visit.client else {
        return Ok(Redirect::to("/").into_response());
    };
    // A new cookie at each log-in; the one before ends.
    if let Some(cookie) = &visit.cookie {
        cookie.end(&portal.store).await?;
    }
    let made = LiveCookie::create(&portal.store, &proof, from, portal.now()).await?;
    let Some((value, live)) = made else {
        // Locked out between the code and here.
        let words = portal.texts.of(visit.language);
        let (status, text) = refusal(Shown::Generic, &words.login.refused, words);
        let notice = Some(Notice::bad(text));
        return Ok(page(portal, visit, status, String::new(), notice));
    };
    let (account, ip) = (proof.account(), from.ip());
    portal.notices.got_in(account, ip, visit.language).await;
    let remember = match UserName::parse(form.text("username")) {
        Some(name) if form.has("remember") => Some(cookies::set_name(&name)),
        _ => cookies::name(headers).map(|_| cookies::end_name()),
    };
    let none = form.all("services").any(|word| word == "none");
    let mut taken = None;
    let words = if none {
        String::new()
    } else {
        let rules = &portal.config.access;
        let services = portal.grants.services().await?;
        let allowed = access::allowed(
            &services,
            proof.account(),
            rules,
            from.ip(),
            &portal.shown(&live).await?,
        );
        let account = proof.account();
        let sharing = portal.sharing(&account.name, &account.id, from).await?;
        let wanted = allowed.into_iter().map(Wanted::from);
        let wanted = portal.shortened(sharing, &services, wanted);
        let grants = portal.grants.as_ref();
        let opened = grants::open(grants, proof, from, wanted, &visit.id).await;
        if portal.withdraw_if_ended(&live, from, &visit.id).await? {
            return Ok(Redirect::to("/?say=again").into_response());
        }
        if opened.iter().any(|opened| opened.result.is_ok()) {
            taken = since::opened(portal, headers);
        }
        opened_words("opened", &opened)
    };
    let to = match words.is_empty() {
        true => "/access".to_owned(),
        false => format!(
            "/access?n={}",
            live.leave_notice(&portal.store, &words).await?
        ),
    };
    let cookies: Vec<(HeaderName, HeaderValue)> = std::iter::once(cookies::set_login(&value))
        .chain(remember)
        .chain(taken)
        .map(|value| (header::SET_COOKIE, value))
        .collect();
    Ok((AppendHeaders(cookies), Redirect::to(&to)).into_response())
}

/// `POST /logoff`: closes what this person holds from this address, then the cookie.
pub(super) async fn log_off(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let Some(cookie) = &visit.cookie else {
        return Redirect::to("/").into_response();
    };
    let closed = close_at_log_off(&portal, &visit, cookie).await;
    if let Err(failure) = cookie.end(&portal.store).await {
        return failed(&visit, &failure.into());
    }
    let mut record = draft(
        AuditKind::Logoff,
        if closed.is_ok() { "ok" } else { "not-closed" },
    );
    record.user = Some(cookie.user_name().to_owned());
    record.source = visit.client.ok().map(|from| from.ip());
    record.request_id = Some(visit.id.clone());
    if let Err(failure) = portal.audit.write(record).await {
        return failed(&visit, &failure.into());
    }
    let words = &portal.texts.of(visit.language).login;
    let notice = match closed {
        Ok(()) => Notice::good(&words.off),
        Err(failure) => {
            tracing::warn!(request = %visit.id, %failure, "grants could not be closed at log-off");
            Notice::bad(&words.off_partly)
        }
    };
    let page = page(
        &portal,
        &visit,
        StatusCode::OK,
        remembered(&visit),
        Some(notice),
    );
    (
        AppendHeaders([(header::SET_COOKIE, cookies::end_login())]),
        page,
    )
        .into_response()
}

/// From the addresses they proved themselves from, and from the one they come from now.
async fn close_at_log_off(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
) -> Result<(), GrantsError> {
    let now = visit
        .client
        .ok()
        .filter(|from| cookie.addresses().all(|proven| proven != *from));
    for source in cookie.addresses().chain(now) {
        let request = CloseRequest {
            source: Some(source.ip().into()),
            user: Some(cookie.user_name().to_owned()),
            reason: Some("log-off".into()),
            request_id: Some(visit.id.clone()),
            ..CloseRequest::default()
        };
        portal.grants.close(&request).await?;
    }
    Ok(())
}

/// `POST /language`.
pub(super) async fn language(State(portal): State<Arc<Portal>>, form: Form) -> Response {
    let to = PAGES
        .into_iter()
        .find(|page| *page == form.text("to"))
        .unwrap_or("/");
    match portal.texts.known(form.text("lang")) {
        Some(language) => {
            let cookie = [(header::SET_COOKIE, cookies::set_language(language))];
            (AppendHeaders(cookie), Redirect::to(to)).into_response()
        }
        None => Redirect::to(to).into_response(),
    }
}
