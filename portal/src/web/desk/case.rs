//! Cases: open one, look at it, decide on somebody else's, carry out one's own. A ticket's code is on
//! the answer to the form that made it, and never again.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::StatusCode;

use super::{
    gate::{asked, officer},
    lines::{self, moment},
    person,
};
use crate::{
    desk::{Came, CaseKind, Made, Officer, Refused, Role, Wish, may_take},
    portal::{Failure, Portal},
    store::{CaseRow, CaseState, Decision},
    text::DeskWords,
    web::{
        failed::{Kind, failed},
        form::Form,
        page::{
            Notice,
            desk::{CasePage, ShownTicket},
            render,
        },
        visit::Visit,
    },
};

/// `POST /desk/open`.
pub(super) async fn open(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let officer = match officer(&portal, &visit).await {
        Ok(officer) => officer,
        Err(answer) => return answer,
    };
    let opened = opened(&portal, &visit, &officer, &form).await;
    opened.unwrap_or_else(|failure| failed(&visit, &failure))
}

async fn opened(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    form: &Form,
) -> Result<Response, Failure> {
    let Some(kind) = CaseKind::of_word(form.text("case")) else {
        return Ok(Kind::Bad.into_response());
    };
    let tools = portal.tools();
    let Some(whom) = tools.whom(form.text("user")).await? else {
        return Ok(Kind::NotFound.into_response());
    };
    let wish = Wish {
        kind,
        whom: &whom,
        subject: form.text("subject").trim(),
        evidence: form.text("evidence"),
        note: form.text("note"),
    };
    match tools.open(&officer.by(&visit.id), wish).await? {
        Ok(came) => answer(portal, visit, officer, came).await,
        Err(refused) => {
            let words = &portal.texts.of(visit.language).desk;
            let notice = Notice::bad(refused.sentence(words));
            person::again(portal, visit, officer, &whom, status(refused), notice).await
        }
    }
}

pub(super) fn status(refused: Refused) -> StatusCode {
    match refused {
        Refused::Role | Refused::Yourself | Refused::Own | Refused::NoDesk => StatusCode::FORBIDDEN,
        Refused::Over => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// With a ticket the page itself, else on to the case's own page.
async fn answer(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    came: Came,
) -> Result<Response, Failure> {
    let (case, made, say) = match came {
        Came::Waits { case } => (case, None, "waits"),
        Came::Decided { case } => (case, None, "decided"),
        Came::Done {
            case,
            ticket,
            outcome,
        } => (case, ticket, outcome_word(outcome)),
    };
    if made.is_none() {
        return Ok(Redirect::to(&format!("/desk/case?id={case}&say={say}")).into_response());
    }
    match portal.store.case(&case).await? {
        Some(row) => page(portal, visit, officer, (&row, say), StatusCode::OK, made),
        None => Ok(Kind::NotFound.into_response()),
    }
}

fn outcome_word(outcome: &str) -> &'static str {
    match outcome {
        "grants-not-closed" => "not-closed",
        "stopped-without-ticket" => "half",
        _ => "done",
    }
}

/// What the page says of what was just done.
fn said(say: &str, row: &CaseRow, words: &DeskWords) -> Option<Notice> {
    Some(match say {
        "waits" if row.stopped.is_some() => Notice::info(&words.said_waits_stopped),
        "waits" => Notice::info(&words.said_waits),
        "decided" => Notice::good(&words.said_decided),
        "done" => Notice::good(&words.said_done),
        "not-closed" => Notice::bad(&words.said_not_closed),
        "half" => Notice::bad(&words.said_half),
        _ => return None,
    })
}

/// `GET /desk/case?id=…`.
pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    uri: http::Uri,
) -> Response {
    let officer = match officer(&portal, &visit).await {
        Ok(officer) => officer,
        Err(answer) => return answer,
    };
    match portal.store.case(&asked(&uri, "id")).await {
        Ok(Some(row)) => {
            let say = visit.say.as_deref().unwrap_or("");
            page(&portal, &visit, &officer, (&row, say), StatusCode::OK, None)
                .unwrap_or_else(|failure| failed(&visit, &failure))
        }
        Ok(None) => Kind::NotFound.into_response(),
        Err(failure) => failed(&visit, &failure.into()),
    }
}

/// `POST /desk/approve`.
pub(super) async fn approve(state: State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    decide(state, visit, form, Decision::Approve).await
}

/// `POST /desk/refuse`.
pub(super) async fn refuse(state: State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    decide(state, visit, form, Decision::Refuse).await
}

async fn decide(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    form: Form,
    decision: Decision,
) -> Response {
    let officer = match officer(&portal, &visit).await {
        Ok(officer) => officer,
        Err(answer) => return answer,
    };
    let (by, tools) = (officer.by(&visit.id), portal.tools());
    let id = form.text("id");
    let decided = tools.decide(&by, (id, decision), form.text("note")).await;
    came_of(&portal, &visit, &officer, id, decided).await
}

/// `POST /desk/take`.
pub(super) async fn take(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let officer = match officer(&portal, &visit).await {
        Ok(officer) => officer,
        Err(answer) => return answer,
    };
    let id = form.text("id");
    let taken = portal.tools().take(&officer.by(&visit.id), id).await;
    came_of(&portal, &visit, &officer, id, taken).await
}

async fn came_of(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    id: &str,
    came: Result<Result<Came, Refused>, Failure>,
) -> Response {
    let answered = async {
        match came? {
            Ok(came) => answer(portal, visit, officer, came).await,
            Err(refused) => match portal.store.case(id).await? {
                Some(row) => refused_page(portal, visit, officer, &row, refused),
                None => Ok(Kind::NotFound.into_response()),
            },
        }
    };
    answered
        .await
        .unwrap_or_else(|failure| failed(visit, &failure))
}

fn refused_page(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    row: &CaseRow,
    refused: Refused,
) -> Result<Response, Failure> {
    let words = &portal.texts.of(visit.language).desk;
    let mut shown = made_page(portal, visit, officer, row, None);
    shown
        .page
        .notices
        .push(Notice::bad(refused.sentence(words)));
    Ok(render(visit, status(refused), &shown))
}

fn page(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    (row, say): (&CaseRow, &str),
    status: StatusCode,
    made: Option<Made>,
) -> Result<Response, Failure> {
    let words = &portal.texts.of(visit.language).desk;
    let mut shown = made_page(portal, visit, officer, row, made);
    shown.page.notices.extend(said(say, row, words));
    Ok(render(visit, status, &shown))
}

fn made_page<'a>(
    portal: &'a Portal,
    visit: &'a Visit,
    officer: &Officer,
    row: &CaseRow,
    made: Option<Made>,
) -> CasePage<'a> {
    let at = |second: Option<i64>| second.map(|second| moment(portal, visit.language, second));
    let state = row.state(portal.now().as_second());
    let open = matches!(state, CaseState::Waiting | CaseState::Approved);
    let by = officer.by(&visit.id);
    let own = may_take(&by, row);
    let about_them = row.user_id.as_deref() == Some(officer.id());
    CasePage {
        page: visit.page(portal, "/desk"),
        line: lines::case(portal, visit.language, row),
        evidence: row.evidence.clone(),
        note: row.note.clone(),
        subject: row.subject.clone(),
        until: at(open.then_some(row.expires)),
        decided: at(row.decided),
        decided_by: row.decided_by.clone().unwrap_or_default(),
        decision: row.decision.clone().unwrap_or_default(),
        carried_out: at(row.carried_out),
        stopped: at(row.stopped),
        enrolled: at(row.enrolled),
        may_decide: state == CaseState::Waiting
            && officer.is(Role::Approver)
            && !own
            && !about_them,
        may_take: state == CaseState::Approved && officer.is(Role::Helpdesk) && own,
        ticket: made.map(|made| ShownTicket {
            url: format!("{}/ticket", portal.config.portal.url()),
            until: moment(portal, visit.language, made.expires),
            code: made.code,
        }),
    }
}
