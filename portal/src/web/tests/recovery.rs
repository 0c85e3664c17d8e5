//! Recovery codes, lost phones, replaced phones and tokens out of step, through the pages.

use http::StatusCode;

use crate::{
    otp::{Recipe, Seed},
    random,
    store::{Kind, NewToken, SuspendedBy, TokenState},
    testing::{Ask, Got, Site},
};

/// Codes as the page shows them.
fn codes(page: &Got) -> Vec<String> {
    let list = page.between("<ol class=\"codes\">", "</ol>");
    list.split("<code>")
        .skip(1)
        .filter_map(|rest| rest.split("</code>").next())
        .map(str::to_owned)
        .collect()
}

pub(super) async fn made(site: &Site, cookie: &str) -> Vec<String> {
    let got = site
        .send(Ask::post("/devices/recovery", &[]).as_(cookie))
        .await;
    assert_eq!(got.headers["cache-control"], "no-store");
    let codes = codes(&got);
    assert_eq!(codes.len(), 10, "{}", got.body);
    codes
}

pub(super) async fn lose(site: &Site, code: &str, password: &str, what: &str) -> Got {
    let form = [
        ("username", "alice"),
        ("password", password),
        ("recovery", code),
        ("what", what),
    ];
    site.send(Ask::post("/lost", &form)).await
}

/// Seed and hidden token of an enrolment page.
fn offered(page: &Got) -> (Seed, String) {
    let secret = page.between("<code id=\"secret\">", "</code>");
    let token = page.between("name=\"token\" value=\"", "\"");
    (Seed::from_base32(&secret).unwrap(), token)
}

const RIGHT: &str = "password of alice";

#[tokio::test]
async fn a_lost_phone_is_stopped_at_once_and_another_one_set_up() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    assert_eq!(site.agent.open().len(), 2);
    let got = lose(&site, &codes[0], RIGHT, "lost").await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    assert!(site.agent.open().is_empty(), "what was open is shut");
    let page = site.send(Ask::page("/access").as_(&cookie)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "the cookie is over");
    let old = site.portal.store.token(&id).await.unwrap().unwrap();
    assert!(old.is(TokenState::Suspended));
    let (seed, token) = offered(&got);
    let form = [
        ("token", token.as_str()),
        ("code", &site.code(&seed)),
        ("name", "New"),
    ];
    let done = site.send(Ask::post("/ticket/confirm", &form)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    site.clock.advance(30);
    site.in_as("alice", &seed).await;
    let again = lose(&site, &codes[0], RIGHT, "lost").await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "each code once");
}

#[tokio::test]
async fn a_wrong_password_costs_no_recovery_code_and_a_wrong_code_no_question_to_the_directory() {
    let site = Site::new("[limits]\nfree_failures = 10\n").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    let wrong = lose(&site, &codes[0], "another", "gone").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let wrong = lose(&site, "AAAA-BBBB-CCCC-DDDD", RIGHT, "gone").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let right = lose(&site, &codes[0], RIGHT, "gone").await;
    assert_eq!(right.status, StatusCode::OK);
    assert_eq!(site.agent.open().len(), 2, "a broken phone shuts nothing");
    let outcomes = site.agent.outcomes();
    assert!(
        outcomes.contains(&"wrong-recovery-code".to_owned()),
        "{outcomes:?}"
    );
    assert!(outcomes.contains(&"recovered".to_owned()), "{outcomes:?}");
}

#[tokio::test]
async fn a_recovery_code_lets_in_only_where_the_policy_says_so_and_changes_no_token_then() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    assert_eq!(
        lose(&site, &codes[0], RIGHT, "unlock").await.status,
        StatusCode::UNAUTHORIZED
    );

    let site = Site::new("[recovery]\nopens = \"unlock\"\n").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    site.agent.grants.lock().unwrap().clear();
    let got = lose(&site, &codes[0], RIGHT, "unlock").await;
    let cookie = got.cookie().unwrap();
    assert_eq!(site.agent.open().len(), 2);
    let enrol = site
        .send(Ask::post("/devices/enrol", &[]).as_(&cookie))
        .await;
    assert!(
        enrol.to().starts_with("/devices?n="),
        "no new token by a recovery code alone"
    );
    let page = site.send(Ask::page(enrol.to()).as_(&cookie)).await;
    assert!(!page.body.contains("id=\"secret\""));
}

#[tokio::test]
async fn where_there_are_no_recovery_codes_none_is_made_and_none_taken() {
    let site = Site::new("[recovery]\nopens = \"nothing\"\n").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let got = site
        .send(Ask::post("/devices/recovery", &[]).as_(&cookie))
        .await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
    let page = site.send(Ask::page("/lost")).await;
    assert!(!page.body.contains("<input id=\"recovery\"") && page.body.contains("desk 42"));
    let got = lose(&site, "AAAA-BBBB-CCCC-DDDD", RIGHT, "gone").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_an_operator_stopped_is_not_gone_around_with_a_recovery_code() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    let store = &site.portal.store;
    let stopped = store.suspend_token(&id, SuspendedBy::Operator, None).await;
    assert!(stopped.unwrap());
    let got = lose(&site, &codes[0], RIGHT, "gone").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert!(
        store
            .resume_token(&id, SuspendedBy::Operator, None)
            .await
            .unwrap()
    );
    let got = lose(&site, &codes[0], RIGHT, "gone").await;
    assert_eq!(
        got.status,
        StatusCode::OK,
        "the code was not used up by that"
    );
}

#[tokio::test]
async fn few_recovery_codes_are_announced_after_log_in() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    for code in &codes[..7] {
        let fits = site.portal.recovery_fits("u-alice", code).await.unwrap();
        site.portal
            .use_recovery_code(fits.unwrap())
            .await
            .unwrap()
            .unwrap();
    }
    let page = site.send(Ask::page("/access").as_(&cookie)).await;
    assert!(
        page.body.contains("Only 3 of your recovery codes"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn the_old_phone_ends_in_the_moment_in_which_the_new_one_is_proven() {
    let site = Site::new("").await;
    let (old, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    site.clock.advance(60);
    let other = site.in_as("alice", &seed).await;
    let form = [("token", old.as_str())];
    let got = site
        .send(Ask::post("/devices/replace", &form).as_(&cookie))
        .await;
    let (new, token) = offered(&got);
    let state = async || site.portal.store.token(&old).await.unwrap().unwrap();
    assert!(
        state().await.is(TokenState::Active),
        "not before the new one is proven"
    );
    let form = [
        ("token", token.as_str()),
        ("code", &site.code(&new)),
        ("name", "New"),
    ];
    let got = site
        .send(Ask::post("/devices/confirm", &form).as_(&cookie))
        .await;
    assert!(got.to().starts_with("/devices?n="), "{}", got.body);
    assert!(state().await.is(TokenState::Revoked));
    let here = site.send(Ask::page("/access").as_(&cookie)).await;
    assert_eq!(here.status, StatusCode::OK, "this browser stays in");
    let there = site.send(Ask::page("/access").as_(&other)).await;
    assert_eq!(
        there.status,
        StatusCode::SEE_OTHER,
        "others of the old phone do not"
    );
    let bobs = site.token("bob").await.0;
    let form = [("token", bobs.as_str())];
    let got = site
        .send(Ask::post("/devices/replace", &form).as_(&cookie))
        .await;
    assert!(got.to().starts_with("/devices?n="), "nobody else's phone");
}

#[tokio::test]
async fn a_button_pressed_too_often_is_brought_back_into_step_by_two_codes() {
    let site = Site::new("").await;
    let recipe: Recipe = "hotp:sha1:6".parse().unwrap();
    let (id, seed) = (random::id('t'), Seed::random());
    let (sealed, key_id) = site.portal.codes.seal(&id, &seed).unwrap();
    let new = NewToken {
        id: &id,
        user_id: "u-alice",
        user_name: "alice",
        name: "Button",
        state: TokenState::Active,
        secret: &sealed,
        key_id: &key_id,
        weak: false,
        origin: "test",
        handle: None,
        replaces: None,
        created: 0,
        expires: None,
        owner: None,
        kind: Kind::Imported {
            recipe,
            last: -1,
            serial: Some("S-1"),
        },
    };
    assert!(site.portal.store.add_token(&new).await.unwrap());
    let code = |counter| recipe.code(&seed, counter).unwrap();
    let got = site.log_in("alice", RIGHT, &code(2)).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "two presses for nothing");
    let got = site.log_in("alice", RIGHT, &code(1)).await;
    assert_eq!(
        got.status,
        StatusCode::UNAUTHORIZED,
        "an earlier one is over"
    );
    let got = site.log_in("alice", RIGHT, &code(200)).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED, "far ahead");
    let resync = async |password: &str, first: i64, second: i64| {
        let (first, second) = (code(first), code(second));
        let form = [
            ("username", "alice"),
            ("password", password),
            ("code", first.as_str()),
            ("next", second.as_str()),
        ];
        site.send(Ask::post("/resync", &form)).await.status
    };
    assert_eq!(resync(RIGHT, 200, 202).await, StatusCode::UNAUTHORIZED);
    site.clock.advance(3600);
    assert_eq!(resync("another", 200, 201).await, StatusCode::UNAUTHORIZED);
    site.clock.advance(3600);
    assert_eq!(resync(RIGHT, 200, 201).await, StatusCode::OK);
    site.clock.advance(3600);
    assert_eq!(
        resync(RIGHT, 200, 201).await,
        StatusCode::UNAUTHORIZED,
        "once"
    );
    site.clock.advance(3600);
    let got = site.log_in("alice", RIGHT, &code(202)).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_stale_proof_opens_a_sensitive_service_only_with_a_fresh_code() {
    let rule = "[[access]]\nservice = \"web\"\nfresh = \"5m\"\nlongest = \"1h\"\n";
    let site = Site::new(rule).await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    assert!(
        site.agent.lengths().contains(&Some(3600)),
        "{:?}",
        site.agent.lengths()
    );
    site.agent.grants.lock().unwrap().clear();
    site.clock.advance(301);
    let form = [("service", "web")];
    site.send(Ask::post("/access/open", &form).as_(&cookie))
        .await;
    assert!(site.agent.open().is_empty());
    let prove = async |code: &str, cookie: &str| {
        let form = [("service", "web"), ("code", code)];
        site.send(Ask::post("/access/prove", &form).as_(cookie))
            .await
    };
    let wrong = prove("000000", &cookie).await;
    let page = site.send(Ask::page(wrong.to()).as_(&cookie)).await;
    assert!(page.body.contains("That did not work"), "{}", page.body);
    assert!(site.agent.open().is_empty());
    let right = prove(&site.code(&seed), &cookie).await;
    assert_eq!(site.agent.open(), ["web@192.0.2.7"]);
    let raised = right.cookie().unwrap();
    let again = prove(&site.code(&seed), &raised).await;
    assert!(again.cookie().is_none(), "a code works once");
    assert!(site.agent.outcomes().contains(&"one-more-proof".to_owned()));
}

#[tokio::test]
async fn a_lost_phone_is_replaced_where_only_one_is_allowed() {
    let site = Site::new("[limits]\ntokens_per_user = 1\n").await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    let got = lose(&site, &codes[0], RIGHT, "gone").await;
    assert_eq!(
        got.status,
        StatusCode::UNAUTHORIZED,
        "no room, and no code is lost"
    );
    let got = lose(&site, &codes[0], RIGHT, "lost").await;
    let (new, token) = offered(&got);
    let code = site.code(&new);
    let form = [
        ("token", token.as_str()),
        ("code", code.as_str()),
        ("name", "New"),
    ];
    site.send(Ask::post("/ticket/confirm", &form)).await;
    let old = site.portal.store.token(&id).await.unwrap().unwrap();
    assert!(old.is(TokenState::Revoked));
    assert_eq!(
        site.portal
            .store
            .active_tokens("u-alice")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_new_set_ends_who_got_in_with_the_old_one() {
    let site = Site::new("[recovery]\nopens = \"unlock\"\n").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let codes = made(&site, &cookie).await;
    let thief = lose(&site, &codes[0], RIGHT, "unlock")
        .await
        .cookie()
        .unwrap();
    made(&site, &cookie).await;
    let page = site.send(Ask::page("/access").as_(&thief)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}
