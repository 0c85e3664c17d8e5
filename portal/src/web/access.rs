//! My access: what is open and until when, and the buttons to open, extend and close. Opening and
//! extending work only from the address that proved itself; closing works from anywhere.

mod families;
mod words;

pub(super) use words::{notices, opened_words};

use std::{collections::BTreeSet, sync::Arc};

use agent_api::{CloseRequest, Grant, Source};
use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::StatusCode;
use jiff::Timestamp;

use super::{
    failed::failed,
    form::Form,
    page::{AccessPage, AccessRow, Asks, Notice, OpenRow, render},
    times::{self, Moment},
    visit::Visit,
};
use crate::{
    access::{self, Standing},
    client_addr::ClientAddr,
    config::{FactorKind, Follow},
    grants::{self, Wanted},
    live::LiveCookie,
    portal::{Failure, Portal},
    proof::{Evidence, FactorsPassed},
    recovery,
    shared::Sharing,
    text::{Words, fill},
};

/// From when on the end is announced, in seconds.
const SOON: i64 = 15 * 60;

/// `GET /access`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    let cookie = match visit.person() {
        Ok(cookie) => cookie,
        Err(away) => return away.into_response(),
    };
    match page(&portal, &visit, cookie).await {
        Ok(response) => response,
        Err(failure) => failed(&visit, &failure),
    }
}

async fn page(portal: &Portal, visit: &Visit, cookie: &LiveCookie) -> Result<Response, Failure> {
    let mut page = visit.page(portal, "/access");
    let words = page.t;
    if let Some(said) = visit.notice.as_deref().and_then(|id| cookie.notice(id)) {
        page.notices.extend(notices(said, words));
    }
    let from = visit.client.ok();
    let here = from.is_some_and(|from| cookie.is_from(from));
    let address = from.map(|from| from.ip().to_string()).unwrap_or_default();
    if !here {
        let proven = cookie.source().map(|from| from.ip().to_string());
        let proven = proven.unwrap_or_default();
        let text = match portal.config.portal.follow {
            Follow::Refuse => &words.access.other_address,
            Follow::Code | Follow::Move => &words.follow.offer,
        };
        page.notices.push(
            Notice::info(fill(text, &[("from", &proven), ("address", &address)])).see("address"),
        );
    }
    let mine = match from {
        Some(from) => mine(portal, cookie, from).await,
        None => Ok(Mine::default()),
    };
    let held = grants::held_by(portal.grants.as_ref(), cookie.user_name(), None).await;
    let (Mine { standings, desk }, held) = match (mine, held) {
        (Ok(mine), Ok(held)) => (mine, held),
        (mine, held) => {
            let failure = mine.err().or(held.err().map(Failure::from));
            tracing::warn!(request = %visit.id, ?failure, "my access is shown without grants");
            page.notices
                .push(Notice::bad(&words.access.unknown).see("down"));
            (Mine::default(), Vec::new())
        }
    };
    let now = portal.now();
    let shared = match from {
        Some(from) => shared_words(portal, visit, cookie, from).await,
        None => None,
    };
    let families = from.and_then(|from| families::part(portal, visit, cookie, &held, from));
    let (rows, elsewhere) = rows(portal, visit, cookie, &standings, &held, now);
    if here
        && rows
            .iter()
            .any(|row| row.open.as_ref().is_some_and(|open| open.soon))
    {
        page.notices.push(Notice::info(&words.access.soon));
    }
    if let Some(few) = few_codes(portal, cookie, words).await? {
        page.notices.push(Notice::info(few));
    }
    let page = AccessPage {
        page,
        address,
        rows,
        elsewhere,
        here,
        follow: portal.config.portal.follow,
        shared,
        families,
        desk,
    };
    Ok(render(visit, StatusCode::OK, &page))
}

/// Says that few recovery codes are left, to somebody who has any.
async fn few_codes(
    portal: &Portal,
    cookie: &LiveCookie,
    words: &Words,
) -> Result<Option<String>, Failure> {
    let set = portal.store.recovery_set(cookie.user_id()).await?;
    let few = set.filter(|set| set.left <= recovery::FEW);
    Ok(few.map(|set| fill(&words.recovery.few, &[("left", &set.left.to_string())])))
}

/// What is known of others at this address; None: nothing, or nobody can say now.
async fn shared_words(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    from: ClientAddr,
) -> Option<String> {
    let asked = portal.sharing(cookie.user_name(), cookie.user_id(), from);
    let sharing = asked.await.unwrap_or_else(|failure| {
        tracing::warn!(request = %visit.id, %failure, "whether an address is shared is not known");
        Sharing::Alone
    });
    let words = portal.texts.of(visit.language);
    let said = match sharing {
        Sharing::Alone => return None,
        Sharing::Held => &words.access.shared,
        Sharing::Listed => &words.access.shared_listed,
        Sharing::Seen => &words.access.shared_seen,
    };
    let short = portal.longest(sharing).map(|seconds| {
        let time = times::length(seconds, words);
        fill(&words.access.shared_short, &[("time", &time)])
    });
    Some(
        [Some(said.clone()), short]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// What the directory's groups of now make of somebody.
#[derive(Default)]
struct Mine {
    standings: Vec<Standing>,
    /// There is a help desk for them here.
    desk: bool,
}

/// What is for the person from here, by the directory's groups of now.
async fn mine(portal: &Portal, cookie: &LiveCookie, from: ClientAddr) -> Result<Mine, Failure> {
    let Some(account) = portal.account_of(cookie).await? else {
        return Ok(Mine::default());
    };
    let services = portal.grants.services().await?;
    let (rules, shown) = (&portal.config.access, portal.shown(cookie).await?);
    let desk = portal.config.desk.as_ref();
    Ok(Mine {
        standings: access::standings(&services, &account, rules, from.ip(), &shown),
        desk: desk.is_some_and(|desk| desk.has(&account) && desk.is_from(from.ip())),
    })
}

fn rows(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    standings: &[Standing],
    held: &[Grant],
    now: Timestamp,
) -> (Vec<AccessRow>, Vec<AccessRow>) {
    let words = portal.texts.of(visit.language);
    let standing = |service: &str| standings.iter().find(|one| one.service() == service);
    let row = |grant: &Grant| AccessRow {
        service: grant.service.clone(),
        source: grant.source.to_string(),
        allowed: matches!(standing(&grant.service), Some(Standing::Allowed(_))),
        asks: standing(&grant.service).and_then(|one| asks(portal, one)),
        probe: probe_of(portal, &grant.service),
        open: Some(open_row(portal, visit, words, grant, now)),
    };
    let from = visit.client.ok();
    let covers = |grant: &Grant, address: ClientAddr| grant.source.covers(address.ip());
    let (mine, other): (Vec<&Grant>, Vec<&Grant>) = held
        .iter()
        .partition(|grant| from.is_some_and(|from| covers(grant, from)));
    // What the same browser has open by the other family is told beside this one.
    let partner = |grant: &Grant| {
        from.is_some_and(|from| cookie.is_from(from))
            && cookie.addresses().any(|proven| covers(grant, proven))
    };
    let other = other.into_iter().filter(|grant| !partner(grant));
    let mut rows: Vec<AccessRow> = mine.into_iter().map(row).collect();
    for one in standings {
        if !rows.iter().any(|row| row.service == one.service()) {
            rows.push(AccessRow {
                service: one.service().to_owned(),
                source: String::new(),
                allowed: matches!(one, Standing::Allowed(_)),
                asks: asks(portal, one),
                probe: None,
                open: None,
            });
        }
    }
    rows.sort_by(|a, b| (a.open.is_none(), &a.service).cmp(&(b.open.is_none(), &b.service)));
    (rows, other.map(row).collect())
}

/// The fields of the form that shows what is missing. None: nothing is.
fn asks(portal: &Portal, standing: &Standing) -> Option<Asks> {
    let Standing::Lacks { factors, .. } = standing else {
        return None;
    };
    let asked = |kind| factors.contains(&kind);
    Some(Asks {
        password: asked(FactorKind::Pwd),
        code: asked(FactorKind::Otp),
        passkey: asked(FactorKind::Passkey) && portal.passkeys.is_some(),
    })
}

fn probe_of(portal: &Portal, service: &str) -> Option<String> {
    let mut probes = portal.config.probe.iter();
    let found = probes.find(|probe| probe.service == service)?;
    Some(found.url.to_string())
}

fn open_row(
    portal: &Portal,
    visit: &Visit,
    words: &Words,
    grant: &Grant,
    now: Timestamp,
) -> OpenRow {
    let left = grant
        .deadline
        .as_second()
        .saturating_sub(now.as_second())
        .max(0);
    let moment = |at| Moment::new(at, now, &portal.zone, visit.language);
    OpenRow {
        until: moment(grant.deadline),
        deadline: grant.deadline.as_second(),
        left: fill(&words.access.left, &[("time", &times::length(left, words))]),
        soon: left < SOON,
        packets: grouped(grant.packets),
        last_seen: grant.last_seen.map(moment),
    }
}

/// `1 234 567` with narrow blanks, which no language mistakes for a decimal mark.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `POST /access/open`: the services named, or all.
pub(super) async fn open(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    ask(&portal, &visit, &form, "opened").await
}

/// `POST /access/extend`: asking again moves the deadline.
pub(super) async fn extend(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
) -> Response {
    ask(&portal, &visit, &form, "extended").await
}

async fn ask(portal: &Portal, visit: &Visit, form: &Form, word: &str) -> Response {
    let (cookie, from) = match (visit.person(), visit.from()) {
        (Ok(cookie), Ok(from)) => (cookie, from),
        (Err(away), _) | (_, Err(away)) => return away.into_response(),
    };
    if !cookie.is_from(from) || cookie.is_moved() {
        // A cookie that came along to another address opens nothing there; one that moved there
        // carries what was open, and no more.
        return again(portal, visit, cookie, "/?say=address").await;
    }
    match ask_agent(portal, visit, cookie, from, form, word).await {
        Ok(response) => response,
        Err(failure) => failed(visit, &failure),
    }
}

pub(super) async fn ask_agent(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    from: ClientAddr,
    form: &Form,
    word: &str,
) -> Result<Response, Failure> {
    let Some(account) = portal.account_of(cookie).await? else {
        return Ok(again(portal, visit, cookie, "/?say=again").await);
    };
    let services = portal.grants.services().await?;
    let rules = &portal.config.access;
    let mut wanted = access::allowed(
        &services,
        &account,
        rules,
        from.ip(),
        &portal.shown(cookie).await?,
    );
    if form.has("service") {
        wanted.retain(|id| form.all("service").any(|name| name == id.name()));
    } else if word == "extended" {
        let user = cookie.user_name();
        let held = grants::held_by(portal.grants.as_ref(), user, Some(from.ip())).await?;
        wanted.retain(|id| held.iter().any(|grant| grant.service == id.name()));
    }
    let Some(proof) = FactorsPassed::new(Evidence::Cookie(cookie.clone(), account)) else {
        return Ok(again(portal, visit, cookie, "/?say=again").await);
    };
    let user = cookie.user_name();
    let sharing = portal.sharing(user, cookie.user_id(), from).await?;
    let wanted = portal.shortened(sharing, &services, wanted.into_iter().map(Wanted::from));
    let opened = grants::open(portal.grants.as_ref(), proof, from, wanted, &visit.id).await;
    if portal.withdraw_if_ended(cookie, from, &visit.id).await? {
        return Ok(Redirect::to("/?say=again").into_response());
    }
    let words = opened_words(word, &opened);
    let words = if words.is_empty() {
        "refused:-".to_owned()
    } else {
        words
    };
    let id = cookie.leave_notice(&portal.store, &words).await?;
    Ok(Redirect::to(&format!("/access?n={id}")).into_response())
}

/// Ends the cookie and asks for a new log-in.
pub(super) async fn again(
    portal: &Portal,
    visit: &Visit,
    cookie: &LiveCookie,
    to: &str,
) -> Response {
    match cookie.end(&portal.store).await {
        Ok(()) => Redirect::to(to).into_response(),
        Err(failure) => failed(visit, &failure.into()),
    }
}

/// `POST /access/close`: a service or all, from one source or from everywhere. From one address of
/// this browser: from both.
pub(super) async fn close(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let cookie = match visit.person() {
        Ok(cookie) => cookie,
        Err(away) => return away.into_response(),
    };
    let sources: Vec<Option<Source>> = match form.text("source") {
        "" => vec![None],
        text => match text.parse::<Source>() {
            Ok(source) => {
                let proven: Vec<ClientAddr> = cookie.addresses().collect();
                let of_both = proven.iter().any(|address| source.covers(address.ip()));
                let both = proven.into_iter().filter(|_| of_both);
                let both = both.map(|address| Some(Source::from(address.ip())));
                std::iter::once(Some(source)).chain(both).collect()
            }
            Err(_) => return super::failed::Kind::Bad.into_response(),
        },
    };
    let done = async {
        let mut names = BTreeSet::new();
        for source in sources {
            let request = CloseRequest {
                source,
                service: Some(form.text("service").to_owned()).filter(|name| !name.is_empty()),
                user: Some(cookie.user_name().to_owned()),
                all: false,
                reason: Some("closed by the person".into()),
                request_id: Some(visit.id.clone()),
            };
            let closed = portal.grants.close(&request).await.map_err(Failure::from)?;
            names.extend(closed.closed.into_iter().map(|closed| closed.service));
        }
        let names: Vec<String> = names.into_iter().collect();
        let words = format!("closed:{}", names.join(","));
        Ok::<String, Failure>(cookie.leave_notice(&portal.store, &words).await?)
    };
    match done.await {
        Ok(id) => Redirect::to(&format!("/access?n={id}")).into_response(),
        Err(failure) => failed(&visit, &failure),
    }
}
