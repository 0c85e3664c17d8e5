//! Every form of every page, found by looking at the pages, with what browsers and strangers send:
//! missing, oversized, repeated and misplaced fields, somebody else's cookie, another site. Nothing
//! fails, nothing opens, nothing changes.

mod found;
mod routes;

use std::collections::BTreeSet;

use http::StatusCode;

use crate::testing::{Ask, Got, Site};
use found::{Found, House};

/// What must be the same before and after.
#[derive(Debug, PartialEq, Eq)]
struct State {
    open: Vec<String>,
    tokens: Vec<String>,
    denied: usize,
    cases: Vec<String>,
    tickets: usize,
}

async fn state(site: &Site) -> State {
    let (store, now) = (&site.portal.store, site.clock.now().as_second());
    let tokens = store.tokens(None).await.unwrap();
    let tokens = tokens.iter().map(|token| {
        format!(
            "{} {} {} {:?}",
            token.id,
            token.name,
            token.state().unwrap().name(),
            token.owner()
        )
    });
    let cases = store.cases(None, 1000).await.unwrap();
    let cases = cases
        .iter()
        .map(|case| format!("{} {:?}", case.id, case.state(now)));
    let denied = site.agent.denied.lock().unwrap().len();
    State {
        open: site.agent.open(),
        tokens: tokens.collect(),
        denied,
        cases: cases.collect(),
        tickets: store.tickets(None).await.unwrap().len(),
    }
}

/// A form's fields, each of them missing, twice, odd and huge, and all at once.
fn tries<'a>(typed: &[(&'a str, &'a str)], large: &'a str) -> Vec<Vec<(&'a str, &'a str)>> {
    let mut tries = vec![vec![], typed.to_vec()];
    for (index, (name, _)) in typed.iter().enumerate() {
        let mut without = typed.to_vec();
        without.remove(index);
        let mut twice = typed.to_vec();
        twice.push((name, "again"));
        let mut odd = typed.to_vec();
        odd[index].1 = "\u{0}\u{202e}' OR 1=1 -- <script>{{7*7}}";
        let mut huge = typed.to_vec();
        huge[index].1 = large;
        tries.extend([without, twice, odd, huge, vec![(*name, "x"); 100]]);
    }
    tries
}

/// Sends everything that may be wrong with a form. `as_`: with this cookie.
async fn abuse(site: &Site, form: &Found, as_: Option<&str>) {
    let large = "x".repeat(70_000);
    let typed = form.pairs();
    for tried in tries(&typed, &large) {
        let mut request = Ask::post(&form.action, &tried);
        request.cookie = as_;
        let got = site.send(request).await;
        let told = format!("{} {:?}: {}", form.action, tried.len(), got.status);
        assert!(!got.status.is_server_error(), "{told}");
        assert!(
            !got.body.contains("<script>{{"),
            "{told}: printed as it came"
        );
        assert!(got.cookie().is_none(), "{told}: somebody got in");
        let is_large = tried.len() > 64 || tried.iter().any(|(_, value)| value.len() > 65_536);
        if is_large && !typed.is_empty() {
            refuses_or_ignores(&form.action, &got, &told);
        }
    }
}

/// What ignores its form need not read it.
fn refuses_or_ignores(action: &str, got: &Got, told: &str) {
    let fine = match got.status {
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::NOT_FOUND | StatusCode::SEE_OTHER => true,
        StatusCode::OK => action == "/logoff",
        _ => false,
    };
    assert!(fine, "{told}");
}

#[tokio::test]
async fn every_route_that_takes_a_form_is_walked() {
    let house = House::open().await;
    let found = house.forms().await;
    let walked: BTreeSet<String> = found.iter().map(|form| form.action.clone()).collect();
    let routes = routes::of_the_router();
    assert!(
        routes.len() > 30,
        "routes are written otherwise: {routes:?}"
    );
    let forgotten: Vec<&String> = routes.difference(&walked).collect();
    assert!(forgotten.is_empty(), "no page led to {forgotten:?}");
    let nowhere: Vec<&String> = walked.difference(&routes).collect();
    assert!(nowhere.is_empty(), "{nowhere:?} lead nowhere");
    let written = routes::of_the_templates();
    assert!(written.is_subset(&routes), "{written:?}");
    for route in &routes {
        let got = house.site.send(Ask::page(route)).await.status;
        let is_there = got != StatusCode::NOT_FOUND;
        assert!(is_there, "{route} is written and not served");
    }
}

#[tokio::test]
async fn missing_repeated_and_oversized_fields_are_answered_with_a_page_and_change_nothing() {
    let house = House::open().await;
    let before = state(&house.site).await;
    // Nobody logged in, so that what a form could do is nothing by itself.
    for form in house.forms().await {
        abuse(&house.site, &form, None).await;
    }
    assert_eq!(state(&house.site).await, before);
}

#[tokio::test]
async fn an_auditor_changes_nothing_with_any_form_of_the_desk() {
    let house = House::open().await;
    let before = state(&house.site).await;
    let forms = house.forms().await;
    for form in forms.iter().filter(|form| form.is_of_the_desk()) {
        abuse(&house.site, form, Some(&house.erin)).await;
    }
    assert_eq!(state(&house.site).await, before);
}

/// Who may do all of it sends nonsense: cases come of it at most, each with its evidence and a note
/// that can be printed.
#[tokio::test]
async fn an_officers_nonsense_is_answered_with_a_page_and_no_case_lacks_its_evidence() {
    let house = House::open().await;
    let forms = house.forms().await;
    for form in forms.iter().filter(|form| form.is_of_the_desk()) {
        abuse(&house.site, form, Some(&house.frank)).await;
    }
    let listed = &house.site.portal.config.desk.as_ref().unwrap().evidence;
    for case in house.site.portal.store.cases(None, 1000).await.unwrap() {
        assert!(listed.contains(&case.evidence), "{case:?}");
        let note = case.note.trim();
        assert!(!note.is_empty() && note.len() < 1000, "{case:?}");
        assert!(!note.contains(char::is_control), "{case:?}");
    }
}

#[tokio::test]
async fn another_site_can_send_none_of_them() {
    let house = House::open().await;
    let before = state(&house.site).await;
    for form in house.forms().await {
        let typed = form.pairs();
        let cookie = match form.cookie.as_str() {
            "" => house.alice.as_str(),
            seen => seen,
        };
        for header in [
            [("sec-fetch-site", "cross-site")],
            [("sec-fetch-site", "same-site")],
            [("origin", "https://evil.example.net")],
            [("origin", "null")],
        ] {
            let request = Ask::post(&form.action, &typed).as_(cookie).with(&header);
            let got = house.site.send(request).await;
            assert_eq!(
                got.status,
                StatusCode::FORBIDDEN,
                "{} {header:?}",
                form.action
            );
        }
    }
    assert_eq!(state(&house.site).await, before);
}

#[tokio::test]
async fn somebody_elses_and_made_up_cookies_do_nothing_to_alice_nor_at_the_desk() {
    let house = House::open().await;
    let (site, forms) = (&house.site, house.forms().await);
    let before = state(site).await;
    let bob = {
        let form = [
            ("username", "bob"),
            ("password", "password of bob"),
            ("code", &site.code(&house.bob)),
            ("services", "none"),
        ];
        let there = Ask::post("/login", &form).from("198.51.100.9");
        site.send(there).await.cookie().unwrap()
    };
    let made_up = "__Host-sekisho=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for form in &forms {
        // What may be done to oneself is no matter; all of alice's ids are in these forms.
        if ["/devices/enrol", "/devices/recovery", "/logoff"].contains(&form.action.as_str()) {
            continue;
        }
        let typed = form.pairs();
        for cookie in [bob.as_str(), made_up] {
            for source in ["198.51.100.9", crate::testing::SOURCE] {
                let request = Ask::post(&form.action, &typed).as_(cookie).from(source);
                let got = site.send(request).await;
                assert!(!got.status.is_server_error(), "{}", form.action);
                let let_in = form.is_of_the_desk() && got.status.is_success();
                assert!(!let_in, "{} {}", form.action, got.body);
            }
        }
    }
    let after = state(site).await;
    let alices = |state: &State| -> Vec<String> {
        let open = state.open.iter();
        open.filter(|grant| grant.contains("192.0.2.7"))
            .cloned()
            .collect()
    };
    assert_eq!(alices(&after), alices(&before));
    assert_eq!(
        (after.tokens, after.cases, after.tickets),
        (before.tokens, before.cases, before.tickets)
    );
}
