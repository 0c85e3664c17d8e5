//! Queueing: who is told what, how many at most, and what gives way.

use super::*;
use crate::{
    directory::UserName,
    store::MailRow,
    testing::{Ask, Site},
};

const MAIL: &str = "[mail]\nserver = \"127.0.0.1:9\"\nfrom = \"access@example.org\"\n\
                    tls = \"none-to-loopback-only\"\noperators = [\"desk@example.org\"]\n";

async fn waiting(site: &Site) -> Vec<MailRow> {
    site.portal.store.waiting_mails(100_000).await.unwrap()
}

async fn kinds(site: &Site) -> Vec<String> {
    waiting(site)
        .await
        .into_iter()
        .map(|row| row.kind)
        .collect()
}

fn alice() -> Person<'static> {
    Person {
        id: Some("u-alice"),
        name: "alice",
        mail: None,
    }
}

#[tokio::test]
async fn a_log_in_tells_of_a_new_network_once_in_ninety_days() {
    let site = Site::new(MAIL).await;
    let (_, seed) = site.token("alice").await;
    let log_in = async |source: &str| {
        let code = site.code(&seed);
        let form = [
            ("username", "alice"),
            ("password", "password of alice"),
            ("code", &code),
        ];
        let got = site.send(Ask::post("/login", &form).from(source)).await;
        assert_eq!(got.status, 303, "{}", got.body);
        site.clock.advance(30);
    };
    log_in("192.0.2.7").await;
    assert_eq!(kinds(&site).await, ["new-network"]);
    let row = &waiting(&site).await[0];
    assert!(
        row.params.contains("192.0.2.7") && row.address.as_deref() == Some("alice@example.org")
    );
    log_in("192.0.2.200").await;
    assert_eq!(kinds(&site).await.len(), 1, "the same network");
    log_in("192.0.3.7").await;
    log_in("2001:db8:1:2::3").await;
    assert_eq!(kinds(&site).await.len(), 3);
    site.clock.advance(89 * 24 * 3600);
    log_in("192.0.2.7").await;
    assert_eq!(kinds(&site).await.len(), 3);
    site.clock.advance(91 * 24 * 3600);
    log_in("192.0.2.7").await;
    assert_eq!(kinds(&site).await.len(), 4);
}

#[tokio::test]
async fn without_the_table_nothing_is_queued_or_remembered() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    assert!(waiting(&site).await.is_empty());
    let store = &site.portal.store;
    assert!(store.language("u-alice").await.unwrap().is_none());
}

#[tokio::test]
async fn only_what_is_on_is_told() {
    let site = Site::new(&format!("{MAIL}notices = [\"new-device\"]\n")).await;
    let notices = &site.portal.notices;
    notices.tell(alice(), Kind::LockedOut, &[]).await;
    notices
        .tell(alice(), Kind::NewDevice, &[("device", "a\r\nBcc: x")])
        .await;
    assert_eq!(kinds(&site).await, ["new-device"]);
    assert!(waiting(&site).await[0].params.contains("a??Bcc: x"));
}

#[tokio::test]
async fn the_queue_is_bounded_and_what_matters_least_gives_way() {
    let site = Site::new(&format!("{MAIL}queue = 10\nper_hour = 1000\n")).await;
    let notices = &site.portal.notices;
    notices
        .tell(alice(), Kind::NewNetwork, &[("address", "1")])
        .await;
    for _ in 0..9 {
        notices.tell(alice(), Kind::LockedOut, &[]).await;
    }
    notices
        .tell(alice(), Kind::NewNetwork, &[("address", "2")])
        .await;
    let left = waiting(&site).await;
    assert_eq!(left.len(), 10);
    assert!(
        left.last().unwrap().params.contains("\"2\""),
        "the oldest unimportant one went"
    );
    for _ in 0..5 {
        notices
            .tell(alice(), Kind::DeviceRevoked, &[("device", "x")])
            .await;
    }
    let left = kinds(&site).await;
    assert_eq!(left.len(), 10);
    assert!(!left.contains(&"new-network".to_owned()));
    assert_eq!(
        left.iter().filter(|kind| *kind == "device-revoked").count(),
        5
    );
    assert_eq!(site.portal.store.take_dropped_mails().await.unwrap(), 6);
    assert_eq!(site.portal.store.take_dropped_mails().await.unwrap(), 0);
}

#[tokio::test]
async fn more_than_the_bound_of_an_hour_is_folded_into_one() {
    let site = Site::new(&format!("{MAIL}per_hour = 3\n")).await;
    let (notices, store) = (&site.portal.notices, &site.portal.store);
    for _ in 0..8 {
        notices
            .tell(alice(), Kind::NewNetwork, &[("address", "1")])
            .await;
    }
    // A flood of one weight does not hide what matters more.
    notices
        .tell(alice(), Kind::NewDevice, &[("device", "x")])
        .await;
    assert_eq!(kinds(&site).await.len(), 4);
    let now = site.clock.now().as_second();
    assert!(
        store.take_folded_mails(now).await.unwrap().is_empty(),
        "the hour goes on"
    );
    let folded = store.take_folded_mails(now + 3600).await.unwrap();
    assert_eq!(folded.len(), 1);
    assert_eq!(
        (folded[0].user_id.as_str(), folded[0].folded),
        ("u-alice", 5)
    );
}

#[tokio::test]
async fn every_operator_is_told() {
    let site = Site::new(MAIL).await;
    site.portal
        .notices
        .tell_operators(Kind::Reported, &[])
        .await;
    let row = &waiting(&site).await[0];
    assert_eq!(row.address.as_deref(), Some("desk@example.org"));
    assert!(row.user_id.is_none());
}

#[tokio::test]
async fn the_account_knows_its_address() {
    let site = Site::new("").await;
    let name = UserName::parse("alice").unwrap();
    let account = site.portal.directory.find(&name).await.unwrap().unwrap();
    assert_eq!(account.mail.as_deref(), Some("alice@example.org"));
}
