//! The help desk through its pages: every route and every role, foreign networks, old proofs, and a
//! ticket's code that is shown once.

use http::StatusCode;

use crate::testing::{Ask, Got, Site, desk};

/// Pages that only look.
const LOOKS: [&str; 5] = [
    "/desk",
    "/desk/person?user=alice",
    "/desk/case?id=CASE",
    "/desk/figures",
    "/desk/figures.csv?of=days",
];

async fn post(site: &Site, cookie: &str, path: &str, form: &[(&str, &str)]) -> Got {
    site.send(Ask::post(path, form).as_(cookie)).await
}

#[tokio::test]
async fn every_route_asks_for_every_role() {
    let site = desk::site("second_approver = [\"ticket\"]").await;
    let carol = site.officer("carol").await;
    site.open_case(&carol, "enrol", "alice").await;
    let case = site.newest_case().await;
    let table = [
        // Who; looks, finds, opens, decides, takes.
        ("alice", [404, 404, 404, 404, 404]),
        ("erin", [200, 303, 403, 403, 403]),
        ("dave", [200, 303, 403, 409, 403]),
        ("frank", [200, 303, 303, 409, 409]),
    ];
    let refuse = [("id", case.as_str()), ("note", "no")];
    // Decided already, so that nobody's decision changes what the next one meets.
    let dave = site.officer("dave").await;
    let decided = post(&site, &dave, "/desk/refuse", &refuse).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER, "{}", decided.body);
    for (who, [looks, finds, opens, decides, takes]) in table {
        site.clock.advance(30);
        let cookie = match who {
            "dave" => dave.clone(),
            who => site.officer(who).await,
        };
        let prove = site.send(Ask::page("/desk/prove").as_(&cookie)).await;
        assert_eq!(prove.status.as_u16(), looks, "{who} proves");
        for path in LOOKS {
            let path = path.replace("CASE", &case);
            let got = site.send(Ask::page(&path).as_(&cookie)).await;
            assert_eq!(got.status.as_u16(), looks, "{who} {path}: {}", got.body);
            assert_eq!(got.headers["cache-control"], "no-store", "{who} {path}");
        }
        let found = post(&site, &cookie, "/desk/find", &[("user", "alic")]).await;
        assert_eq!(found.status.as_u16(), finds, "{who} finds");
        let opened = site.open_case(&cookie, "unlock", "bob").await;
        assert_eq!(
            opened.status.as_u16(),
            opens,
            "{who} opens: {}",
            opened.body
        );
        for path in ["/desk/approve", "/desk/refuse"] {
            let got = post(&site, &cookie, path, &refuse).await;
            assert_eq!(got.status.as_u16(), decides, "{who} {path}: {}", got.body);
        }
        let taken = post(&site, &cookie, "/desk/take", &refuse).await;
        assert_eq!(taken.status.as_u16(), takes, "{who} takes: {}", taken.body);
    }
    for path in LOOKS {
        let got = site.send(Ask::page(path)).await;
        assert_eq!(
            (got.status.as_u16(), got.to()),
            (303, "/?say=again"),
            "nobody {path}"
        );
    }
}

#[tokio::test]
async fn without_a_desk_in_the_configuration_there_are_no_such_pages() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    for path in LOOKS.into_iter().chain(["/desk/prove"]) {
        let got = site.send(Ask::page(path).as_(&cookie)).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_desk_is_shut_from_other_networks_and_after_a_while() {
    let site = desk::site("").await;
    let (_, seed) = site.token("carol").await;
    let cookie = site.in_as("carol", &seed).await;
    let got = site
        .send(Ask::page("/desk").as_(&cookie).from("198.51.100.1"))
        .await;
    assert_eq!(got.status, StatusCode::FORBIDDEN, "{}", got.body);
    assert!(got.body.contains("own networks"));

    site.clock.advance(901);
    let old = site.send(Ask::page("/desk").as_(&cookie)).await;
    assert_eq!(old.to(), "/desk/prove");
    let opened = site.open_case(&cookie, "lockout", "alice").await;
    assert_eq!(
        opened.to(),
        "/desk/prove",
        "an old proof does nothing either"
    );
    let page = site.send(Ask::page("/desk/prove").as_(&cookie)).await;
    assert_eq!(page.status, StatusCode::OK);
    let wrong = post(&site, &cookie, "/desk/prove", &[("code", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{}", wrong.body);
    site.clock.advance(30);
    let right = [("code", &*site.code(&seed))];
    let raised = post(&site, &cookie, "/desk/prove", &right).await;
    assert_eq!(raised.to(), "/desk", "{}", raised.body);
    let cookie = raised.cookie().unwrap();
    let page = site.send(Ask::page("/desk").as_(&cookie)).await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn roles_are_those_of_now() {
    use crate::directory::users_file::UsersFile;
    let site = desk::site("").await;
    let cookie = site.officer("carol").await;
    let file = site.folder.path().join("users.toml");
    let mut users = UsersFile::read_or_new(&file).unwrap();
    let carol = users.find_mut("carol").unwrap();
    carol.groups = vec!["staff".into()];
    users.write(&file, site.folder.path()).unwrap();
    let got = site.open_case(&cookie, "lockout", "alice").await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_lost_phone_is_stopped_and_its_ticket_shown_once() {
    let site = desk::site("").await;
    let carol = site.officer("carol").await;
    let (_, seed) = site.token("alice").await;
    let alice = site.in_as("alice", &seed).await;
    let page = site
        .send(Ask::page("/desk/person?user=alice").as_(&carol))
        .await;
    for text in ["web", "192.0.2.7", "Phone", "Lost phone", "seen in person"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let got = site.open_case(&carol, "lost", "alice").await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let code = got.between("<code id=\"ticket-code\">", "</code>");
    assert_eq!(code.len(), 29, "{}", got.body);
    assert!(site.agent.open().is_empty(), "shut at once");
    let case = site.newest_case().await;
    let again = format!("/desk/case?id={case}");
    let page = site.send(Ask::page(&again).as_(&carol)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains(&code), "shown a second time");
    let out = site.send(Ask::page("/access").as_(&alice)).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER, "her cookie is over");
    site.clock.advance(30);
    let new = site.redeem("alice", &code).await;
    site.clock.advance(30);
    site.in_as("alice", &new).await;
    assert!(site.agent.outcomes().contains(&"desk-stopped".to_owned()));
    let audit = format!("{:?}", site.agent.audit.lock().unwrap());
    assert!(!audit.contains(&code), "a code in the audit");
}

#[tokio::test]
async fn a_second_person_approves_and_only_who_asked_sees_the_code() {
    let site = desk::site("second_approver = [\"ticket\", \"lockout\"]").await;
    let carol = site.officer("carol").await;
    let dave = site.officer("dave").await;
    let got = site.open_case(&carol, "enrol", "alice").await;
    assert!(got.to().ends_with("say=waits"), "{}", got.body);
    let case = site.newest_case().await;
    let list = site.send(Ask::page("/desk").as_(&dave)).await;
    assert!(list.body.contains(&case));
    let form = [("id", case.as_str()), ("note", "I called her")];
    let bare = [("id", case.as_str())];
    let no_note = post(&site, &dave, "/desk/approve", &bare).await;
    assert_eq!(no_note.status, StatusCode::BAD_REQUEST);
    let own = post(&site, &carol, "/desk/approve", &form).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN);
    let approved = post(&site, &dave, "/desk/approve", &form).await;
    assert!(approved.to().ends_with("say=decided"), "{}", approved.body);
    assert!(!approved.body.contains("ticket-code"));
    let page = site
        .send(Ask::page(&format!("/desk/case?id={case}")).as_(&carol))
        .await;
    assert!(page.body.contains("action=\"/desk/take\""), "{}", page.body);
    let taken = post(&site, &carol, "/desk/take", &bare).await;
    assert!(taken.body.contains("id=\"ticket-code\""), "{}", taken.body);
    let twice = post(&site, &carol, "/desk/take", &bare).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);

    site.clock.advance(1);
    site.open_case(&carol, "lockout", "alice").await;
    let case = site.newest_case().await;
    let form = [("id", case.as_str()), ("note", "yes")];
    let done = post(&site, &dave, "/desk/approve", &form).await;
    assert!(done.to().ends_with("say=done"), "no code, so done at once");
    assert!(site.agent.outcomes().contains(&"ok".to_owned()));
}

#[tokio::test]
async fn look_ups_are_recorded_and_bounded_and_the_names_of_nobody_are_written_nowhere() {
    let site = desk::site("look_ups = 3").await;
    let carol = site.officer("carol").await;
    let page = "/desk/person?user=alice";
    assert_eq!(
        site.send(Ask::page(page).as_(&carol)).await.status,
        StatusCode::OK
    );
    assert_eq!(site.reasons_of("looked-up"), ["by carol: help desk"]);
    let nobody = post(&site, &carol, "/desk/find", &[("user", "hunter2 hunter2")]).await;
    assert_eq!(nobody.status, StatusCode::OK);
    assert_eq!(
        site.reasons_of("searched"),
        ["by carol: help desk, 0 found"]
    );
    let audit = format!("{:?}", site.agent.audit.lock().unwrap());
    assert!(!audit.contains("hunter2"));
    assert_eq!(
        site.send(Ask::page(page).as_(&carol)).await.status,
        StatusCode::OK
    );
    let many = site.send(Ask::page(page).as_(&carol)).await;
    assert_eq!(many.status, StatusCode::TOO_MANY_REQUESTS);
    let many = post(&site, &carol, "/desk/find", &[("user", "alice")]).await;
    assert_eq!(many.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn log_ins_are_counted_and_drawn() {
    let site = desk::site("").await;
    let carol = site.officer("carol").await;
    site.log_in("alice", "x", "000000").await;
    let (_, seed) = site.token("bob").await;
    let start = site.send(Ask::page("/")).await;
    let since = start.headers["set-cookie"].to_str().unwrap().to_owned();
    let since = since.split(';').next().unwrap();
    site.clock.advance(7);
    let code = site.code(&seed);
    let form = [
        ("username", "bob"),
        ("password", "password of bob"),
        ("code", code.as_str()),
    ];
    let got = site.send(Ask::post("/login", &form).as_(since)).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    let csv = |of: &'static str| {
        let path = format!("/desk/figures.csv?of={of}");
        let (site, carol) = (&site, &carol);
        async move { site.send(Ask::page(&path).as_(carol)).await.body }
    };
    let days = csv("days").await;
    assert!(days.trim_end().ends_with(",2,1,0"), "{days}");
    assert!(csv("open").await.trim_end().ends_with(",7,7"));
    assert!(csv("reasons").await.contains("no-token,1"));
    assert!(
        csv("enrolment").await.contains("staff,2,1"),
        "{}",
        csv("enrolment").await
    );
    let page = site.send(Ask::page("/desk/figures").as_(&carol)).await;
    assert_eq!(page.body.matches("<svg viewBox").count(), 5);
    for bad in ["style=\"", "<style", "onclick", "http://"] {
        assert!(!page.body.contains(bad), "{bad}");
    }
    assert!(
        page.body
            .contains("aria-labelledby=\"days-title days-about\"")
    );
    let forged = [(
        "cookie",
        "__Host-sekisho-since=1800000000.AAAAAAAAAAAAAAAAAAAAAA",
    )];
    let got = site.send(Ask::page("/").with(&forged)).await;
    assert!(
        got.headers.contains_key("set-cookie"),
        "a forged one counts for nothing"
    );
}
