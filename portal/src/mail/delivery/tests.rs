//! The carrier with a server that a test plays.

use std::{collections::VecDeque, pin::Pin};

use lettre::Message;

use super::*;
use crate::testing::{Ask, Site};

const MAIL: &str = "[mail]\nserver = \"127.0.0.1:9\"\nfrom = \"Access <access@example.org>\"\n\
                    tls = \"none-to-loopback-only\"\noperators = [\"desk@example.org\"]\n";

/// Answers as it is told, then takes everything.
#[derive(Debug, Default)]
struct FakePost {
    answers: Mutex<VecDeque<Posted>>,
    taken: Mutex<Vec<String>>,
    asked: Mutex<usize>,
}

impl FakePost {
    fn will(&self, answer: Posted, times: usize) {
        let answers = std::iter::repeat_n(answer, times);
        self.answers.lock().unwrap().extend(answers);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl Post for FakePost {
    fn send<'a>(&'a self, mail: Message) -> Pin<Box<dyn Future<Output = Posted> + Send + 'a>> {
        *self.asked.lock().unwrap() += 1;
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Posted::Taken);
        if answer == Posted::Taken {
            let text = String::from_utf8(mail.formatted()).unwrap();
            self.taken.lock().unwrap().push(text);
        }
        Box::pin(async move { answer })
    }
}

async fn open(more: &str) -> (Site, Delivery, Arc<FakePost>) {
    let site = Site::new(&format!("{MAIL}{more}")).await;
    let post = Arc::new(FakePost::default());
    let config = &site.portal.config;
    let mail = config.mail.clone().unwrap();
    let delivery = Delivery::open_with(config, &mail, post.clone()).unwrap();
    (site, delivery, post)
}

fn person(name: &str) -> Person<'_> {
    let id = if name == "alice" { "u-alice" } else { "u-bob" };
    Person {
        id: Some(id),
        name,
        mail: None,
    }
}

/// The link of the one mail that was taken.
fn link(mail: &str) -> String {
    let joined = mail.replace("=\r\n", "").replace("=3D", "=");
    let from = joined.split("/not-me?link=").nth(1).expect("no link");
    from.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn waits_double_up_to_a_bound() {
    let waits: Vec<i64> = (0..=10).map(wait_after).collect();
    assert_eq!(waits[..5], [5, 5, 10, 20, 40]);
    assert_eq!(*waits.last().unwrap(), 900);
    assert_eq!(wait_after(i64::MAX), 900);
}

#[tokio::test]
async fn a_mail_has_the_headers_of_an_automatic_one_and_the_persons_address() {
    let (site, delivery, post) = open("").await;
    let notices = &site.portal.notices;
    notices
        .tell(person("alice"), Kind::NewDevice, &[("device", "Phone")])
        .await;
    delivery.turn(&site.portal).await.unwrap();
    let mail = &post.taken()[0];
    for line in [
        "From: Access <access@example.org>\r\n",
        "To: alice@example.org\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Message-ID: <",
        "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
        "Subject: Test site: A device was added\r\n",
    ] {
        assert!(mail.contains(line), "{line:?} of {mail}");
    }
    assert!(
        site.portal
            .store
            .waiting_mails(10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_hostile_name_makes_no_header() {
    let (site, delivery, post) = open("").await;
    let notices = &site.portal.notices;
    let values = [
        ("person", "x\r\nBcc: evil@example.org"),
        ("address", "a"),
        ("grants", "1"),
    ];
    notices.tell_operators(Kind::Reported, &values).await;
    delivery.turn(&site.portal).await.unwrap();
    let mail = &post.taken()[0];
    let head = mail.split("\r\n\r\n").next().unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(head.contains("To: desk@example.org\r\n"));
}

#[tokio::test]
async fn the_language_is_the_one_read_last() {
    let (site, delivery, post) = open("").await;
    site.portal
        .store
        .set_language("u-alice", "ja")
        .await
        .unwrap();
    site.portal
        .notices
        .tell(person("alice"), Kind::LockedOut, &[])
        .await;
    site.portal
        .notices
        .tell(person("bob"), Kind::LockedOut, &[])
        .await;
    delivery.turn(&site.portal).await.unwrap();
    let mails = post.taken();
    assert!(mails[0].contains("Subject: Test site: =?utf-8?") && mails[1].contains("locked"));
}

#[tokio::test]
async fn a_server_that_is_down_is_left_alone_and_nothing_is_lost() {
    let (site, delivery, post) = open("").await;
    for _ in 0..3 {
        site.portal
            .notices
            .tell(person("alice"), Kind::LockedOut, &[])
            .await;
    }
    post.will(Posted::ServerDown("no route".into()), 2);
    delivery.turn(&site.portal).await.unwrap();
    assert_eq!(post.asked(), 1, "one mail showed it");
    delivery.turn(&site.portal).await.unwrap();
    assert_eq!(post.asked(), 1, "too early");
    site.clock.advance(5);
    delivery.turn(&site.portal).await.unwrap();
    assert_eq!(post.asked(), 2);
    site.clock.advance(10);
    delivery.turn(&site.portal).await.unwrap();
    delivery.turn(&site.portal).await.unwrap();
    assert_eq!(post.taken().len(), 3);
}

#[tokio::test]
async fn what_the_server_never_takes_is_dropped_and_audited() {
    let (site, delivery, post) = open("").await;
    site.portal
        .notices
        .tell(person("alice"), Kind::LockedOut, &[])
        .await;
    post.will(Posted::Never("550 no such user".into()), 1);
    delivery.turn(&site.portal).await.unwrap();
    assert!(
        site.portal
            .store
            .waiting_mails(10)
            .await
            .unwrap()
            .is_empty()
    );
    let audit = site.agent.audit.lock().unwrap();
    let record = audit.last().unwrap();
    assert_eq!(record.outcome, "mail-not-sent");
    assert!(
        record
            .reason
            .as_deref()
            .unwrap()
            .contains("550 no such user")
    );
}

#[tokio::test]
async fn one_that_is_refused_for_now_does_not_hold_back_others_and_ends() {
    let (site, delivery, post) = open("give_up = \"1h\"").await;
    site.portal
        .notices
        .tell(person("alice"), Kind::LockedOut, &[])
        .await;
    site.portal
        .notices
        .tell(person("bob"), Kind::LockedOut, &[])
        .await;
    post.will(Posted::Later("451 busy".into()), 1);
    delivery.turn(&site.portal).await.unwrap();
    assert_eq!(post.taken().len(), 1);
    site.clock.advance(3600);
    post.will(Posted::Later("451 busy".into()), 1);
    delivery.turn(&site.portal).await.unwrap();
    assert!(
        site.portal
            .store
            .waiting_mails(10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(site.agent.outcomes(), ["mail-not-sent"]);
}

#[tokio::test]
async fn somebody_without_an_address_gets_none_and_a_namesake_gets_none_of_theirs() {
    let (site, delivery, post) = open("").await;
    let other = Person {
        id: Some("u-alice-of-old"),
        name: "alice",
        mail: None,
    };
    let odd = Person {
        id: Some("u-bob"),
        name: "bob",
        mail: Some("bob@example.org\r\nBcc: x@example.org"),
    };
    site.portal.notices.tell(other, Kind::LockedOut, &[]).await;
    site.portal.notices.tell(odd, Kind::LockedOut, &[]).await;
    delivery.turn(&site.portal).await.unwrap();
    assert_eq!(post.asked(), 0);
    assert_eq!(site.agent.outcomes(), ["mail-not-sent", "mail-not-sent"]);
}

#[tokio::test]
async fn folded_and_dropped_ones_are_told() {
    let (site, delivery, post) = open("per_hour = 1\nqueue = 10").await;
    for _ in 0..3 {
        site.portal
            .notices
            .tell(person("alice"), Kind::LockedOut, &[])
            .await;
    }
    for _ in 0..12 {
        site.portal
            .notices
            .tell_operators(Kind::Reported, &[])
            .await;
    }
    delivery.turn(&site.portal).await.unwrap();
    assert_eq!(site.agent.outcomes(), ["mail-dropped"]);
    post.taken();
    site.clock.advance(3600);
    delivery.turn(&site.portal).await.unwrap();
    let mails = post.taken();
    let text = mails[0].replace("=\r\n", "");
    assert!(text.contains("2 further notices"), "{text}");
}

#[tokio::test]
async fn the_link_of_a_mail_ends_everything_once_and_a_look_changes_nothing() {
    let (site, delivery, post) = open("").await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    delivery.turn(&site.portal).await.unwrap();
    let token = link(&post.taken()[0]);
    assert!(token.len() >= 43, "256 bits");
    let path = format!("/not-me?link={token}");
    for _ in 0..3 {
        let page = site.send(Ask::page(&path).from("198.51.100.9")).await;
        assert!(
            page.status == 200 && page.body.contains("<button"),
            "{}",
            page.body
        );
        assert!(!page.body.contains("alice"), "it says nobody's name");
    }
    assert_eq!(site.agent.open().len(), 2, "a GET changes nothing");
    let form = [("link", token.as_str())];
    let done = site
        .send(Ask::post("/not-me", &form).from("198.51.100.9"))
        .await;
    assert!(
        done.status == 200 && done.body.contains("desk 42"),
        "{}",
        done.body
    );
    assert!(site.agent.open().is_empty());
    let row = site.portal.store.token(&id).await.unwrap().unwrap();
    assert!(row.is(crate::store::TokenState::Suspended) && !row.own_suspension());
    assert!(site.portal.store.is_barred("u-alice").await.unwrap());
    let page = site.send(Ask::page("/access").as_(&cookie)).await;
    assert_eq!(page.to(), "/?say=again", "the cookie ended");
    assert!(site.agent.outcomes().contains(&"not-me".to_owned()));
    delivery.turn(&site.portal).await.unwrap();
    let told = post.taken();
    assert!(told[0].contains("To: desk@example.org") && told[0].contains("alice"));

    let again = site.send(Ask::post("/not-me", &form)).await;
    let foreign = site.send(Ask::page("/not-me?link=abc")).await;
    let bare = site.send(Ask::page("/not-me")).await;
    let long = site
        .send(Ask::page(&format!("/not-me?link={}", "a".repeat(5000))))
        .await;
    for page in [&again, &foreign, &bare, &long] {
        assert_eq!(page.status, 410);
        let text = |got: &crate::testing::Got| got.between("<h1>", "</div>");
        assert_eq!(text(page), text(&again), "one and the same page");
    }
}

#[tokio::test]
async fn a_link_ends_with_its_time() {
    let (site, delivery, post) = open("link = \"1h\"").await;
    site.portal
        .notices
        .tell(person("alice"), Kind::NewDevice, &[("device", "x")])
        .await;
    delivery.turn(&site.portal).await.unwrap();
    let token = link(&post.taken()[0]);
    assert!(site.portal.link_works(&token).await.unwrap());
    site.clock.advance(3600);
    assert!(!site.portal.link_works(&token).await.unwrap());
    let form = [("link", token.as_str())];
    assert_eq!(site.send(Ask::post("/not-me", &form)).await.status, 410);
}

#[tokio::test]
async fn a_link_used_a_hundred_times_at_once_works_once() {
    let (site, delivery, post) = open("").await;
    site.token("alice").await;
    site.portal
        .notices
        .tell(person("alice"), Kind::NewDevice, &[("device", "x")])
        .await;
    delivery.turn(&site.portal).await.unwrap();
    let token = Arc::new(link(&post.taken()[0]));
    let mut uses = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (portal, token) = (site.portal.clone(), token.clone());
        uses.spawn(async move { portal.not_me(&token, None, "r").await.unwrap() });
    }
    let ended = uses.join_all().await;
    let done = ended
        .iter()
        .filter(|how| **how == crate::not_me::NotMe::Done)
        .count();
    assert_eq!(done, 1);
    assert_eq!(site.agent.outcomes(), ["not-me"]);
}

#[tokio::test]
async fn without_the_agent_the_link_does_the_rest_and_says_so() {
    let (site, delivery, post) = open("").await;
    let (_, seed) = site.token("alice").await;
    site.in_as("alice", &seed).await;
    delivery.turn(&site.portal).await.unwrap();
    let token = link(&post.taken()[0]);
    site.agent.set_down(true);
    let form = [("link", token.as_str())];
    let page = site.send(Ask::post("/not-me", &form)).await;
    assert!(
        page.body.contains("could not be closed yet"),
        "{}",
        page.body
    );
    assert_eq!(site.agent.open().len(), 2);
    site.agent.set_down(false);
    delivery.turn(&site.portal).await.unwrap();
    assert!(post.taken()[0].contains("NOT CLOSED"));
}
