//! Where and when an authenticator may be set up: each way is refused elsewhere and at another time,
//! with words that say where and when, and nothing is used up by that.

use http::StatusCode;

use super::{
    enrolment::{confirm, offered, redeem, ticket},
    recovery::{lose, made},
};
use crate::{
    store::TokenState,
    testing::{Ask, Site},
};

const PASSWORD: &str = "password of alice";
/// Tests come from 192.0.2.7 and begin on a Friday at 08:00 UTC.
const ELSEWHERE: &str = "[enrolment]\nnetworks = [\"198.51.100.0/24\", \"2001:db8::/32\"]\n";
const LATER: &str = "[enrolment]\nhours = [\"mon-fri 08:30-17:00\", \"sat 10:00-12:00\"]\n";
const HALF_AN_HOUR: i64 = 1_800;

fn told(body: &str) {
    for words in [
        "No device can be set up from this network.",
        "It is possible from: 198.51.100.0/24, 2001:db8::/32.",
    ] {
        assert!(body.contains(words), "{words}: {body}");
    }
}

#[tokio::test]
async fn a_ticket_is_refused_elsewhere_in_both_languages_and_stays_good() {
    let site = Site::new(ELSEWHERE).await;
    let code = ticket(&site, "alice", None).await;
    let before = site.send(Ask::page("/ticket")).await;
    told(&before.body);
    let refused = redeem(&site, "alice", PASSWORD, &code).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    told(&refused.body);
    // It says the same to somebody who has nothing, so it tells nothing of anybody.
    let nobody = redeem(&site, "zoe", "x", "y").await;
    assert_eq!(nobody.status, StatusCode::FORBIDDEN);
    let form = [
        ("username", "alice"),
        ("password", PASSWORD),
        ("ticket", &code),
    ];
    let japanese = Ask::post("/ticket", &form);
    let japanese = site.send(japanese.with(&[("accept-language", "ja")])).await;
    assert!(
        japanese
            .body
            .contains("登録できるネットワーク: 198.51.100.0/24、2001:db8::/32。"),
        "{}",
        japanese.body
    );
    let outcomes = site.agent.outcomes();
    assert!(
        outcomes.contains(&"enrolment-not-from-there".to_owned()),
        "{outcomes:?}"
    );
    let there = site
        .send(Ask::post("/ticket", &form).from("198.51.100.9"))
        .await;
    let (seed, token) = offered(&there);
    // Who has begun may end, wherever the phone is looked at.
    let done = confirm(&site, &token, &site.code(&seed)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
}

#[tokio::test]
async fn a_ticket_is_refused_at_another_time_with_the_hours() {
    let site = Site::new(LATER).await;
    let code = ticket(&site, "alice", None).await;
    let early = redeem(&site, "alice", PASSWORD, &code).await;
    assert_eq!(early.status, StatusCode::FORBIDDEN);
    for words in [
        "No device can be set up at this time.",
        "Mon–Fri 08:30–17:00, Sat 10:00–12:00 (UTC)",
    ] {
        assert!(early.body.contains(words), "{}", early.body);
    }
    site.clock.advance(HALF_AN_HOUR - 1);
    assert_eq!(redeem(&site, "alice", PASSWORD, &code).await.status, 403);
    site.clock.advance(1);
    assert_eq!(redeem(&site, "alice", PASSWORD, &code).await.status, 200);
}

#[tokio::test]
async fn one_s_own_devices_are_added_and_replaced_there_only() {
    let more = format!("public_url = \"https://portal.example.org\"\n{ELSEWHERE}");
    let site = Site::new(&more).await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let page = site.send(Ask::page("/devices").as_(&cookie)).await;
    told(&page.body);
    for gone in ["data-passkey-add", "/devices/replace"] {
        assert!(!page.body.contains(gone), "{gone}");
    }
    let form = [("token", id.as_str())];
    for path in [
        "/devices/enrol",
        "/devices/replace",
        "/devices/passkey/start",
        "/devices/recovery",
    ] {
        let refused = site.send(Ask::post(path, &form).as_(&cookie)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        told(&refused.body);
    }
    // Stopping a device is never held up.
    let stopped = site.send(Ask::post("/devices/suspend", &form).as_(&cookie));
    assert!(stopped.await.to().starts_with("/devices?n="));
    let tokens = site.portal.store.tokens_of("u-alice").await.unwrap();
    assert_eq!(tokens.len(), 1, "nothing was begun");
}

#[tokio::test]
async fn a_first_log_in_is_told_only_when_the_password_is_right() {
    let more = format!("enrol_at_first_login = true\n{ELSEWHERE}");
    let site = Site::new(&more).await;
    let wrong = site.log_in("alice", "another", "").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(
        !wrong.body.contains("198.51.100.0"),
        "no word of who has a token"
    );
    let right = site.log_in("alice", PASSWORD, "").await;
    assert_eq!(right.status, StatusCode::FORBIDDEN);
    told(&right.body);
    let form = [("username", "alice"), ("password", PASSWORD), ("code", "")];
    let there = site.send(Ask::post("/login", &form).from("2001:db8::7"));
    offered(&there.await);
}

#[tokio::test]
async fn a_recovery_code_works_from_everywhere_unless_it_is_named() {
    let site = Site::new(ELSEWHERE).await;
    site.token("alice").await;
    // Made earlier, where that was possible.
    let codes = site.portal.new_recovery_codes(("u-alice", "alice"), None);
    let codes = codes.await.unwrap().unwrap();
    offered(&lose(&site, &codes[0], PASSWORD, "gone").await);
}

#[tokio::test]
async fn what_was_stolen_is_stopped_even_where_nothing_can_be_set_up() {
    let site = Site::new(&format!("{ELSEWHERE}covers = [\"recovery\"]\n")).await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    let gone = lose(&site, &codes[0], PASSWORD, "gone").await;
    assert_eq!(gone.status, StatusCode::FORBIDDEN);
    told(&gone.body);
    let left = site.portal.store.recovery_set("u-alice").await.unwrap();
    assert_eq!(left.unwrap().left, 10, "no code was used up for nothing");
    let stolen = lose(&site, &codes[0], PASSWORD, "lost").await;
    assert_eq!(stolen.status, StatusCode::OK);
    told(&stolen.body);
    assert!(!stolen.body.contains("Now set up"), "{}", stolen.body);
    assert!(
        stolen.body.contains("another recovery code"),
        "{}",
        stolen.body
    );
    assert!(site.agent.open().is_empty());
    let old = site.portal.store.token(&id).await.unwrap().unwrap();
    assert!(old.is(TokenState::Suspended));
}

#[tokio::test]
async fn what_was_stopped_elsewhere_is_replaced_there_by_whichever_answer_fits() {
    let more = format!("{ELSEWHERE}covers = [\"recovery\"]\n[limits]\ntokens_per_user = 1\n");
    let site = Site::new(&more).await;
    site.token("alice").await;
    let codes = site.portal.new_recovery_codes(("u-alice", "alice"), None);
    let codes = codes.await.unwrap().unwrap();
    let stolen = lose(&site, &codes[0], PASSWORD, "lost").await;
    assert_eq!(stolen.status, StatusCode::OK);
    // Back at the office: "it was replaced" is as true as "it is lost".
    let form = [
        ("username", "alice"),
        ("password", PASSWORD),
        ("recovery", codes[1].as_str()),
        ("what", "gone"),
    ];
    let there = Ask::post("/lost", &form).from("198.51.100.9");
    offered(&site.send(there).await);
}
