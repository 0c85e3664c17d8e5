//! Enrolment pages: the ticket, the picture, done. Opening the ticket's address uses nothing up;
//! only a posted ticket with the right password does.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use qrcode::{EcLevel, QrCode, render::svg};
use zeroize::Zeroizing;

use super::{
    enrolment,
    failed::{failed, topic},
    form::Form,
    owner::device,
    page::{EnrolPage, MessagePage, Notice, TicketPage, render},
    typed::{name_again, remembered, typed},
    visit::Visit,
};
use crate::{
    config::Opens,
    enrol::{Confirmed, Confirmer, Device, Offer, Origin},
    login::{Second, Shown},
    portal::{Failure, Portal},
    store::Owner,
    text::fill,
};

/// `GET /ticket`.
pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    uri: http::Uri,
) -> Response {
    let query = uri.query().unwrap_or("").as_bytes();
    let code = form_urlencoded::parse(query)
        .find_map(|(name, value)| (name == "code").then(|| value.into_owned()))
        .filter(|code| code.len() <= 64)
        .unwrap_or_default();
    // Said before somebody types it all for nothing.
    let unfit = enrolment::unfit(&portal, &visit, Origin::Ticket);
    page(
        &portal,
        &visit,
        StatusCode::OK,
        (code, remembered(&visit)),
        unfit.map(Notice::info),
    )
}

fn page(
    portal: &Portal,
    visit: &Visit,
    status: StatusCode,
    (ticket, username): (String, String),
    notice: Option<Notice>,
) -> Response {
    let mut page = visit.page(portal, "/ticket");
    page.user = None;
    page.notices.extend(notice);
    let step = fill(&page.t.enrol.step, &[("step", "1")]);
    render(
        visit,
        status,
        &TicketPage {
            page,
            ticket,
            username,
            step,
        },
    )
}

/// `POST /ticket`.
pub(super) async fn redeem(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    let typed = match typed(&visit, &form, Second::Code("")) {
        Ok(typed) => typed,
        Err(away) => return away.into_response(),
    };
    match portal.redeem(&typed, form.text("ticket")).await {
        Ok(Ok(offer)) => enrol_page(
            &portal,
            &visit,
            "/ticket/confirm",
            offer,
            Device::default(),
            None,
        ),
        Ok(Err(shown)) => {
            let words = portal.texts.of(visit.language);
            let (status, text) = enrolment::refusal(&portal, &visit, shown, &words.ticket.refused);
            let see = match shown {
                Shown::Generic => "ticket",
                other => topic(other),
            };
            let notice = Some(Notice::bad(text).see(see));
            // The ticket is not printed back: a page is easier to look at than a field.
            let fields = (String::new(), name_again(&form));
            page(&portal, &visit, status, fields, notice)
        }
        Err(failure) => failed(&visit, &failure),
    }
}

/// `POST /ticket/confirm`.
pub(super) async fn confirm(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    let (token, code, device) = (form.text("token"), form.text("code"), device(&form));
    match portal.confirm(token, Confirmer::Handle, code, device).await {
        Ok(done) => confirmed_page(&portal, &visit, "/ticket/confirm", done, device).await,
        Err(failure) => failed(&visit, &failure),
    }
}

/// The page after a first code: done, once more, or over.
pub(super) async fn confirmed_page(
    portal: &Portal,
    visit: &Visit,
    action: &'static str,
    confirmed: Confirmed,
    device: Device<'_>,
) -> Response {
    let words = portal.texts.of(visit.language);
    let message = |status, title, text| {
        let page = visit.page(portal, "/");
        let link = Some(("/", words.enrol.go.as_str()));
        render(
            visit,
            status,
            &MessagePage {
                title,
                text,
                link,
                page,
            },
        )
    };
    match confirmed {
        Confirmed::Done { user_id, user_name } => {
            match first_codes(portal, &user_id, &user_name).await {
                Ok(Some(codes)) => {
                    let next = ("/", Some(Notice::good(&words.enrol.done_codes)));
                    super::recovery::page(portal, visit, &user_name, codes, next)
                }
                Ok(None) => message(StatusCode::OK, &words.enrol.done_title, &words.enrol.done),
                Err(failure) => failed(visit, &failure),
            }
        }
        Confirmed::Over => message(StatusCode::GONE, &words.enrol.title, &words.enrol.expired),
        Confirmed::Wrong { offer, clock } => {
            let see = if clock.is_some() { "clock" } else { "never" };
            let text = match clock {
                Some(seconds) => {
                    let minutes = ((seconds.abs() + 59) / 60).to_string();
                    let now = portal.now().to_zoned(portal.zone.clone());
                    let time = now.strftime("%H:%M:%S").to_string();
                    fill(
                        &words.enrol.clock,
                        &[("minutes", &minutes), ("time", &time)],
                    )
                }
                None => words.enrol.wrong.clone(),
            };
            let notice = Notice::bad(text).see(see);
            enrol_page(portal, visit, action, offer, device, Some(notice))
        }
    }
}

/// Recovery codes for somebody who has none yet; enrolment ends with them.
async fn first_codes(
    portal: &Portal,
    user_id: &str,
    user_name: &str,
) -> Result<Option<Vec<Zeroizing<String>>>, Failure> {
    if portal.config.recovery.opens == Opens::Nothing
        || portal.store.recovery_set(user_id).await?.is_some()
    {
        return Ok(None);
    }
    portal.new_recovery_codes((user_id, user_name), None).await
}

/// The page with the picture.
pub(super) fn enrol_page(
    portal: &Portal,
    visit: &Visit,
    action: &'static str,
    offer: Offer,
    device: Device<'_>,
    notice: Option<Notice>,
) -> Response {
    let settings = &portal.config.portal;
    let account = settings.account.replace("{user}", &offer.user);
    let picture = match picture(&offer, &settings.issuer, &account) {
        Ok(picture) => picture,
        Err(failure) => return failed(visit, &failure),
    };
    let mut page = visit.page(portal, "/");
    let status = if notice.as_ref().is_some_and(Notice::is_bad) {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    page.notices.extend(notice);
    let words = &page.t.enrol;
    let enrol = EnrolPage {
        action,
        step: fill(&words.step, &[("step", "2")]),
        type_hint: fill(&words.type_hint, &[("account", &account)]),
        token: offer.token,
        secret: offer.seed.grouped(),
        picture,
        name: if device.name.is_empty() {
            words.name_default.clone()
        } else {
            device.name.to_owned()
        },
        decided: offer.owner.map(|owner| super::owner::name(owner, page.t)),
        said: device.owner.map_or("", Owner::word),
        page,
    };
    render(visit, status, &enrol)
}

/// The QR code as SVG, black on white whatever the page's colours.
fn picture(offer: &Offer, issuer: &str, account: &str) -> Result<Zeroizing<String>, Failure> {
    let failure = |what: &str| Failure::Offer(what.to_owned());
    let url = offer
        .seed
        .url(issuer, account)
        .ok_or_else(|| failure("no otpauth address"))?;
    let code = QrCode::with_error_correction_level(url.as_bytes(), EcLevel::M)
        .map_err(|e| failure(&e.to_string()))?;
    let svg = Zeroizing::new(
        code.render::<svg::Color<'_>>()
            .quiet_zone(true)
            .min_dimensions(240, 240)
            .dark_color(svg::Color("#000000"))
            .light_color(svg::Color("#ffffff"))
            .build(),
    );
    // The XML declaration has no place inside HTML.
    let start = svg.find("<svg").ok_or_else(|| failure("no picture"))?;
    Ok(Zeroizing::new(
        svg.get(start..).unwrap_or_default().to_owned(),
    ))
}
