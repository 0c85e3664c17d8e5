//! My devices: a person's own tokens. Changes that could help a stranger in (add, resume, revoke)
//! need a recent log-in with both factors; suspending, the safe direction, does not.

use std::sync::Arc;

use agent_api::AuditKind;
use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::StatusCode;

use super::{
    access::again,
    enrolment,
    failed::failed,
    form::Form,
    owner::device,
    page::{DeviceRow, DevicesPage, Notice, RecoveryPart, render},
    ticket::{confirmed_page, enrol_page},
    times::Moment,
    visit::{Away, Visit},
};
use crate::{
    audit::draft,
    codes::CodeRefused,
    config::Opens,
    enrol::{Confirmed, Confirmer, Device, Offer, Origin, Plan, TooMany},
    limits::SourceKey,
    live::LiveCookie,
    otp::Code,
    portal::{Failure, Portal},
    store::{Owner, SuspendedBy, TokenRow, TokenState},
    text::fill,
};

/// `GET /devices`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let cookie = match visit.person() {
        Ok(cookie) => cookie,
        Err(away) => return away.into_response(),
    };
    let words = &portal.texts.of(visit.language).devices;
    let notice = visit
        .notice
        .as_deref()
        .and_then(|id| cookie.notice(id))
        .and_then(|said| {
            Some(match said {
                "suspended" => Notice::good(&words.suspended_done),
                "resumed" => Notice::good(&words.resumed_done),
                "revoked" => Notice::good(&words.revoked_done),
                "added" => Notice::good(&words.added_done),
                "owner-said" => Notice::good(&portal.texts.of(visit.language).owner.saved),
                "not-possible" => Notice::bad(&words.not_possible),
                "too-many" => Notice::bad(&words.too_many),
                "only-full" => Notice::bad(&words.only_full),
                "passkey-made" => Notice::good(&portal.texts.of(visit.language).passkey.made),
                "passkey-not-made" => {
                    Notice::bad(&portal.texts.of(visit.language).passkey.not_made)
                }
                _ => return None,
            })
        });
    page(&portal, &visit, cookie, StatusCode::OK, notice).await
}

pub(super) async fn page(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    status: StatusCode,
    notice: Option<Notice>,
) -> Response {
    let tokens = match portal.store.tokens_of(cookie.user_id()).await {
        Ok(tokens) => tokens,
        Err(failure) => return failed(visit, &failure.into()),
    };
    let mut page = visit.page(portal, "/devices");
    page.notices.extend(notice);
    let full = !portal.has_room(&tokens, None);
    let unfit = enrolment::unfit(portal, visit, Origin::OwnPage);
    let devices = tokens
        .iter()
        .filter(|token| !token.never_counted())
        .map(|token| DeviceRow {
            may_replace: may_replace(token) && unfit.is_none(),
            ..row(portal, visit, token)
        })
        .collect();
    let recovery = match portal.config.recovery.opens {
        Opens::Nothing => RecoveryPart::Off,
        _ => match recovery_part(portal, visit, cookie).await {
            Ok(part) => part,
            Err(failure) => return failed(visit, &failure),
        },
    };
    render(
        visit,
        status,
        &DevicesPage {
            page,
            devices,
            full,
            unfit,
            passkeys: portal.passkeys.is_some(),
            recovery,
        },
    )
}

fn row<'a>(portal: &'a Portal, visit: &Visit, token: &TokenRow) -> DeviceRow<'a> {
    let all = portal.texts.of(visit.language);
    let words = &all.devices;
    let (active, suspended) = (
        token.is(TokenState::Active),
        token.is(TokenState::Suspended),
    );
    let (state, tone) = match (active, suspended, token.own_suspension()) {
        (true, ..) => (&words.active, "good"),
        (_, true, true) => (&words.suspended, "info"),
        (_, true, false) => (&words.suspended_operator, "info"),
        _ if token.is(TokenState::Pending) => (&words.pending, "info"),
        _ => (&words.revoked, "off"),
    };
    let moment = |second| moment(portal, visit, second);
    DeviceRow {
        kind: match token.kind_word() {
            "passkey" => &portal.texts.of(visit.language).passkey.kind,
            "hotp" => &portal.texts.of(visit.language).resync.kind,
            _ => "",
        },
        id: token.id.clone(),
        name: token.name.clone(),
        state,
        tone,
        weak: token.weak && (active || suspended),
        created: moment(token.created),
        last_used: token.last_used.map(moment),
        owner: token
            .owner()
            .map_or(&all.owner.unsaid, |owner| super::owner::name(owner, all)),
        said: token.owner().map_or("", Owner::word),
        may_replace: may_replace(token),
        may_suspend: active,
        may_resume: suspended && token.own_suspension(),
        may_revoke: active || suspended,
    }
}

fn may_replace(token: &TokenRow) -> bool {
    (token.is(TokenState::Active) || token.is(TokenState::Suspended)) && !token.is_passkey()
}

async fn recovery_part(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
) -> Result<RecoveryPart, Failure> {
    let set = portal.store.recovery_set(cookie.user_id()).await?;
    Ok(match set {
        None => RecoveryPart::None,
        Some(set) => RecoveryPart::Left {
            left: set.left,
            made: moment(portal, visit, set.made),
        },
    })
}

fn moment(portal: &Portal, visit: &Visit, second: i64) -> Moment {
    Moment::of_second(second, portal.now(), &portal.zone, visit.language)
}

/// How recent and complete the log-in must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    AnyLogIn,
    RecentFull,
}

/// The person, if their log-in is good enough for the change.
pub(super) async fn changer<'a>(
    portal: &Portal,
    visit: &'a Visit,
    asks: Asks,
) -> Result<&'a LiveCookie, Response> {
    let cookie = visit.person().map_err(Away::into_response)?;
    if asks == Asks::RecentFull {
        if !cookie.factors().are_full() {
            return Err(back(portal, visit, cookie, "only-full").await);
        }
        if !cookie.is_fresh(&portal.config.limits, portal.now()) {
            return Err(again(portal, visit, cookie, "/?say=fresh").await);
        }
    }
    Ok(cookie)
}

/// Back to the list, with words.
pub(super) async fn back(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    words: &str,
) -> Response {
    match cookie.leave_notice(&portal.store, words).await {
        Ok(id) => Redirect::to(&format!("/devices?n={id}")).into_response(),
        Err(failure) => failed(visit, &failure.into()),
    }
}

/// `POST /devices/enrol`: shows a new secret.
pub(super) async fn enrol(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    offer(&portal, &visit, None).await
}

/// `POST /devices/replace`: the same for a token that ends when the new one is proven.
pub(super) async fn replace(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    offer(&portal, &visit, Some(form.text("token"))).await
}

async fn offer(portal: &Portal, visit: &Visit, replaces: Option<&str>) -> Response {
    let cookie = match changer(portal, visit, Asks::RecentFull).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    if let Some(why) = enrolment::unfit(portal, visit, Origin::OwnPage) {
        let notice = Some(Notice::bad(why));
        return page(portal, visit, cookie, StatusCode::FORBIDDEN, notice).await;
    }
    let plan = Plan {
        replaces,
        owner: None,
    };
    let offered = async {
        if let Some(old) = replaces {
            let old = portal.store.token(old).await?;
            let live =
                |token: &TokenRow| token.is(TokenState::Active) || token.is(TokenState::Suspended);
            if !old.is_some_and(|old| old.user_id == cookie.user_id() && live(&old)) {
                return Ok(Offered::NotPossible);
            }
        }
        Ok::<_, Failure>(match portal.account_of(cookie).await? {
            None => Offered::Gone,
            Some(account) => match portal.offer(&account, Origin::OwnPage, plan).await? {
                Ok(offer) => Offered::Here(Box::new(offer)),
                Err(TooMany) => Offered::TooMany,
            },
        })
    };
    match offered.await {
        Ok(Offered::Here(offer)) => enrol_page(
            portal,
            visit,
            "/devices/confirm",
            *offer,
            Device::default(),
            None,
        ),
        Ok(Offered::TooMany) => back(portal, visit, cookie, "too-many").await,
        Ok(Offered::NotPossible) => back(portal, visit, cookie, "not-possible").await,
        Ok(Offered::Gone) => again(portal, visit, cookie, "/?say=again").await,
        Err(failure) => failed(visit, &failure),
    }
}

/// What became of the wish for a new token.
enum Offered {
    Here(Box<Offer>),
    TooMany,
    /// What it should replace is not there.
    NotPossible,
    /// The person is.
    Gone,
}

/// `POST /devices/confirm`: the first code of the new token.
pub(super) async fn confirm(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    let cookie = match changer(&portal, &visit, Asks::AnyLogIn).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    let confirmer = Confirmer::Person(cookie);
    let device = device(&form);
    match portal
        .confirm(form.text("token"), confirmer, form.text("code"), device)
        .await
    {
        Ok(Confirmed::Done { .. }) => back(&portal, &visit, cookie, "added").await,
        Ok(other) => confirmed_page(&portal, &visit, "/devices/confirm", other, device).await,
        Err(failure) => failed(&visit, &failure),
    }
}

/// `POST /devices/suspend`.
pub(super) async fn suspend(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    change(&portal, &visit, &form, Change::Suspend).await
}

/// `POST /devices/resume`.
pub(super) async fn resume(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    change(&portal, &visit, &form, Change::Resume).await
}

/// `POST /devices/revoke`.
pub(super) async fn revoke(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    change(&portal, &visit, &form, Change::Revoke).await
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Suspend,
    Resume,
    Revoke,
}

impl Change {
    fn asks(self) -> Asks {
        match self {
            Self::Suspend => Asks::AnyLogIn,
            Self::Resume | Self::Revoke => Asks::RecentFull,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::Revoke => "revoked",
        }
    }
}

async fn change(portal: &Portal, visit: &Visit, form: &Form, change: Change) -> Response {
    let cookie = match changer(portal, visit, change.asks()).await {
        Ok(cookie) => cookie,
        Err(response) => return response,
    };
    match carry_out(portal, visit, cookie, form.text("token"), change).await {
        Ok(true) => back(portal, visit, cookie, change.word()).await,
        Ok(false) => back(portal, visit, cookie, "not-possible").await,
        Err(failure) => failed(visit, &failure),
    }
}

/// False: not this person's token, or not in a state for it.
async fn carry_out(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    id: &str,
    change: Change,
) -> Result<bool, Failure> {
    let token = portal.store.token(id).await?;
    let Some(token) = token.filter(|token| token.user_id == cookie.user_id()) else {
        return Ok(false);
    };
    let asking = Some(cookie.hash());
    let done = match change {
        Change::Suspend => {
            portal
                .store
                .suspend_token(id, SuspendedBy::User, asking)
                .await?
        }
        Change::Resume => {
            portal
                .store
                .resume_token(id, SuspendedBy::User, asking)
                .await?
        }
        Change::Revoke => portal.store.revoke_token(id, asking).await?,
    };
    if done {
        let mut record = draft(AuditKind::Token, change.word());
        record.user = Some(cookie.user_name().to_owned());
        record.source = visit.client.ok().map(|from| from.ip());
        record.token = Some(id.to_owned());
        record.reason = Some("by the person".into());
        record.request_id = Some(visit.id.clone());
        portal.audit.write(record).await?;
        portal
            .notices
            .token(&token, &token.name, change.word())
            .await;
    }
    Ok(done)
}

/// `POST /devices/test`: looks at a code, uses its step up, and opens nothing.
pub(super) async fn test(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let (cookie, from) = match (visit.person(), visit.from()) {
        (Ok(cookie), Ok(from)) => (cookie, from),
        (Err(away), _) | (_, Err(away)) => return away.into_response(),
    };
    let words = portal.texts.of(visit.language);
    if let Err(wait) = portal.rates.count(SourceKey::of(from.ip())) {
        let seconds = i64::try_from(wait.wait().as_secs())
            .unwrap_or(i64::MAX)
            .saturating_add(1);
        let wait = super::times::length(seconds, words);
        let notice = Notice::bad(fill(&words.login.wait, &[("wait", &wait)])).see("waiting");
        return page(
            &portal,
            &visit,
            cookie,
            StatusCode::TOO_MANY_REQUESTS,
            Some(notice),
        )
        .await;
    }
    let code = Code::parse(form.text("code"));
    let notice = match portal
        .codes
        .check(cookie.user_id(), code.as_ref(), portal.now())
        .await
    {
        Ok(Ok(passed)) => {
            let token = portal.store.token(passed.token()).await.ok().flatten();
            let name = token.map(|token| token.name).unwrap_or_default();
            Notice::good(fill(&words.devices.test_right, &[("device", &name)]))
        }
        Ok(Err(CodeRefused::Used)) => Notice::bad(&words.devices.test_used).see("used"),
        Ok(Err(CodeRefused::Wrong | CodeRefused::NoToken)) => {
            let issuer = &portal.config.portal.issuer;
            Notice::bad(fill(&words.devices.test_wrong, &[("issuer", issuer)])).see("never")
        }
        Err(failure) => return failed(&visit, &failure.into()),
    };
    page(&portal, &visit, cookie, StatusCode::OK, Some(notice)).await
}
