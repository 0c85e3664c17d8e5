//! `case`, and the evidence that whatever makes tickets asks for where there is a help desk.

use super::*;
use crate::{store::CaseState, testing::desk as house};

async fn desk_of(site: &Site) -> Desk {
    let config = testing::config(
        site.folder.path(),
        &house::table("second_approver = [\"ticket\"]"),
    );
    Desk::open_with(
        config,
        site.agent.clone(),
        site.clock.clone(),
        Output::new(true),
    )
    .await
    .unwrap()
}

async fn carry(site: &Site, arguments: &[&str]) -> anyhow::Result<Done> {
    let all = std::iter::once(&"sekisho-portal").chain(arguments);
    let desk = desk_of(site).await;
    match Arguments::try_parse_from(all).unwrap().verb {
        Verb::Case(verb) => super::super::case::carry_out(&desk, verb).await,
        Verb::Ticket(verb) => ticket::carry_out(&desk, verb).await,
        Verb::Token(verb) => token::carry_out(&desk, verb).await,
        Verb::Import(verb) => import::carry_out(&desk, verb).await,
        other => panic!("{other:?}"),
    }
}

const SEEN: [&str; 4] = ["--evidence", "seen in person", "--note", "at the counter"];

#[tokio::test]
async fn an_operator_opens_a_case_with_evidence_and_the_uid_is_recorded() {
    let site = house::site("").await;
    let (_, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    let lost = [&["case", "open", "lost", "--user", "alice"], &SEEN[..]].concat();
    assert_eq!(carry(&site, &lost).await.unwrap(), Done::All);
    assert!(site.agent.open().is_empty());
    let row = &site.portal.store.cases(None, 1).await.unwrap()[0];
    assert!(row.opened_by.starts_with("uid ") && row.ticket.is_some());
    let feeling = ["--evidence", "a feeling", "--note", "x"];
    let wrong = [&["case", "open", "lost", "--user", "alice"], &feeling[..]].concat();
    let refused = carry(&site, &wrong).await.unwrap_err().to_string();
    assert!(refused.contains("\"manager vouched\""), "{refused}");
    carry(&site, &["case", "list"]).await.unwrap();
    carry(&site, &["case", "show", &row.id]).await.unwrap();
}

#[tokio::test]
async fn an_operator_decides_on_what_the_desk_asked_for() {
    let site = house::site("second_approver = [\"ticket\"]").await;
    let carol = site.officer("carol").await;
    site.open_case(&carol, "enrol", "alice").await;
    let case = site.newest_case().await;
    carry(&site, &["case", "list", "--open"]).await.unwrap();
    let refuse = ["case", "refuse", &case, "--note", "not her number"];
    carry(&site, &refuse).await.unwrap();
    let row = site.portal.store.case(&case).await.unwrap().unwrap();
    assert_eq!(row.state(testing::NOW), CaseState::Refused);
    assert!(row.decided_by.unwrap().starts_with("uid "));
    assert!(carry(&site, &refuse).await.is_err(), "decided already");
}

#[tokio::test]
async fn where_there_is_a_desk_a_ticket_wants_evidence_and_a_note() {
    let site = house::site("").await;
    let issue = ["ticket", "issue", "--user", "alice"];
    let bare = carry(&site, &issue).await.unwrap_err().to_string();
    assert!(bare.contains("seen in person"), "{bare}");
    let no_note = [&issue[..], &SEEN[..2]].concat();
    assert!(carry(&site, &no_note).await.is_err());
    let all = [&issue[..], &SEEN[..]].concat();
    carry(&site, &all).await.unwrap();
    let tickets = site.portal.store.tickets(Some("alice")).await.unwrap();
    assert_eq!(tickets[0].note, "seen in person: at the counter");
}

#[tokio::test]
async fn a_token_is_reissued_on_evidence_only_and_the_audit_says_on_which() {
    let site = house::site("").await;
    let (id, _) = site.token("alice").await;
    let reissue = ["token", "reissue", id.as_str()];
    let bare = carry(&site, &reissue).await.unwrap_err().to_string();
    assert!(bare.contains("seen in person"), "{bare}");
    let feeling = ["--evidence", "a feeling", "--note", "x"];
    let wrong = [&reissue[..], &feeling[..]].concat();
    assert!(carry(&site, &wrong).await.is_err());
    let store = &site.portal.store;
    assert!(store.tickets(None).await.unwrap().is_empty(), "nothing yet");

    carry(&site, &[&reissue[..], &SEEN[..]].concat())
        .await
        .unwrap();
    let ticket = &store.tickets(Some("alice")).await.unwrap()[0];
    assert_eq!(ticket.replaces.as_deref(), Some(id.as_str()));
    let said = format!("{}: seen in person: at the counter", ticket.id);
    assert_eq!(site.reasons_of("issued"), [said]);
}

#[tokio::test]
async fn a_list_of_people_wants_evidence_for_each_or_issues_nothing() {
    let site = house::site("").await;
    let file = site.folder.path().join("people.csv");
    std::fs::write(&file, "user,note\nalice,called the manager\nbob,\n").unwrap();
    let (file, out) = (file.to_str().unwrap(), site.folder.path().join("codes"));
    let dry = ["import", "people", file];
    carry(&site, &dry).await.unwrap();
    let apply = [&dry[..], &["--apply", "--out", out.to_str().unwrap()]].concat();
    let store = &site.portal.store;
    // Bob's line says nothing of who vouched for him.
    let no_note = ["--evidence", "manager vouched"];
    for more in [&[][..], &no_note] {
        let bare = carry(&site, &[&apply[..], more].concat()).await;
        let bare = format!("{:#}", bare.unwrap_err());
        assert!(bare.starts_with("line "), "{bare}");
        assert!(store.tickets(None).await.unwrap().is_empty(), "{more:?}");
        assert!(!out.exists(), "{more:?}");
    }
    let all = ["--evidence", "manager vouched", "--note", "the list of May"];
    carry(&site, &[&apply[..], &all].concat()).await.unwrap();
    let mut notes: Vec<String> = site.reasons_of("issued");
    notes.sort_by_key(|note| note.split_once(": ").map(|(_, note)| note.to_owned()));
    assert!(notes[0].ends_with(": manager vouched: called the manager"));
    assert!(notes[1].ends_with(": manager vouched: the list of May"));
}
