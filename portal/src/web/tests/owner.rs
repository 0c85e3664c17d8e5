//! Whose device it is: said at enrolment, decided with a ticket, changed on the own page and by the
//! help desk, and by nobody else.

use http::StatusCode;

use crate::{
    desk::{Issue, issue},
    directory::UserName,
    store::{Owner, TokenState},
    testing::{Ask, Got, Site, desk},
};

/// A ticket's code.
async fn ticket(site: &Site, owner: Option<Owner>) -> String {
    let name = UserName::parse("alice").unwrap();
    let account = site.portal.directory.find(&name).await.unwrap().unwrap();
    let asked = Issue {
        account: &account,
        seconds: 3600,
        note: "seen",
        replaces: None,
        owner,
        by: "uid 0",
        request_id: None,
    };
    let tools = site.portal.tools();
    let made = issue(tools.means, tools.notices, asked).await.unwrap();
    made.code.to_string()
}

/// Enrols alice, whose form says this; gives the first page.
async fn enrol(site: &Site, code: &str, said: &str) -> Got {
    let form = [
        ("username", "alice"),
        ("password", "password of alice"),
        ("ticket", code),
    ];
    let page = site.send(Ask::post("/ticket", &form)).await;
    let secret = page.between("<code id=\"secret\">", "</code>");
    let token = page.between("name=\"token\" value=\"", "\"");
    let seed = crate::otp::Seed::from_base32(&secret).unwrap();
    let wrong = [("token", &*token), ("code", "1"), ("owner", said)];
    let again = site.send(Ask::post("/ticket/confirm", &wrong)).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    if said == "private" && again.body.contains("name=\"owner\"") {
        let kept = "value=\"private\" checked";
        assert!(again.body.contains(kept), "the answer is kept");
    }
    let first = site.code(&seed);
    let right = [("token", &*token), ("code", &*first), ("owner", said)];
    let done = site.send(Ask::post("/ticket/confirm", &right)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    page
}

async fn owner_of_the_newest(site: &Site) -> Option<Owner> {
    let tokens = site.portal.store.tokens_of("u-alice").await.unwrap();
    assert!(tokens[0].is(TokenState::Active));
    tokens[0].owner()
}

#[tokio::test]
async fn a_person_says_at_enrolment_whose_phone_it_is_or_does_not() {
    for (said, owner) in [
        ("private", Some(Owner::Private)),
        ("company", Some(Owner::Company)),
        ("", None),
        ("the king's", None),
    ] {
        let site = Site::new("").await;
        let code = ticket(&site, None).await;
        let page = enrol(&site, &code, said).await;
        assert_eq!(page.body.matches("name=\"owner\"").count(), 3);
        assert_eq!(owner_of_the_newest(&site).await, owner, "{said}");
    }
}

#[tokio::test]
async fn what_the_ticket_decided_is_shown_and_no_form_says_otherwise() {
    let site = Site::new("").await;
    let code = ticket(&site, Some(Owner::Company)).await;
    let page = enrol(&site, &code, "private").await;
    assert!(!page.body.contains("name=\"owner\""), "{}", page.body);
    assert!(page.body.contains("<strong>The company&#39;s</strong>"));
    assert_eq!(owner_of_the_newest(&site).await, Some(Owner::Company));
}

#[tokio::test]
async fn a_person_changes_it_on_their_own_page_for_their_own_devices() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let (bobs, _) = site.token("bob").await;
    let cookie = site.in_as("alice", &seed).await;
    let say = async |token: &str, owner: &str| {
        let form = [("token", token), ("owner", owner)];
        let request = Ask::post("/devices/owner", &form).as_(&cookie);
        let to = site.send(request).await.to().to_owned();
        site.send(Ask::page(&to).as_(&cookie)).await.body
    };
    let page = say(&id, "private").await;
    assert!(page.contains("It is noted whose device it is."), "{page}");
    assert!(page.contains("<dt>Owner</dt><dd>My own</dd>"), "{page}");
    let store = &site.portal.store;
    let owner = async |id: &str| store.token(id).await.unwrap().unwrap().owner();
    assert_eq!(owner(&id).await, Some(Owner::Private));
    assert_eq!(site.reasons_of("owner-said"), ["by the person: private"]);
    let page = say(&bobs, "private").await;
    assert!(!page.contains("It is noted"), "bob's is not hers: {page}");
    assert_eq!(owner(&bobs).await, None);
    say(&id, "").await;
    assert_eq!(owner(&id).await, None, "taken back");
    assert!(store.revoke_token(&id, None).await.unwrap());
    assert!(!store.set_owner(&id, Some(Owner::Company)).await.unwrap());
}

#[tokio::test]
async fn the_help_desk_notes_it_for_others_and_each_time_is_recorded() {
    let site = desk::site("").await;
    let (id, _) = site.token("alice").await;
    let (bobs, _) = site.token("bob").await;
    let carol = site.officer("carol").await;
    let say = async |cookie: &str, user: &str, token: &str| {
        let form = [("user", user), ("token", token), ("owner", "company")];
        site.send(Ask::post("/desk/owner", &form).as_(cookie)).await
    };
    let got = say(&carol, "alice", &id).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    assert!(got.body.contains("It is noted") && got.body.contains("data-label=\"Owner\""));
    let owner = async |id: &str| {
        let token = site.portal.store.token(id).await.unwrap();
        token.unwrap().owner()
    };
    assert_eq!(owner(&id).await, Some(Owner::Company));
    assert_eq!(site.reasons_of("owner-said"), ["by carol: company"]);

    let form = [("user", "alice"), ("token", &*id), ("owner", "private")];
    let got = site.send(Ask::post("/desk/owner", &form).as_(&carol)).await;
    assert!(
        got.body.contains("The person&#39;s own") && !got.body.contains("My own"),
        "{}",
        got.body
    );
    for answer in [&form[..2], &[form[0], form[1], ("owner", "nobody")]] {
        let got = site
            .send(Ask::post("/desk/owner", answer).as_(&carol))
            .await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "no answer at all");
    }
    assert_eq!(owner(&id).await, Some(Owner::Private));

    let others = say(&carol, "alice", &bobs).await;
    assert_eq!(others.status, StatusCode::BAD_REQUEST, "not alice's");
    let own = site.portal.store.tokens_of("u-carol").await.unwrap();
    let own = say(&carol, "carol", &own[0].id).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN, "her own");
    assert_eq!(
        say(&carol, "nobody", &id).await.status,
        StatusCode::NOT_FOUND
    );
    for (who, status) in [("erin", 403), ("dave", 403), ("bob", 404)] {
        let cookie = site.officer(who).await;
        let got = say(&cookie, "alice", &id).await;
        assert_eq!(got.status.as_u16(), status, "{who}");
    }
    assert_eq!(owner(&bobs).await, None);
    assert_eq!(site.reasons_of("owner-said").len(), 2);
}
