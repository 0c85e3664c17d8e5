//! The way in: what opens, what is refused, and that refusals look the same.

use http::StatusCode;

use crate::{
    proof::Factors,
    testing::{Ask, Got, SOURCE, Site},
};

/// A refusal's page without what differs by nature: the request id and what was typed.
fn levelled(got: &Got, username: &str) -> String {
    let id = got.between("data-request-id=\"", "\"");
    assert!(!id.is_empty());
    got.body
        .replace(&id, "ID")
        .replace(&format!("value=\"{username}\""), "value=\"\"")
}

#[tokio::test]
async fn everything_right_opens_what_the_groups_allow() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    assert_eq!(site.agent.open(), ["files@192.0.2.7", "web@192.0.2.7"]);
    let page = site.send(Ask::page("/access").as_(&cookie)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("Signed in as</span> <strong>alice"),
        "{}",
        page.body
    );
    assert!(page.body.contains("Open until") && page.body.contains("8 h 0 min left"));
    let record = site.agent.audit.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (record.outcome.as_str(), record.factor.as_deref()),
        ("ok", Some("pwd otp"))
    );
    assert_eq!(record.source.unwrap().to_string(), SOURCE);
    assert!(record.token.is_some() && record.request_id.is_some());
}

#[tokio::test]
async fn services_none_logs_in_and_opens_nothing() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let code = site.code(&seed);
    let form = [
        ("username", "alice"),
        ("password", "password of alice"),
        ("code", &code),
        ("services", "none"),
    ];
    let got = site.send(Ask::post("/login", &form)).await;
    assert_eq!((got.status, got.to()), (StatusCode::SEE_OTHER, "/access"));
    assert!(site.agent.open().is_empty());
}

#[tokio::test]
async fn all_refusals_look_the_same_and_the_audit_knows_why() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let code = site.code(&seed);
    let long = "x".repeat(10_000);
    let mut pages = Vec::new();
    for (name, password, code) in [
        ("alice", "password of alice", "000000"),
        ("alice", "password of alice", "not a code"),
        ("alice", "wrong", &code),
        ("bob", "password of bob", "000000"),
        ("nobody", "wrong", "000000"),
        ("*)(uid=*", "wrong", "000000"),
        (&long, "wrong", "000000"),
        ("bob", "", "000000"),
        ("bob", "a\0b", "000000"),
    ] {
        let got = site.log_in(name, password, code).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED);
        assert!(got.cookie().is_none());
        pages.push(
            levelled(&got, name)
                .replace("value=\"*)(uid=*\"", "value=\"\"")
                .replace(" autofocus", ""),
        );
    }
    for page in &pages[1..] {
        assert_eq!(*page, pages[0]);
    }
    assert_eq!(
        site.agent.outcomes(),
        [
            "wrong-code",
            "wrong-code",
            "wrong-password",
            "no-token",
            "unknown-user",
            "unknown-user",
            "bad-user-name",
            "no-token",
            "no-token",
        ]
    );
    assert!(site.agent.open().is_empty());
}

#[tokio::test]
async fn a_code_works_once_even_after_a_wrong_password() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let code = site.code(&seed);
    assert_eq!(
        site.log_in("alice", "wrong", &code).await.status,
        StatusCode::UNAUTHORIZED
    );
    let again = site.log_in("alice", "password of alice", &code).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(again.body.contains("wait for the next one"));
    site.clock.advance(30);
    site.in_as("alice", &seed).await;
    assert_eq!(site.agent.outcomes(), ["wrong-password", "used-code", "ok"]);
}

#[tokio::test]
async fn a_form_sent_twice_gets_in_once_and_shows_my_access_twice() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let code = site.code(&seed);
    let form = [
        ("username", "alice"),
        ("password", "password of alice"),
        ("code", &code),
    ];
    let cookie = site
        .send(Ask::post("/login", &form))
        .await
        .cookie()
        .unwrap();
    let twice = site.send(Ask::post("/login", &form).as_(&cookie)).await;
    assert_eq!(
        (twice.status, twice.to()),
        (StatusCode::SEE_OTHER, "/access")
    );
    let elsewhere = site
        .send(Ask::post("/login", &form).as_(&cookie).from("192.0.2.8"))
        .await;
    assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED);
    let as_bob = [
        ("username", "bob"),
        ("password", "x"),
        ("code", code.as_str()),
    ];
    let other = site.send(Ask::post("/login", &as_bob).as_(&cookie)).await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn failures_in_a_row_cost_waiting_across_sources() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let wrong = [("username", "ALICE"), ("password", "x"), ("code", "000000")];
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let got = site.send(Ask::post("/login", &wrong).from(source)).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    }
    let code = site.code(&seed);
    let held = site.log_in("alice", "password of alice", &code).await;
    assert_eq!(held.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(held.body.contains("Try again in 5 s"), "{}", held.body);
    // Somebody who does not exist waits just the same.
    let nobody = [
        ("username", "nobody"),
        ("password", "x"),
        ("code", "000000"),
    ];
    for _ in 0..3 {
        site.send(Ask::post("/login", &nobody)).await;
    }
    let nobody = site.send(Ask::post("/login", &nobody)).await;
    assert_eq!(nobody.status, StatusCode::TOO_MANY_REQUESTS);
    site.clock.advance(6);
    site.in_as("alice", &seed).await;
    site.clock.advance(60);
    site.in_as("alice", &seed).await;
}

#[tokio::test]
async fn a_hundred_failures_in_a_row_need_an_operator() {
    let site = Site::new(
        "[limits]\nfailures_in_a_row = 10\nsource_per_minute = 1000\nsource_per_hour = 10000",
    )
    .await;
    let (_, seed) = site.token("alice").await;
    for _ in 0..10 {
        site.log_in("alice", "x", "000000").await;
        site.clock.advance(3600);
    }
    let locked = site
        .log_in("alice", "password of alice", &site.code(&seed))
        .await;
    assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(locked.body.contains("Ask your IT desk"), "{}", locked.body);
    assert!(
        site.portal
            .store
            .forgive(&site.portal.wait_key("alice"))
            .await
            .unwrap()
    );
    site.in_as("alice", &seed).await;
}

#[tokio::test]
async fn one_source_has_ten_attempts_a_minute_whoever_it_tries() {
    let site = Site::new("").await;
    let mut last = StatusCode::OK;
    for n in 0..11 {
        last = site.log_in(&format!("user{n}"), "x", "000000").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        site.agent
            .outcomes()
            .contains(&"spray-many-users".to_owned())
    );
    let other = [("username", "alice"), ("password", "x"), ("code", "000000")];
    let got = site
        .send(Ask::post("/login", &other).from("192.0.2.99"))
        .await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn while_the_agent_is_down_no_code_is_used_up() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    site.agent.set_down(true);
    for _ in 0..5 {
        let got = site
            .log_in("alice", "password of alice", &site.code(&seed))
            .await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(got.body.contains("Access cannot be opened at the moment"));
    }
    site.agent.set_down(false);
    site.in_as("alice", &seed).await;
    // The attempts meanwhile are not lost.
    assert_eq!(site.portal.audit.forward().await.unwrap(), 5);
    let kept = site.agent.audit.lock().unwrap().last().unwrap().clone();
    assert_eq!(kept.outcome, "agent-down");
    assert!(
        kept.reason
            .unwrap()
            .contains("[by portal at 2027-01-15T08:00:00Z, agent was down]")
    );
}

#[tokio::test]
async fn a_broken_directory_is_no_reason_to_let_anybody_in() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    std::fs::write(site.folder.path().join("users.toml"), "garbage").unwrap();
    let got = site
        .log_in("alice", "password of alice", &site.code(&seed))
        .await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.body.contains("Passwords cannot be checked"));
    assert!(site.agent.open().is_empty());
}

#[tokio::test]
async fn a_code_alone_opens_only_what_is_listed_so() {
    let site = Site::new("[[access]]\nservice = \"web\"\nfactors = [\"otp\"]").await;
    let (_, seed) = site.token("alice").await;
    let got = site.log_in("alice", "", &site.code(&seed)).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    assert_eq!(site.agent.open(), ["web@192.0.2.7"]);
    let record = site.agent.audit.lock().unwrap().last().unwrap().clone();
    assert_eq!(record.factor.as_deref(), Some("otp"));
    let cookie = got.cookie().unwrap();
    let open = [("service", "files")];
    site.send(Ask::post("/access/open", &open).as_(&cookie))
        .await;
    assert_eq!(
        site.agent.open(),
        ["web@192.0.2.7"],
        "the cookie proves a code only"
    );
    let enrol = site
        .send(Ask::post("/devices/enrol", &[]).as_(&cookie))
        .await;
    assert!(
        enrol.to().starts_with("/devices?n="),
        "no new device without the password"
    );
    // A wrong password is not the same as none.
    site.clock.advance(30);
    let wrong = site.log_in("alice", "wrong", &site.code(&seed)).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(Factors::parse("otp").to_string(), "otp");
}

#[tokio::test]
async fn an_account_that_is_disabled_gets_the_same_refusal() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let path = site.folder.path().join("users.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("groups", "disabled = true\ngroups", 1)).unwrap();
    let got = site
        .log_in("alice", "password of alice", &site.code(&seed))
        .await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.agent.outcomes(), ["account-not-active"]);
}

#[tokio::test]
async fn a_password_typed_as_the_name_is_written_nowhere() {
    let site = Site::new("").await;
    let secret = "Password of Alice";
    for _ in 0..5 {
        site.log_in(secret, secret, "000000").await;
    }
    let form = [
        ("username", secret),
        ("password", secret),
        ("ticket", "ABCD"),
    ];
    site.send(Ask::post("/ticket", &form)).await;
    site.agent.set_down(true);
    site.clock.advance(3600);
    site.log_in(secret, secret, "000000").await;
    site.portal.store.close().await;
    let audit = format!("{:?}", site.agent.audit.lock().unwrap());
    assert!(
        audit.contains("nobody#") && !audit.to_lowercase().contains("password of"),
        "{audit}"
    );
    let marks: std::collections::HashSet<_> = site
        .agent
        .audit
        .lock()
        .unwrap()
        .iter()
        .map(|record| record.user.clone())
        .collect();
    assert_eq!(marks.len(), 1, "the same name has the same mark");
    for entry in std::fs::read_dir(site.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).to_lowercase();
            assert!(!text.contains("password of alice"), "{}", path.display());
        }
    }
}

/// Ten attempts a minute are taken from a source; goes on for three more.
async fn hammer(site: &Site, source: &str) {
    let form = [
        ("username", "nobody"),
        ("password", "x"),
        ("code", "000000"),
    ];
    for _ in 0..13 {
        site.send(Ask::post("/login", &form).from(source)).await;
    }
    // What is reported is reported beside the answer.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_source_that_hammers_is_shut_out_for_a_while() {
    let site = Site::new("[shield]\nafter = 3\nfor = \"10m\"").await;
    hammer(&site, SOURCE).await;
    hammer(&site, "2001:db8:0:7::a").await;
    let denied = site.agent.denied.lock().unwrap().clone();
    let said: Vec<_> = denied
        .iter()
        .map(|deny| format!("{} {}", deny.prefix, deny.for_seconds))
        .collect();
    assert_eq!(said, ["192.0.2.7/32 600", "2001:db8:0:7::/64 600"]);
}

/// People who proved themselves behind the same address must not be cut off with the one who does
/// not.
#[tokio::test]
async fn a_source_that_somebody_is_open_from_is_not_shut_out() {
    let site = Site::new("[shield]\nafter = 3").await;
    let (_, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    hammer(&site, SOURCE).await;
    assert!(site.agent.denied.lock().unwrap().is_empty());
}

/// The operators' own ways in, and what routers speak from.
#[tokio::test]
async fn what_a_service_always_allows_and_the_link_itself_are_not_shut_out() {
    let site = Site::new("[shield]\nafter = 3").await;
    for source in ["203.0.113.5", "169.254.0.7", "fe80::7"] {
        hammer(&site, source).await;
    }
    assert!(site.agent.denied.lock().unwrap().is_empty());
    hammer(&site, "64:ff9b::198.51.100.7").await;
    let denied = site.agent.denied.lock().unwrap().clone();
    let [one] = denied.as_slice() else {
        panic!("{denied:?}")
    };
    assert_eq!(one.prefix.to_string(), "64:ff9b::c633:6407/128");
}
