//! Passkeys through the router, with a key in software: made, shown alone and beside the password,
//! once for each challenge, and never of another site or person.

use http::StatusCode;
use serde_json::Value;

use crate::{
    enrol::Device,
    otp::Seed,
    testing::{Ask, Got, Site, authenticator::Authenticator},
};

const ORIGIN: &str = "https://portal.example.org";
const URL: &str = "public_url = \"https://portal.example.org\"\n";

async fn site(more: &str) -> (Site, Seed) {
    let site = Site::new(&format!("{URL}{more}")).await;
    let (_, seed) = site.token("alice").await;
    (site, seed)
}

fn challenge(got: &Got) -> (String, Value) {
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let said: Value = serde_json::from_str(&got.body).unwrap();
    (
        said["challenge"].as_str().unwrap().to_owned(),
        said["options"].clone(),
    )
}

/// Makes a passkey for somebody logged in.
async fn made(site: &Site, cookie: &str, key: &mut Authenticator) -> Got {
    let got = site
        .send(Ask::post("/devices/passkey/start", &[]).as_(cookie))
        .await;
    let (id, options) = challenge(&got);
    let reply = key.make(&options);
    let form = [
        ("challenge", id.as_str()),
        ("passkey", &reply),
        ("name", "Key"),
    ];
    site.send(Ask::post("/devices/passkey", &form).as_(cookie))
        .await
}

async fn asked(site: &Site) -> (String, Value) {
    challenge(&site.send(Ask::post("/passkey", &[])).await)
}

async fn log_in(site: &Site, key: &mut Authenticator, name: &str, password: &str) -> Got {
    let (id, options) = asked(site).await;
    let reply = key.show(&options);
    let form = [
        ("username", name),
        ("password", password),
        ("challenge", id.as_str()),
        ("passkey", &reply),
    ];
    site.send(Ask::post("/login", &form)).await
}

#[tokio::test]
async fn a_passkey_beside_the_password_opens_like_a_code() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    assert!(
        made(&site, &cookie, &mut key)
            .await
            .to()
            .starts_with("/devices?n=")
    );
    site.agent.grants.lock().unwrap().clear();
    let got = log_in(&site, &mut key, "alice", "password of alice").await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
    assert_eq!(site.agent.open(), ["files@192.0.2.7", "web@192.0.2.7"]);
    let wrong = log_in(&site, &mut key, "alice", "another").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_passkey_alone_opens_what_says_so_and_the_page_asks_for_the_rest() {
    let rule = "[[access]]\nservice = \"web\"\nfactors = [[\"pwd\", \"otp\"], [\"passkey\"]]\n";
    let (site, seed) = site(rule).await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    site.agent.grants.lock().unwrap().clear();
    let got = log_in(&site, &mut key, "", "").await;
    let cookie = got.cookie().unwrap();
    assert_eq!(site.agent.open(), ["web@192.0.2.7"]);
    let page = site.send(Ask::page("/access").as_(&cookie)).await;
    assert!(
        page.body.contains("action=\"/access/prove\""),
        "{}",
        page.body
    );
    let form = [("service", "files"), ("password", "password of alice")];
    let got = site
        .send(Ask::post("/access/prove", &form).as_(&cookie))
        .await;
    let raised = got.cookie().unwrap();
    assert_ne!(raised, cookie, "another value after one more proof");
    assert_eq!(site.agent.open(), ["files@192.0.2.7", "web@192.0.2.7"]);
    let old = site.send(Ask::page("/access").as_(&cookie)).await;
    assert_eq!(old.status, StatusCode::SEE_OTHER, "the old value is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_replies_to_one_challenge_exactly_one_gets_in() {
    let (site, seed) = site("[limits]\nsource_per_minute = 1000\nsource_per_hour = 10000\n").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    let (id, options) = asked(&site).await;
    let reply = key.show(&options);
    let site = std::sync::Arc::new(site);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (site, id, reply) = (site.clone(), id.clone(), reply.clone());
            tokio::spawn(async move {
                let form = [("challenge", id.as_str()), ("passkey", reply.as_str())];
                site.send(Ask::post("/login", &form)).await.status
            })
        })
        .collect();
    let mut inside = 0;
    for task in tasks {
        inside += i32::from(task.await.unwrap() == StatusCode::SEE_OTHER);
    }
    assert_eq!(inside, 1);
}

#[tokio::test]
async fn what_was_made_for_another_site_or_without_a_pin_is_refused() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut foreign = Authenticator::new("https://portal.example.net");
    let got = made(&site, &cookie, &mut foreign).await;
    let page = site.send(Ask::page(got.to()).as_(&cookie)).await;
    assert!(
        page.body.contains("The passkey was not made"),
        "{}",
        page.body
    );

    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    key.origin = "https://portal.example.net".into();
    assert_eq!(
        log_in(&site, &mut key, "", "").await.status,
        StatusCode::UNAUTHORIZED
    );
    key.origin = ORIGIN.into();
    key.party = "portal.example.net".into();
    assert_eq!(
        log_in(&site, &mut key, "", "").await.status,
        StatusCode::UNAUTHORIZED
    );
    key.party = "portal.example.org".into();
    key.verifies = false;
    assert_eq!(
        log_in(&site, &mut key, "", "").await.status,
        StatusCode::UNAUTHORIZED
    );
    key.verifies = true;
    assert_eq!(
        log_in(&site, &mut key, "", "").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_passkey_is_nobody_elses_proof() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    let got = log_in(&site, &mut key, "bob", "password of bob").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_challenge_is_for_the_source_that_asked_and_for_two_minutes() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    let (id, options) = asked(&site).await;
    let reply = key.show(&options);
    let form = [("challenge", id.as_str()), ("passkey", reply.as_str())];
    let elsewhere = site
        .send(Ask::post("/login", &form).from("198.51.100.9"))
        .await;
    assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED);
    site.clock.advance(121);
    let late = site.send(Ask::post("/login", &form)).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_suspended_passkey_counts_no_more() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    let tokens = site.portal.store.active_tokens("u-alice").await.unwrap();
    let passkey = tokens.iter().find(|token| token.is_passkey()).unwrap();
    let form = [("token", passkey.id.as_str())];
    site.send(Ask::post("/devices/suspend", &form).as_(&cookie))
        .await;
    assert_eq!(
        log_in(&site, &mut key, "", "").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn without_a_name_there_are_no_passkeys() {
    let site = Site::new("").await;
    let got = site.send(Ask::post("/passkey", &[])).await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
    let page = site.send(Ask::page("/")).await;
    assert!(!page.body.contains("data-passkey-log-in"));
}

#[tokio::test]
async fn somebody_elses_passkey_costs_the_named_person_no_question_to_the_directory() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    let got = log_in(&site, &mut key, "bob", "a guess").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let outcomes = site.agent.outcomes();
    assert_eq!(
        outcomes.last().unwrap(),
        "wrong-passkey",
        "not wrong-password"
    );
}

#[tokio::test]
async fn a_passkey_that_was_held_back_over_a_lock_out_is_not_made() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    let got = site
        .send(Ask::post("/devices/passkey/start", &[]).as_(&cookie))
        .await;
    let (id, options) = challenge(&got);
    let reply = key.make(&options);
    let value = cookie.split('=').nth(1).unwrap();
    let portal = &site.portal;
    let limits = &portal.config.limits;
    let found = crate::live::LiveCookie::find(&portal.store, limits, value, portal.now());
    let kept = found.await.unwrap().unwrap();
    portal
        .store
        .suspend_all("u-alice", "a lock-out", 0)
        .await
        .unwrap();
    let from = crate::limits::SourceKey::of(crate::testing::SOURCE.parse().unwrap());
    let device = Device {
        name: "Key",
        owner: None,
    };
    let made = portal
        .make_passkey(&kept, (&id, &reply), device, from)
        .await;
    assert_eq!(made.unwrap(), super::Made::NotFitting);
    let tokens = portal.store.active_tokens("u-alice").await.unwrap();
    assert!(tokens.is_empty(), "{tokens:?}");
    let set = portal
        .new_recovery_codes(("u-alice", "alice"), Some(kept.hash()))
        .await;
    assert!(set.unwrap().is_none(), "nor recovery codes");
}

#[tokio::test]
async fn attempts_that_nobody_could_judge_make_nobody_wait() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    site.agent.set_down(true);
    for _ in 0..6 {
        let got = log_in(&site, &mut key, "", "").await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{}", got.body);
    }
    site.agent.set_down(false);
    let got = log_in(&site, &mut key, "", "").await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
}

#[tokio::test]
async fn beyond_its_bound_a_source_is_told_to_wait_and_keeps_the_challenges_it_holds() {
    let (site, seed) = site("").await;
    let cookie = site.in_as("alice", &seed).await;
    let mut key = Authenticator::new(ORIGIN);
    made(&site, &cookie, &mut key).await;
    let (first, options) = asked(&site).await;
    let mut last = site.send(Ask::post("/passkey", &[])).await;
    for _ in 0..40 {
        last = site.send(Ask::post("/passkey", &[])).await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.body.contains("use a code"), "{}", last.body);
    let there = site
        .send(Ask::post("/passkey", &[]).from("192.0.2.8"))
        .await;
    assert_eq!(there.status, StatusCode::OK, "the neighbour");
    let reply = key.show(&options);
    let form = [
        ("username", "alice"),
        ("password", "password of alice"),
        ("challenge", first.as_str()),
        ("passkey", &reply),
    ];
    let got = site.send(Ask::post("/login", &form)).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
}
