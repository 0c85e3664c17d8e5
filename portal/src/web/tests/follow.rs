//! Follow me: what moves to another address under each policy, and that the old one is shut.

use http::StatusCode;

use crate::testing::{Ask, Got, SOURCE, Site};

const AWAY: &str = "203.0.113.5";

async fn press(site: &Site, cookie: &str, code: &str) -> Got {
    let form = [("code", code)];
    let ask = Ask::post("/access/move", &form);
    site.send(ask.as_(cookie).from(AWAY)).await
}

async fn page(site: &Site, cookie: &str, path: &str) -> String {
    site.send(Ask::page(path).as_(cookie).from(AWAY)).await.body
}

#[tokio::test]
async fn what_is_open_moves_for_what_is_left_and_the_old_address_is_shut() {
    let site = Site::new("follow = \"move\"\n").await;
    let (_, seed) = site.token("alice").await;
    let old = site.in_as("alice", &seed).await;
    let web = [("service", "files"), ("source", SOURCE)];
    site.send(Ask::post("/access/close", &web).as_(&old)).await;
    site.clock.advance(600);
    let said = page(&site, &old, "/access").await;
    assert!(said.contains("action=\"/access/move\""), "{said}");
    assert!(!said.contains("name=\"code\""), "{said}");
    let got = press(&site, &old, "").await;
    assert_eq!(site.agent.open(), ["web@203.0.113.5"], "nothing but it");
    assert_eq!(site.agent.lengths().last().unwrap(), &Some(8 * 3600 - 600));
    assert_eq!(site.agent.outcomes().last().unwrap(), "moved");
    let new = got.cookie().unwrap();
    assert_ne!(old, new);
    let said = page(&site, &new, got.to()).await;
    assert!(said.contains("Moved here: web."), "{said}");
    // Whoever has it there now has what was open, and gets no more.
    let form = [("service", "files")];
    let ask = Ask::post("/access/open", &form);
    let got = site.send(ask.as_(&new).from(AWAY)).await;
    assert_eq!(got.to(), "/?say=address");
    assert_eq!(site.agent.open(), ["web@203.0.113.5"]);
    let ended = site.send(Ask::page("/access").as_(&old)).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    assert_eq!(press(&site, &old, "").await.to(), "/?say=again", "once");
}

#[tokio::test]
async fn a_code_of_now_moves_and_nothing_else_does() {
    let site = Site::new("follow = \"code\"\n").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let before = site.agent.open();
    let said = page(&site, &cookie, "/access").await;
    assert!(said.contains("name=\"code\""), "{said}");
    // The code of the log-in is used up.
    for code in ["", "000000", site.code(&seed).as_str()] {
        let got = press(&site, &cookie, code).await;
        assert!(got.cookie().is_none());
        let said = page(&site, &cookie, got.to()).await;
        assert!(said.contains("role=\"alert\""), "{said}");
        assert_eq!(site.agent.open(), before);
    }
    site.clock.advance(30);
    let got = press(&site, &cookie, &site.code(&seed)).await;
    assert!(got.cookie().is_some(), "{}", got.to());
    assert_eq!(site.agent.open(), ["files@203.0.113.5", "web@203.0.113.5"]);
}

#[tokio::test]
async fn guessing_codes_for_a_stolen_cookie_has_to_wait() {
    let site = Site::new("follow = \"code\"\n").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    site.clock.advance(30);
    for _ in 0..4 {
        press(&site, &cookie, "000000").await;
    }
    let got = press(&site, &cookie, &site.code(&seed)).await;
    let said = page(&site, &cookie, got.to()).await;
    assert!(said.contains("Too many attempts"), "{said}");
    assert_eq!(site.agent.open().len(), 2);
    assert!(site.agent.open().iter().all(|open| open.ends_with(SOURCE)));
}

#[tokio::test]
async fn without_the_policy_nothing_follows() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let said = page(&site, &cookie, "/access").await;
    assert!(!said.contains("/access/move"), "{said}");
    let got = press(&site, &cookie, &site.code(&seed)).await;
    assert_eq!(got.to(), "/?say=address");
    assert!(site.agent.open().iter().all(|open| open.ends_with(SOURCE)));
}

#[tokio::test]
async fn when_the_old_address_cannot_be_shut_nothing_opens() {
    let site = Site::new("follow = \"move\"\n").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    site.agent.set_down(true);
    let got = press(&site, &cookie, "").await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    site.agent.set_down(false);
    assert!(site.agent.open().iter().all(|open| open.ends_with(SOURCE)));
    // It can be tried again.
    assert!(press(&site, &cookie, "").await.cookie().is_some());
}
