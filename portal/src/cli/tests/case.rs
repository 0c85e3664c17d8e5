//! `case`, and the evidence that `ticket issue` asks for where there is a help desk.

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
