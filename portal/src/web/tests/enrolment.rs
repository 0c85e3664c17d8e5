//! Tickets, enrolment and a person's own devices.

use http::StatusCode;

use crate::{
    otp::Seed,
    random,
    redeem::ticket_letters,
    store::NewTicket,
    testing::{Ask, Got, Site},
};

pub(super) async fn ticket(site: &Site, user: &str, replaces: Option<&str>) -> String {
    let code = "ABCD-EFGH-IJKL-MNOP-QRST-UVWX".to_owned() + &random::id('x')[2..];
    let now = site.clock.now().as_second();
    let new = NewTicket {
        id: &random::id('k'),
        user_id: &format!("u-{user}"),
        user_name: user,
        code: random::digest(&ticket_letters(&code)),
        replaces,
        issued: now,
        expires: now + 3600,
        issued_by: "uid 0",
        note: "seen in person",
        owner: None,
    };
    site.portal.store.add_ticket(&new).await.unwrap();
    code
}

pub(super) async fn redeem(site: &Site, user: &str, password: &str, ticket: &str) -> Got {
    let form = [
        ("username", user),
        ("password", password),
        ("ticket", ticket),
    ];
    site.send(Ask::post("/ticket", &form)).await
}

/// Seed and hidden token of an enrolment page.
pub(super) fn offered(page: &Got) -> (Seed, String) {
    assert!(page.body.contains("<svg"), "{}", page.body);
    let secret = page.between("<code id=\"secret\">", "</code>");
    let token = page.between("name=\"token\" value=\"", "\"");
    (Seed::from_base32(&secret).unwrap(), token)
}

pub(super) async fn confirm(site: &Site, token: &str, code: &str) -> Got {
    let form = [("token", token), ("code", code), ("name", "My phone")];
    site.send(Ask::post("/ticket/confirm", &form)).await
}

#[tokio::test]
async fn a_ticket_leads_in_three_screens_to_a_token_that_works() {
    let site = Site::new("").await;
    let code = ticket(&site, "alice", None).await;
    let first = site.send(Ask::page(&format!("/ticket?code={code}"))).await;
    assert!(
        first.body.contains(&format!("value=\"{code}\"")) && first.body.contains("Step 1 of 3")
    );
    let second = redeem(&site, "alice", "password of alice", &code.to_lowercase()).await;
    assert_eq!(second.status, StatusCode::OK);
    assert!(second.headers["cache-control"] == "no-store");
    assert!(second.body.contains("Step 2 of 3"));
    let (seed, token) = offered(&second);
    let early = site
        .log_in("alice", "password of alice", &site.code(&seed))
        .await;
    assert_eq!(
        early.status,
        StatusCode::UNAUTHORIZED,
        "pending tokens do not count"
    );
    site.clock.advance(30);
    let third = confirm(&site, &token, &site.code(&seed)).await;
    assert!(
        third.body.contains("Your phone is set up"),
        "{}",
        third.body
    );
    let same = site
        .log_in("alice", "password of alice", &site.code(&seed))
        .await;
    assert_eq!(
        same.status,
        StatusCode::UNAUTHORIZED,
        "the first code is used up"
    );
    site.clock.advance(30);
    site.in_as("alice", &seed).await;
    let note = site
        .agent
        .audit
        .lock()
        .unwrap()
        .iter()
        .find_map(|r| r.reason.clone())
        .unwrap();
    assert!(note.contains("vouched by uid 0: seen in person"), "{note}");
}

#[tokio::test]
async fn a_ticket_works_once_for_its_user_with_the_password_in_time() {
    let site = Site::new("[limits]\nsource_per_minute = 1000\nfree_failures = 10").await;
    let code = ticket(&site, "alice", None).await;
    for _ in 0..3 {
        site.send(Ask::page(&format!("/ticket?code={code}"))).await;
    }
    let refused = StatusCode::UNAUTHORIZED;
    assert_eq!(redeem(&site, "alice", "wrong", &code).await.status, refused);
    assert_eq!(redeem(&site, "alice", "", &code).await.status, refused);
    assert_eq!(
        redeem(&site, "bob", "password of bob", &code).await.status,
        refused
    );
    assert_eq!(
        redeem(&site, "alice", "password of alice", "ABCD")
            .await
            .status,
        refused
    );
    assert_eq!(
        redeem(&site, "alice", "password of alice", "").await.status,
        refused
    );
    assert_eq!(
        redeem(&site, "alice", "password of alice", &code)
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        redeem(&site, "alice", "password of alice", &code)
            .await
            .status,
        refused
    );
    let late = ticket(&site, "bob", None).await;
    site.clock.advance(3600);
    assert_eq!(
        redeem(&site, "bob", "password of bob", &late).await.status,
        refused
    );
}

#[tokio::test]
async fn a_reissued_token_replaces_the_old_one_when_it_is_confirmed() {
    let site = Site::new("").await;
    let (old, old_seed) = site.token("alice").await;
    let code = ticket(&site, "alice", Some(&old)).await;
    let page = redeem(&site, "alice", "password of alice", &code).await;
    let (seed, token) = offered(&page);
    site.in_as("alice", &old_seed).await;
    confirm(&site, &token, &site.code(&seed)).await;
    site.clock.advance(30);
    let refused = site
        .log_in("alice", "password of alice", &site.code(&old_seed))
        .await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    site.in_as("alice", &seed).await;
    assert!(
        site.portal
            .store
            .token(&old)
            .await
            .unwrap()
            .unwrap()
            .secret
            .is_none(),
        "erased"
    );
}

#[tokio::test]
async fn a_wrong_first_code_is_explained_and_ten_end_it() {
    let site = Site::new("").await;
    let code = ticket(&site, "alice", None).await;
    let (seed, token) = offered(&redeem(&site, "alice", "password of alice", &code).await);
    let wrong = confirm(&site, &token, "000000").await;
    assert!(wrong.body.contains("The code is wrong") && wrong.body.contains("<svg"));
    let later = jiff::Timestamp::from_second(site.clock.now().as_second() + 300).unwrap();
    let off = confirm(&site, &token, &seed.code_at(later)).await;
    assert!(
        off.body.contains("your phone is about 5 minutes off"),
        "{}",
        off.body
    );
    assert!(off.body.contains("08:00:00"), "the time here");
    for _ in 0..8 {
        confirm(&site, &token, "000000").await;
    }
    let over = confirm(&site, &token, &site.code(&seed)).await;
    assert_eq!(over.status, StatusCode::GONE);
}

#[tokio::test]
async fn pending_tokens_end_and_cannot_be_confirmed_by_others() {
    let site = Site::new("").await;
    let code = ticket(&site, "alice", None).await;
    let (seed, token) = offered(&redeem(&site, "alice", "password of alice", &code).await);
    let id = token.split('.').next().unwrap().to_owned();
    for forged in [
        id.clone(),
        format!("{id}."),
        format!("{id}.AAAA"),
        ".".into(),
        String::new(),
    ] {
        let got = confirm(&site, &forged, &site.code(&seed)).await;
        assert_eq!(got.status, StatusCode::GONE, "{forged:?}");
    }
    let (_, bob) = site.token("bob").await;
    let cookie = site.in_as("bob", &bob).await;
    let typed = site.code(&seed);
    let form = [("token", id.as_str()), ("code", &typed)];
    let got = site
        .send(Ask::post("/devices/confirm", &form).as_(&cookie))
        .await;
    assert_eq!(got.status, StatusCode::GONE);
    site.clock.advance(901);
    assert_eq!(
        confirm(&site, &token, &site.code(&seed)).await.status,
        StatusCode::GONE
    );
    site.portal
        .store
        .drop_expired_pending(site.clock.now().as_second())
        .await
        .unwrap();
    assert!(
        site.portal
            .store
            .token(&id)
            .await
            .unwrap()
            .unwrap()
            .secret
            .is_none()
    );
}

#[tokio::test]
async fn a_person_adds_suspends_resumes_tests_and_revokes_their_own() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let (bobs, _) = site.token("bob").await;
    let cookie = site.in_as("alice", &seed).await;
    let page = site
        .send(Ask::post("/devices/enrol", &[]).as_(&cookie))
        .await;
    let (second, token) = offered(&page);
    let typed = site.code(&second);
    let form = [
        ("token", token.as_str()),
        ("code", &typed),
        ("name", "<b>Tablet</b>"),
    ];
    let got = site
        .send(Ask::post("/devices/confirm", &form).as_(&cookie))
        .await;
    let list = site.send(Ask::page(got.to()).as_(&cookie)).await.body;
    assert!(
        list.contains("The device is set up") && list.contains("&#60;b&#62;Tablet"),
        "{list}"
    );
    let change = async |path: &str, token: &str| {
        let form = [("token", token)];
        let got = site.send(Ask::post(path, &form).as_(&cookie)).await;
        site.send(Ask::page(got.to()).as_(&cookie)).await.body
    };
    let test = async |code: &str| {
        let form = [("code", code)];
        site.send(Ask::post("/devices/test", &form).as_(&cookie))
            .await
            .body
    };
    site.clock.advance(30);
    assert!(
        test(&site.code(&second))
            .await
            .contains("The code is right")
    );
    assert!(test(&site.code(&second)).await.contains("used already"));
    assert!(
        change("/devices/suspend", &token)
            .await
            .contains("Suspended.")
    );
    assert!(change("/devices/resume", &token).await.contains("Resumed."));
    assert!(
        change("/devices/suspend", &bobs)
            .await
            .contains("not possible")
    );
    assert!(
        change("/devices/revoke", &bobs)
            .await
            .contains("not possible")
    );
    assert!(
        change("/devices/revoke", &token)
            .await
            .contains("Revoked for good.")
    );
    assert!(
        change("/devices/resume", &token)
            .await
            .contains("not possible")
    );
    // An operator's suspension is not the person's to undo, and it ends their cookie.
    let by = crate::store::SuspendedBy::Operator;
    site.portal
        .store
        .suspend_token(&id, by, None)
        .await
        .unwrap();
    let resume = [("token", id.as_str())];
    let got = site
        .send(Ask::post("/devices/resume", &resume).as_(&cookie))
        .await;
    assert_eq!(got.to(), "/?say=again");
    let grants = site.agent.open();
    assert_eq!(
        grants,
        ["files@192.0.2.7", "web@192.0.2.7"],
        "tests and devices open nothing"
    );
}

#[tokio::test]
async fn changes_need_a_recent_log_in() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    site.clock.advance(901);
    let suspend = [("token", id.as_str())];
    let got = site
        .send(Ask::post("/devices/suspend", &suspend).as_(&cookie))
        .await;
    assert!(
        got.to().starts_with("/devices?n="),
        "suspending is always possible"
    );
    let got = site
        .send(Ask::post("/devices/enrol", &[]).as_(&cookie))
        .await;
    assert_eq!(got.to(), "/?say=fresh");
}

#[tokio::test]
async fn enrolment_at_the_first_log_in_only_by_policy_and_only_once() {
    let shut = Site::new("").await;
    let got = shut.log_in("alice", "password of alice", "").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);

    let site = Site::new("enrol_at_first_login = true").await;
    assert_eq!(
        site.log_in("alice", "wrong", "").await.status,
        StatusCode::UNAUTHORIZED
    );
    let page = site.log_in("alice", "password of alice", "").await;
    let (seed, token) = offered(&page);
    assert!(
        site.agent.open().is_empty() && page.cookie().is_none(),
        "half-way opens nothing"
    );
    // Left and begun anew: only the newer page counts.
    let (newer, newer_token) = offered(&site.log_in("alice", "password of alice", "").await);
    assert_eq!(
        confirm(&site, &token, &site.code(&seed)).await.status,
        StatusCode::GONE
    );
    assert_eq!(
        confirm(&site, &newer_token, &site.code(&newer))
            .await
            .status,
        StatusCode::OK
    );
    site.clock.advance(60);
    let again = site.log_in("alice", "password of alice", "").await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "has a token now");
    for token in site.portal.store.tokens_of("u-alice").await.unwrap() {
        site.portal
            .store
            .revoke_token(&token.id, None)
            .await
            .unwrap();
    }
    site.clock.advance(60);
    let revoked = site.log_in("alice", "password of alice", "").await;
    assert_eq!(
        revoked.status,
        StatusCode::UNAUTHORIZED,
        "a lost phone is no first log-in"
    );
}

#[tokio::test]
async fn a_lock_out_bars_enrolment_by_password_until_a_ticket() {
    let site = Site::new("enrol_at_first_login = true").await;
    let now = site.clock.now().as_second();
    site.portal
        .store
        .lock_out(Some("u-alice"), "alice", now)
        .await
        .unwrap();
    let got = site.log_in("alice", "password of alice", "").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let code = ticket(&site, "alice", None).await;
    assert_eq!(
        redeem(&site, "alice", "password of alice", &code)
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_who_redeem_one_ticket_at_once_exactly_one_enrols() {
    let limits =
        "[limits]\nsource_per_minute = 10000\nsource_per_hour = 10000\nfree_failures = 10\n";
    let site = std::sync::Arc::new(Site::new(limits).await);
    let code = ticket(&site, "alice", None).await;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (site, code) = (site.clone(), code.clone());
            tokio::spawn(async move {
                let got = redeem(&site, "alice", "password of alice", &code).await;
                // Attempts at the same moment count together, so some are told to wait.
                got.status == StatusCode::OK && got.body.contains("id=\"secret\"")
            })
        })
        .collect();
    let mut enrolled = 0;
    for task in tasks {
        enrolled += i32::from(task.await.unwrap());
    }
    assert_eq!(enrolled, 1);
}
