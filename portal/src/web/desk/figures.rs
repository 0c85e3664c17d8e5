//! `/desk/figures`: pictures of the log-in, of how long people take, and of who is enrolled; and the
//! same numbers as CSV.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};

use super::gate::{asked, officer};
use crate::{
    desk::{Bars, Chart, Of, Spans, reasons, table},
    portal::{Failure, Portal},
    reports::Report,
    store::{Count, Counted},
    text::FiguresWords,
    web::{
        failed::{Kind, failed},
        page::{desk::FiguresPage, render},
        visit::Visit,
    },
};

/// Counts of both kinds since thirty days ago, and the spans of time.
struct Numbers {
    log_ins: Vec<Count>,
    waits: Vec<Count>,
    hours: Spans,
    days: Spans,
}

impl Numbers {
    async fn of(portal: &Portal) -> Result<Self, Failure> {
        portal.desk.counters.flush(&portal.store).await?;
        let hours = Spans::hours(portal.now(), &portal.zone);
        let days = Spans::days(portal.now(), &portal.zone);
        let since = days.begin();
        Ok(Self {
            log_ins: portal.store.counts(Counted::Login, since).await?,
            waits: portal.store.counts(Counted::Open, since).await?,
            hours,
            days,
        })
    }
}

/// `GET /desk/figures`.
pub(super) async fn show(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    if let Err(answer) = officer(&portal, &visit).await {
        return answer;
    }
    match page(&portal, &visit).await {
        Ok(response) => response,
        Err(failure) => failed(&visit, &failure),
    }
}

async fn page(portal: &Portal, visit: &Visit) -> Result<Response, Failure> {
    let words = &portal.texts.of(visit.language).figures;
    let numbers = Numbers::of(portal).await?;
    let enrolled = enrolled(portal).await;
    let no_list = enrolled.is_none();
    let mut charts = charts(words, &numbers);
    if let Some(bars) = enrolled {
        let series = [
            ("good", words.enrolled.as_str()),
            ("off", words.missing.as_str()),
        ];
        let chart = Chart::new("enrolment", &words.enrolment, &words.enrolment_about)
            .named(&series, &words.group, &words.numbers)
            .rows(bars);
        charts.push(("enrolment", chart));
    }
    let page = visit.page(portal, "/desk/figures");
    let shown = FiguresPage {
        page,
        charts,
        no_list,
    };
    Ok(render(visit, StatusCode::OK, &shown))
}

/// None where the directory cannot list its people, or something does not answer: the other pictures
/// are of use all the same.
async fn enrolled(portal: &Portal) -> Option<Vec<Bars>> {
    match portal.enrolled().await {
        Ok(bars) => bars,
        Err(failure) => {
            tracing::warn!(%failure, "who is enrolled cannot be shown");
            None
        }
    }
}

fn charts(words: &FiguresWords, numbers: &Numbers) -> Vec<(&'static str, Chart)> {
    let results = [
        ("good", words.r#in.as_str()),
        ("bad", words.refused.as_str()),
        ("warn", words.down.as_str()),
    ];
    let waits = [("info", words.median.as_str()), ("off", words.p95.as_str())];
    let of = |title: &str, about: &str, id| Chart::new(id, title, about);
    vec![
        (
            "hours",
            of(&words.hours, &words.hours_about, "hours")
                .named(&results, &words.hour, &words.numbers)
                .stacked(numbers.hours.log_ins(&numbers.log_ins)),
        ),
        (
            "days",
            of(&words.days, &words.days_about, "days")
                .named(&results, &words.day, &words.numbers)
                .stacked(numbers.days.log_ins(&numbers.log_ins)),
        ),
        (
            "open",
            of(&words.open, &words.open_about, "open")
                .named(&waits, &words.day, &words.numbers)
                .beside(numbers.days.waits(&numbers.waits)),
        ),
        (
            "reasons",
            of(&words.reasons, &words.reasons_about, "reasons")
                .named(
                    &[("bad", words.count.as_str())],
                    &words.reason,
                    &words.numbers,
                )
                .rows(reasons(&numbers.log_ins)),
        ),
    ]
}

/// `GET /desk/figures.csv?of=…`.
pub(super) async fn csv(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    uri: http::Uri,
) -> Response {
    if let Err(answer) = officer(&portal, &visit).await {
        return answer;
    }
    let Some(of) = Of::of_word(&asked(&uri, "of")) else {
        return Kind::NotFound.into_response();
    };
    match report(&portal, of).await {
        Ok(Some(report)) => {
            let kind = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (
                    header::CONTENT_DISPOSITION,
                    "attachment; filename=\"figures.csv\"",
                ),
            ];
            (kind, report.csv()).into_response()
        }
        Ok(None) => Kind::NotFound.into_response(),
        Err(failure) => failed(&visit, &failure),
    }
}

/// None: the directory cannot list its people.
async fn report(portal: &Portal, of: Of) -> Result<Option<Report>, Failure> {
    let numbers = Numbers::of(portal).await?;
    let results = &["time", "in", "refused", "down"];
    Ok(Some(match of {
        Of::Hours => table(results, &numbers.hours.log_ins(&numbers.log_ins)),
        Of::Days => table(results, &numbers.days.log_ins(&numbers.log_ins)),
        Of::Open => table(
            &["day", "median_seconds", "p95_seconds"],
            &numbers.days.waits(&numbers.waits),
        ),
        Of::Reasons => table(&["reason", "count"], &reasons(&numbers.log_ins)),
        Of::Enrolment => match portal.enrolled().await? {
            Some(bars) => table(&["group", "enrolled", "not_yet"], &bars),
            None => return Ok(None),
        },
    }))
}
