//! Addresses that several people are behind: what makes them so, what is said, what is shortened.

use crate::testing::{Ask, SOURCE, Site};

const HELD: &str = "Others share your address";
const LISTED: &str = "belongs to a network that many people share";
const SEEN: &str = "Others signed in from your address lately";

async fn page(site: &Site, cookie: &str) -> String {
    site.send(Ask::page("/access").as_(cookie)).await.body
}

#[tokio::test]
async fn an_address_that_two_people_hold_is_called_shared_to_both() {
    let site = Site::new("").await;
    let (_, alices) = site.token("alice").await;
    let (_, bobs) = site.token("bob").await;
    let alice = site.in_as("alice", &alices).await;
    assert!(!page(&site, &alice).await.contains(HELD));
    let bob = site.in_as("bob", &bobs).await;
    site.agent.also_held_by("alice", SOURCE);
    for cookie in [&alice, &bob] {
        assert!(page(&site, cookie).await.contains(HELD));
    }
    let lengths = site.agent.lengths();
    assert!(lengths.iter().all(Option::is_none), "nothing is shortened");
}

#[tokio::test]
async fn grants_at_a_listed_network_are_shorter() {
    let lines = "[shared]\nnetworks = [\"192.0.2.0/24\"]\nlongest = \"1h\"\n";
    let site = Site::new(lines).await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let said = page(&site, &cookie).await;
    assert!(said.contains(LISTED), "{said}");
    assert!(said.contains("for 60 min at most"), "{said}");
    site.send(Ask::post("/access/extend", &[]).as_(&cookie))
        .await;
    assert_eq!(site.agent.lengths(), [Some(3600); 4]);
}

#[tokio::test]
async fn who_came_lately_counts_and_who_came_long_ago_does_not() {
    let site = Site::new("[shared]\nlongest = \"1h\"\n").await;
    let (_, alices) = site.token("alice").await;
    let (_, bobs) = site.token("bob").await;
    let alice = site.in_as("alice", &alices).await;
    site.send(Ask::post("/logoff", &[]).as_(&alice)).await;
    let bob = site.in_as("bob", &bobs).await;
    let said = page(&site, &bob).await;
    assert!(said.contains(SEEN) && !said.contains(HELD), "{said}");
    assert_eq!(site.agent.lengths().last().unwrap(), &Some(3600));
    site.send(Ask::post("/logoff", &[]).as_(&bob)).await;
    site.clock.advance(12 * 3600 + 1);
    let bob = site.in_as("bob", &bobs).await;
    assert!(!page(&site, &bob).await.contains(SEEN));
    assert_eq!(site.agent.lengths().last().unwrap(), &None);
}

#[test]
fn the_space_of_carriers_is_shared_without_being_listed() {
    let shared = crate::config::Shared::default();
    for (address, expected) in [
        ("100.64.0.1", true),
        ("100.127.255.255", true),
        ("100.63.255.255", false),
        ("100.128.0.0", false),
        ("192.0.2.7", false),
        ("2001:db8::7", false),
    ] {
        assert_eq!(
            shared.lists(address.parse().unwrap()),
            expected,
            "{address}"
        );
    }
}
