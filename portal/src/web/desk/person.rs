//! `/desk/person`: what is known of one person, and the forms of the cases that fit. No secret is
//! here: of recovery codes only how many are left.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use super::{
    gate::{asked, officer},
    lines::{self, moment},
};
use crate::{
    desk::{CaseKind, Officer, Role, Seen, Whom},
    directory::AccountState,
    grants,
    portal::{Failure, Portal},
    store::{TicketState, TokenRow},
    text::{DeskWords, fill},
    web::{
        failed::{Kind, failed},
        page::{
            MessagePage, Notice,
            desk::{CaseForm, OpenLine, PersonPage, SigninLine, TicketLine},
            render,
        },
        visit::Visit,
    },
};

const SHOWN: i64 = 20;

/// `GET /desk/person?user=NAME`.
pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    uri: http::Uri,
) -> Response {
    let officer = match officer(&portal, &visit).await {
        Ok(officer) => officer,
        Err(answer) => return answer,
    };
    let shown = shown(&portal, &visit, &officer, &asked(&uri, "user")).await;
    shown.unwrap_or_else(|failure| failed(&visit, &failure))
}

async fn shown(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    name: &str,
) -> Result<Response, Failure> {
    if !may_look(portal, officer) {
        return Ok(too_many(portal, visit));
    }
    let Some(whom) = portal.tools().whom(name).await? else {
        return Ok(Kind::NotFound.into_response());
    };
    let by = officer.by(&visit.id);
    portal.audit.write(by.looked(&whom)).await?;
    page(portal, visit, officer, &whom, StatusCode::OK, None).await
}

/// Counts a look-up.
pub(super) fn may_look(portal: &Portal, officer: &Officer) -> bool {
    let now = portal.now().as_second();
    portal.desk.looks.count(officer.id(), now)
}

/// The page as the answer to a form. It shows the person like any look-up, so it counts as one.
pub(super) async fn again(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    whom: &Whom,
    status: StatusCode,
    notice: Notice,
) -> Result<Response, Failure> {
    if !may_look(portal, officer) {
        return Ok(too_many(portal, visit));
    }
    let looked = officer.by(&visit.id).looked(whom);
    portal.audit.write(looked).await?;
    page(portal, visit, officer, whom, status, Some(notice)).await
}

/// The page that says that somebody looked up too many people.
pub(super) fn too_many(portal: &Portal, visit: &Visit) -> Response {
    let words = &portal.texts.of(visit.language).desk;
    let message = MessagePage {
        title: &words.title,
        text: &words.too_many,
        link: Some(("/desk", &words.home)),
        page: visit.page(portal, "/desk"),
    };
    render(visit, StatusCode::TOO_MANY_REQUESTS, &message)
}

/// The page, with a notice where something was done or refused.
async fn page(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    whom: &Whom,
    status: StatusCode,
    notice: Option<Notice>,
) -> Result<Response, Failure> {
    let (store, language) = (&portal.store, visit.language);
    let words = &portal.texts.of(language).desk;
    let id = whom.id.as_deref().unwrap_or_default();
    let tokens = store.tokens_of(id).await?;
    let recovery = store.recovery_set(id).await?;
    let tickets = store.tickets(Some(&whom.name)).await?;
    let cases = store
        .cases(Some((whom.id.as_deref(), &whom.name)), SHOWN)
        .await?;
    let own = whom.id.as_deref() == Some(officer.id());
    let forms = match !own && officer.is(Role::Helpdesk) {
        true => forms(portal, words, whom, &tokens).await?,
        false => Vec::new(),
    };
    let (state, tone) = standing(&whom.seen, words);
    let groups = whom.account().map(|account| account.groups.join(", "));
    let mut page = visit.page(portal, "/desk");
    page.notices.extend(notice);
    let shown = PersonPage {
        page,
        name: whom.name.clone(),
        state,
        tone,
        groups: groups.unwrap_or_default(),
        codes: recovery.map_or(0, |set| set.left),
        wait: wait(portal, visit, whom).await?,
        tokens: tokens
            .iter()
            .map(|row| lines::token(portal, language, row))
            .collect(),
        tickets: tickets
            .into_iter()
            .take(10)
            .map(|row| TicketLine {
                state: ticket_state(row.state(portal.now().as_second()), words),
                until: moment(portal, language, row.expires),
                id: row.id,
                by: row.issued_by,
            })
            .collect(),
        signins: signins(portal, visit, id).await?,
        open: open(portal, visit, &whom.name).await,
        cases: cases
            .iter()
            .map(|row| lines::case(portal, language, row))
            .collect(),
        may_say_owner: !own && officer.is(Role::Helpdesk),
        own,
        forms,
        evidence: portal
            .config
            .desk
            .as_ref()
            .map_or(&[][..], |desk| desk.evidence.as_slice()),
    };
    Ok(render(visit, status, &shown))
}

fn standing<'a>(seen: &Seen, words: &'a DeskWords) -> (&'a str, &'static str) {
    match seen {
        Seen::Nobody => (&words.state_nobody, "bad"),
        Seen::Silent => (&words.state_silent, "warn"),
        Seen::Here(account) => match account.state {
            AccountState::Active => (&words.state_active, "good"),
            AccountState::Disabled => (&words.state_disabled, "bad"),
            AccountState::Expired => (&words.state_expired, "bad"),
            AccountState::Locked => (&words.state_locked, "warn"),
            AccountState::MustChange => (&words.state_must_change, "warn"),
        },
    }
}

fn ticket_state(state: TicketState, words: &DeskWords) -> &str {
    match state {
        TicketState::Open => &words.ticket_open,
        TicketState::Used => &words.ticket_used,
        TicketState::Void => &words.ticket_void,
        TicketState::Expired => &words.ticket_expired,
    }
}

async fn signins(portal: &Portal, visit: &Visit, id: &str) -> Result<Vec<SigninLine>, Failure> {
    let attempts = portal.store.attempts(id, SHOWN).await?;
    Ok(attempts
        .into_iter()
        .map(|attempt| SigninLine {
            at: moment(portal, visit.language, attempt.at),
            source: attempt.source,
            good: matches!(
                attempt.outcome.as_str(),
                "ok" | "enrol" | "moved" | "joined"
            ),
            outcome: attempt.outcome,
        })
        .collect())
}

/// What the person has open. None: the agent does not answer.
async fn open(portal: &Portal, visit: &Visit, name: &str) -> Option<Vec<OpenLine>> {
    match grants::held_by(portal.grants.as_ref(), name, None).await {
        Ok(grants) => Some(
            grants
                .into_iter()
                .map(|grant| OpenLine {
                    until: moment(portal, visit.language, grant.deadline.as_second()),
                    source: grant.source.to_string(),
                    service: grant.service,
                })
                .collect(),
        ),
        Err(failure) => {
            tracing::warn!(%failure, "what a person has open cannot be shown to the desk");
            None
        }
    }
}

async fn wait(portal: &Portal, visit: &Visit, whom: &Whom) -> Result<String, Failure> {
    let words = &portal.texts.of(visit.language).desk;
    let key = portal.wait_key(&whom.name.to_lowercase());
    let Some(standing) = portal.store.standing(&key).await? else {
        return Ok(words.wait_none.clone());
    };
    let count = standing.failures.to_string();
    let at = moment(portal, visit.language, standing.until).short;
    let text = if portal.backoff().is_exhausted(standing.failures) {
        &words.wait_locked
    } else if standing.until > portal.now().as_second() {
        &words.wait_until
    } else {
        &words.wait_some
    };
    Ok(fill(text, &[("count", &count), ("time", &at)]))
}

/// The forms of the cases that fit the person now.
async fn forms<'a>(
    portal: &'a Portal,
    words: &'a DeskWords,
    whom: &Whom,
    tokens: &[TokenRow],
) -> Result<Vec<CaseForm<'a>>, Failure> {
    let id = whom.id.as_deref().unwrap_or_default();
    let stopped = portal.store.stopped_by_desk(id).await?;
    let stopped: Vec<(String, String)> = tokens
        .iter()
        .filter(|token| stopped.contains(&token.id))
        .map(|token| (token.id.clone(), token.name.clone()))
        .collect();
    let in_stock = !portal.store.stock().await?.is_empty();
    let fits = |kind: &CaseKind| match kind {
        CaseKind::Lost | CaseKind::Lockout => true,
        CaseKind::Resume => whom.account().is_some() && !stopped.is_empty(),
        CaseKind::Hardware => whom.account().is_some() && in_stock,
        CaseKind::Enrol | CaseKind::Unlock | CaseKind::Codes => whom.account().is_some(),
    };
    let second = |kind: CaseKind| {
        let desk = portal.config.desk.as_ref();
        let needed = desk.is_some_and(|desk| desk.needs_second(kind.act()));
        needed.then_some(match kind {
            CaseKind::Lost => words.second_ticket.as_str(),
            _ => words.second.as_str(),
        })
    };
    let form = |kind: CaseKind| {
        let (text, submit) = lines::about(kind, words);
        CaseForm {
            word: kind.word(),
            title: kind.title(words),
            text,
            submit,
            second: second(kind),
            danger: matches!(kind, CaseKind::Lost | CaseKind::Lockout),
            tokens: match kind {
                CaseKind::Resume => stopped.clone(),
                _ => Vec::new(),
            },
            serial: kind == CaseKind::Hardware,
        }
    };
    Ok(CaseKind::ALL.into_iter().filter(fits).map(form).collect())
}
