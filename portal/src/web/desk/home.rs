//! `/desk`: find a person; what waits, and what was done lately. Each look-up of a person is counted
//! and recorded; a name that nobody has is written nowhere.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::StatusCode;

use super::{gate::officer, lines};
use crate::{
    desk::Officer,
    directory::UserName,
    portal::{Failure, Portal},
    web::{
        failed::failed,
        form::Form,
        page::{Notice, desk::HomePage, render},
        visit::Visit,
    },
};

const RECENT: i64 = 20;
const FOUND: i64 = 20;

/// `GET /desk`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    if let Err(answer) = officer(&portal, &visit).await {
        return answer;
    }
    let shown = page(&portal, &visit, StatusCode::OK, ("", None), None).await;
    shown.unwrap_or_else(|failure| failed(&visit, &failure))
}

/// `POST /desk/find`.
pub(super) async fn find(State(portal): State<Arc<Portal>>, visit: Visit, form: Form) -> Response {
    let officer = match officer(&portal, &visit).await {
        Ok(officer) => officer,
        Err(answer) => return answer,
    };
    let found = found(&portal, &visit, &officer, form.text("user")).await;
    found.unwrap_or_else(|failure| failed(&visit, &failure))
}

async fn found(
    portal: &Portal,
    visit: &Visit,
    officer: &Officer,
    typed: &str,
) -> Result<Response, Failure> {
    let words = &portal.texts.of(visit.language).desk;
    let now = portal.now().as_second();
    if !portal.desk.looks.count(officer.id(), now) {
        let notice = Some(Notice::bad(&words.too_many));
        return page(
            portal,
            visit,
            StatusCode::TOO_MANY_REQUESTS,
            (typed, None),
            notice,
        )
        .await;
    }
    let Some(name) = UserName::parse(typed) else {
        return page(portal, visit, StatusCode::OK, ("", Some(Vec::new())), None).await;
    };
    let mut names = Vec::new();
    if name.as_str().chars().count() >= 2 {
        let known = portal.store.people_beginning(name.as_str(), FOUND).await?;
        names.extend(known.into_iter().map(|person| person.user_name));
    }
    if !names
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name.as_str()))
        && let Some(whom) = portal.tools().whom(name.as_str()).await?
        && !names.contains(&whom.name)
    {
        names.insert(0, whom.name);
    }
    let by = officer.by(&visit.id);
    portal.audit.write(by.searched(names.len())).await?;
    match names.as_slice() {
        [only] => Ok(Redirect::to(&person(only)).into_response()),
        _ => {
            page(
                portal,
                visit,
                StatusCode::OK,
                (name.as_str(), Some(names)),
                None,
            )
            .await
        }
    }
}

/// Where somebody's page is.
pub(super) fn person(name: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("user", name);
    format!("/desk/person?{}", query.finish())
}

async fn page(
    portal: &Portal,
    visit: &Visit,
    status: StatusCode,
    (typed, found): (&str, Option<Vec<String>>),
    notice: Option<Notice>,
) -> Result<Response, Failure> {
    let now = portal.now().as_second();
    let line = |row| lines::case(portal, visit.language, &row);
    let waiting = portal.store.open_cases(now).await?;
    let recent = portal.store.cases(None, RECENT).await?;
    let mut page = visit.page(portal, "/desk");
    page.notices.extend(notice);
    let shown = HomePage {
        page,
        typed: typed.to_owned(),
        found,
        waiting: waiting.into_iter().map(line).collect(),
        recent: recent.into_iter().map(line).collect(),
    };
    Ok(render(visit, status, &shown))
}
