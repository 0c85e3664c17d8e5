//! Lists of people, unused tokens, and reports, as verbs.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::store::{Attempt, TokenState};

async fn import(site: &Site, more: &str) -> anyhow::Result<Done> {
    let file = site.folder.path().join("people.csv");
    let line = format!("sekisho-portal import people {}{more}", file.display());
    match verb(&line) {
        Verb::Import(verb) => import::carry_out(&desk(site).await, verb).await,
        other => panic!("{other:?}"),
    }
}

/// The report's text.
async fn report(site: &Site, line: &str) -> String {
    let out = site.folder.path().join("report");
    let line = format!("sekisho-portal report {line} --out {}", out.display());
    match verb(&line) {
        Verb::Report(asked) => {
            let config = testing::config(site.folder.path(), "");
            let (agent, clock) = (site.agent.clone(), site.clock.clone());
            let desk = Desk::open_with(config, agent, clock, Output::new(false));
            report::carry_out(&desk.await.unwrap(), asked)
                .await
                .unwrap();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::read_to_string(out).unwrap()
}

fn write(site: &Site, text: &str) {
    std::fs::write(site.folder.path().join("people.csv"), text).unwrap();
}

#[tokio::test]
async fn a_list_gives_tickets_only_when_told_and_codes_only_into_a_file() {
    let site = Site::new("").await;
    site.token("bob").await;
    write(
        &site,
        "user,note,group\nALICE,seen,staff\nalice,,\nbob,,\nzoe,,\n,,\nx\n",
    );
    let done = import(&site, "").await.unwrap();
    assert_eq!(done, Done::Partly, "half of it is wrong");
    let store = &site.portal.store;
    assert!(store.tickets(None).await.unwrap().is_empty(), "only said");
    assert!(site.agent.outcomes().is_empty());

    let out = site.folder.path().join("codes.csv");
    let more = format!(" --apply --out {}", out.display());
    assert_eq!(import(&site, &more).await.unwrap(), Done::Partly);
    let tickets = store.tickets(None).await.unwrap();
    assert_eq!(tickets.len(), 1);
    assert_eq!(
        (tickets[0].user_name.as_str(), tickets[0].note.as_str()),
        ("alice", "seen")
    );
    assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let codes = std::fs::read_to_string(&out).unwrap();
    let row: Vec<&str> = codes.lines().nth(1).unwrap().split(',').collect();
    assert_eq!((row[0], row[1]), ("alice", tickets[0].id.as_str()));
    let form = [
        ("username", "alice"),
        ("password", "password of alice"),
        ("ticket", row[2]),
    ];
    let page = site.send(testing::Ask::post("/ticket", &form)).await;
    assert_eq!(page.status, 200, "the code works");

    let error = import(&site, &more).await.unwrap_err().to_string();
    assert!(error.contains("not there yet"), "{error}");
    assert_eq!(
        store.tickets(None).await.unwrap().len(),
        1,
        "nothing was issued"
    );
}

#[tokio::test]
async fn a_second_run_issues_nothing_twice() {
    let site = Site::new("").await;
    write(&site, "user\nalice\nbob\n");
    let out = |name: &str| format!(" --apply --out {}", site.folder.path().join(name).display());
    assert_eq!(import(&site, &out("one")).await.unwrap(), Done::All);
    assert_eq!(import(&site, &out("two")).await.unwrap(), Done::Partly);
    assert_eq!(site.portal.store.tickets(None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn somebody_outside_the_named_group_gets_none() {
    let site = Site::new("").await;
    write(&site, "user,group\nalice,admins\nbob,Admins\n");
    let more = format!(" --apply --out {}", site.folder.path().join("o").display());
    import(&site, &more).await.unwrap();
    let tickets = site.portal.store.tickets(None).await.unwrap();
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].user_name, "bob");
}

#[test]
fn applying_without_a_place_for_the_codes_is_refused() {
    let line = "sekisho-portal import people x.csv --apply";
    assert!(Arguments::try_parse_from(line.split(' ')).is_err());
}

#[tokio::test]
async fn unused_tokens_are_suspended_only_when_told() {
    let site = Site::new("").await;
    let (old, _) = site.token("alice").await;
    let (other, _) = site.token("bob").await;
    site.clock.advance(91 * 24 * 3600);
    let (_, fresh) = site.token("alice").await;
    // Made with the site's first moment; a log-in makes it used.
    site.in_as("alice", &fresh).await;
    let is = async |id: &str, state| {
        site.portal
            .store
            .token(id)
            .await
            .unwrap()
            .unwrap()
            .is(state)
    };
    let line = "sekisho-portal token suspend-unused --for 90d --user-filter AL*";
    token(&site, line).await.unwrap();
    assert!(is(&old, TokenState::Active).await, "only said");
    token(&site, &format!("{line} --apply")).await.unwrap();
    assert!(is(&old, TokenState::Suspended).await);
    assert!(
        is(&other, TokenState::Active).await,
        "bob's is not asked for"
    );
    let left = site.portal.store.active_tokens("u-alice").await.unwrap();
    assert_eq!(left.len(), 1, "the one in use stays");
    assert!(site.agent.outcomes().contains(&"suspended".to_owned()));
}

#[tokio::test]
async fn reports_say_who_lacks_what() {
    let site = Site::new("").await;
    site.token("bob").await;
    let none = report(&site, "no-second-factor --format csv").await;
    assert_eq!(
        none,
        "user,groups,mail\r\nalice,staff,alice@example.org\r\n"
    );
    let one = report(&site, "no-second-means --format json").await;
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(
        (one[0]["user"].as_str(), one[0]["last_used"].is_null()),
        (Some("bob"), true)
    );
    let groups = report(&site, "enrolment --format csv --bom").await;
    assert_eq!(
        groups,
        "\u{feff}group,people,enrolled,share\r\nadmins,1,1,100.0%\r\nstaff,2,1,50.0%\r\n"
    );
    for _ in 0..3 {
        site.token("alice").await;
    }
    let many = report(&site, "many-tokens --format csv").await;
    assert_eq!(many, "user,tokens\r\nalice,3\r\n");
    site.clock.advance(91 * 24 * 3600);
    let unused = report(&site, "unused --format csv").await;
    assert_eq!(unused.lines().count(), 5);
    assert!(unused.contains("2027-01-15T08:00:00Z"), "{unused}");
}

#[tokio::test]
async fn reports_say_whose_device_a_token_is_on() {
    let site = Site::new("").await;
    let (alices, _) = site.token("alice").await;
    let (bobs, _) = site.token("bob").await;
    let line = format!("sekisho-portal token owner {alices} private");
    token(&site, &line).await.unwrap();
    token(&site, "sekisho-portal token owner nosuch private")
        .await
        .unwrap_err();
    let text = report(&site, "tokens --format csv").await;
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(
        rows,
        [
            "user,token,device,kind,owner,state,created,last_used".to_owned(),
            format!("alice,{alices},Phone,totp,private,active,2027-01-15T08:00:00Z,"),
            format!("bob,{bobs},Phone,totp,,active,2027-01-15T08:00:00Z,"),
        ]
    );
    let json = report(&site, "no-second-means --format json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["owner"], "private");
    assert!(json[1]["owner"].is_null());
    site.clock.advance(91 * 24 * 3600);
    let unused = report(&site, "unused --format csv").await;
    assert!(unused.lines().any(|row| row.ends_with(",private")));

    let undone = format!("sekisho-portal token owner {alices} unsaid");
    token(&site, &undone).await.unwrap();
    let token = site.portal.store.token(&alices).await.unwrap().unwrap();
    assert_eq!(token.owner(), None);
    assert_eq!(site.reasons_of("owner-said"), ["private", "unsaid"]);
}

#[tokio::test]
async fn failures_are_counted_by_person_source_and_reason() {
    let site = Site::new("").await;
    site.token("alice").await;
    let now = site.clock.now().as_second();
    let add = async |user: &str, at: i64, outcome: &str, times: usize| {
        for _ in 0..times {
            let attempt = Attempt {
                at,
                source: "192.0.2.9".into(),
                outcome: outcome.into(),
                token: None,
            };
            site.portal.store.add_attempt(user, &attempt).await.unwrap();
        }
    };
    add("u-alice", now, "wrong-code", 6).await;
    add("u-alice", now, "ok", 9).await;
    add("u-alice", now - 8 * 24 * 3600, "wrong-password", 9).await;
    add("u-bob", now, "wrong-code", 4).await;
    add("ldap:1", now, "wrong-code", 5).await;
    let text = report(&site, "failures --format csv").await;
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 3, "{text}");
    assert!(
        rows[1].starts_with("alice,192.0.2.9,wrong-code,6,2027-01-15T08:00:00Z"),
        "{text}"
    );
    assert!(rows[2].starts_with("ldap:1,"), "{text}");
    let table = report(&site, "failures --at-least 6").await;
    assert!(
        table.contains("alice") && !table.contains("ldap:1"),
        "{table}"
    );
}
