//! The other address family: what a ticket and a receipt open, for whom, and for whom not.

use http::StatusCode;
use serde_json::Value;

use crate::{
    client_addr::ClientAddr,
    crossing::Back,
    live::{LiveCookie, MoveProof},
    otp::Seed,
    testing::{Ask, Got, SOURCE, Site},
};

const SIX: &str = "2001:db8::7";
const NAMES: &str = "public_url = \"https://access.example.com\"\n[dual_stack]\n\
    ipv4 = \"https://v4.access.example.com\"\nipv6 = \"https://v6.access.example.com\"\n";
const JSON: (&str, &str) = ("accept", "application/json");
const FROM_PORTAL: &[(&str, &str)] = &[
    JSON,
    ("origin", "https://access.example.com"),
    ("sec-fetch-site", "same-site"),
];

/// Alice, logged in over IPv4 on a site with both names.
struct Alice {
    site: Site,
    seed: Seed,
    cookie: String,
}

impl Alice {
    async fn new() -> Self {
        Self::at_site("").await
    }

    /// `more` are keys of the portal.
    async fn at_site(more: &str) -> Self {
        let site = Site::new(&format!("{more}{NAMES}")).await;
        let (_, seed) = site.token("alice").await;
        let cookie = site.in_as("alice", &seed).await;
        Self { site, seed, cookie }
    }

    async fn ticket(&self) -> String {
        let got = self.send(Ask::post("/cross", &[]).with(&[JSON])).await;
        let ticket = word(&got, "ticket");
        assert_eq!(ticket.len(), 43, "{}", got.body);
        let to = word(&got, "to");
        assert_eq!(to, "https://v6.access.example.com/cross/arrive");
        ticket
    }

    async fn send(&self, ask: Ask<'_>) -> Got {
        self.site.send(ask.as_(&self.cookie)).await
    }

    /// At the other name; no cookie gets there.
    async fn arrive(&self, ticket: &str, from: &str) -> Got {
        let form = [("ticket", ticket)];
        let ask = Ask::post("/cross/arrive", &form);
        self.site.send(ask.from(from).with(FROM_PORTAL)).await
    }

    async fn come_back(&self, receipt: &str, from: &str) -> Value {
        let form = [("receipt", receipt)];
        let ask = Ask::post("/cross/return", &form).from(from).with(&[JSON]);
        serde_json::from_str(&self.send(ask).await.body).unwrap()
    }
}

fn word(got: &Got, name: &str) -> String {
    let document: Value = serde_json::from_str(&got.body).unwrap();
    document[name].as_str().unwrap_or_default().to_owned()
}

const V4_ONLY: [&str; 2] = ["files@192.0.2.7", "web@192.0.2.7"];
const BOTH: [&str; 4] = [
    "files@192.0.2.7",
    "files@2001:db8::7",
    "web@192.0.2.7",
    "web@2001:db8::7",
];

#[tokio::test]
async fn both_addresses_of_one_browser_join_the_same_grants() {
    let alice = Alice::new().await;
    let page = alice.send(Ask::page("/access")).await.body;
    assert!(page.contains("IPv4 open") && page.contains("IPv6 not proven"));
    let receipt = alice.arrive(&alice.ticket().await, SIX).await;
    assert_eq!(
        receipt.headers.get("access-control-allow-origin").unwrap(),
        "https://access.example.com"
    );
    assert_eq!(alice.site.agent.open(), V4_ONLY, "a ticket opens nothing");
    alice.site.clock.advance(60);
    let end = alice.come_back(&word(&receipt, "receipt"), SOURCE).await;
    assert_eq!(end["said"], "IPv6 open: web, files.", "{end}");
    assert_eq!(end["good"], true);
    assert_eq!(alice.site.agent.open(), BOTH);
    let asked = alice.site.agent.lengths();
    assert_eq!(
        asked.last().unwrap(),
        &Some(8 * 3600 - 60),
        "not for longer"
    );
    assert_eq!(alice.site.agent.outcomes().last().unwrap(), "joined");
    let page = alice.send(Ask::page("/access")).await.body;
    assert!(
        page.contains("IPv4 open") && page.contains("IPv6 open"),
        "{page}"
    );
    assert!(!page.contains("Open from other addresses"));
    // By either address of a name that has both, the cookie counts.
    let page = alice.send(Ask::page("/access").from(SIX)).await.body;
    assert!(!page.contains("Sign in again"), "{page}");
    let web = [("service", "web"), ("source", SOURCE)];
    alice.send(Ask::post("/access/close", &web)).await;
    let open = alice.site.agent.open();
    assert_eq!(open, ["files@192.0.2.7", "files@2001:db8::7"]);
    alice.send(Ask::post("/logoff", &[])).await;
    assert!(alice.site.agent.open().is_empty());
}

#[tokio::test]
async fn a_ticket_and_a_receipt_work_once_and_soon_and_over_their_family() {
    let alice = Alice::new().await;
    let ticket = alice.ticket().await;
    let refused = |got: &Got| serde_json::from_str::<Value>(&got.body).unwrap()["refused"] == true;
    assert!(refused(&alice.arrive(&ticket, "203.0.113.5").await), "IPv4");
    assert!(refused(&alice.arrive("", SIX).await));
    let receipt = word(&alice.arrive(&ticket, SIX).await, "receipt");
    assert!(refused(&alice.arrive(&ticket, SIX).await), "twice");
    assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], true);
    assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], false);
    let first = alice.ticket().await;
    let second = alice.ticket().await;
    assert!(refused(&alice.arrive(&first, SIX).await), "a newer one");
    alice.site.clock.advance(121);
    assert!(refused(&alice.arrive(&second, SIX).await), "too late");
    let receipt = word(&alice.arrive(&alice.ticket().await, SIX).await, "receipt");
    alice.site.clock.advance(121);
    assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], false);
}

/// The address is the one that used the ticket: whoever stole it must not get it opened.
#[tokio::test]
async fn a_stolen_ticket_opens_nothing_for_the_thief() {
    let alice = Alice::new().await;
    let (_, seed) = alice.site.token("bob").await;
    let bob = alice.site.in_as("bob", &seed).await;
    let before = alice.site.agent.open();
    let receipt = word(
        &alice.arrive(&alice.ticket().await, "2001:db8:bad::1").await,
        "receipt",
    );
    let form = [("receipt", receipt.as_str())];
    let ask = Ask::post("/cross/return", &form).with(&[JSON]);
    let got = alice.site.send(ask.as_(&bob)).await;
    assert_eq!(
        serde_json::from_str::<Value>(&got.body).unwrap()["good"],
        false
    );
    // Nor does the victim's own browser do it when the thief's page makes it post.
    for site in ["cross-site", "same-site"] {
        let evil = [
            ("origin", "https://evil.example.com"),
            ("sec-fetch-site", site),
        ];
        let ask = Ask::post("/cross/return", &form).with(&evil);
        assert_eq!(alice.send(ask).await.status, StatusCode::FORBIDDEN);
        let hidden = [("origin", "null"), ("sec-fetch-site", site)];
        let ask = Ask::post("/cross/return", &form).with(&hidden);
        assert_eq!(alice.send(ask).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(alice.site.agent.open(), before);
}

/// The reverse: the attacker's ticket in the victim's browser must not open the victim's address.
#[tokio::test]
async fn a_ticket_in_a_strangers_browser_opens_nothing() {
    let alice = Alice::new().await;
    let ticket = alice.ticket().await;
    let form = [("ticket", ticket.as_str())];
    let evil = [
        JSON,
        ("origin", "https://evil.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    let got = alice
        .site
        .send(Ask::post("/cross/arrive", &form).from(SIX).with(&evil))
        .await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(got.headers.get("access-control-allow-origin").is_none());
    let evil = [
        ("origin", "https://evil.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    let got = alice.send(Ask::post("/cross", &[]).with(&evil)).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert_eq!(alice.site.agent.open(), V4_ONLY);
}

#[tokio::test]
async fn a_cookie_that_came_to_another_network_proves_nothing_there() {
    let alice = Alice::new().await;
    let away = "203.0.113.5";
    let receipt = word(&alice.arrive(&alice.ticket().await, SIX).await, "receipt");
    let end = alice.come_back(&receipt, away).await;
    assert_eq!(end["good"], false, "{end}");
    assert_eq!(alice.site.agent.open(), V4_ONLY);
}

/// A name with both families lets the browser come back by the other one.
#[tokio::test]
async fn a_browser_that_changed_family_proves_the_first_one_again() {
    let alice = Alice::new().await;
    let got = alice
        .send(Ask::post("/cross", &[]).from(SIX).with(&[JSON]))
        .await;
    assert_eq!(
        word(&got, "to"),
        "https://v4.access.example.com/cross/arrive"
    );
    let receipt = word(
        &alice.arrive(&word(&got, "ticket"), SOURCE).await,
        "receipt",
    );
    let end = alice.come_back(&receipt, SIX).await;
    assert_eq!(end["said"], "IPv6 open: web, files.");
    assert_eq!(alice.site.agent.open(), BOTH);
}

#[tokio::test]
async fn another_address_takes_the_place_of_the_first_where_access_may_follow() {
    let alice = Alice::at_site("follow = \"move\"\n").await;
    for address in [SIX, "2001:db8::8"] {
        let receipt = word(
            &alice.arrive(&alice.ticket().await, address).await,
            "receipt",
        );
        assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], true);
    }
    let open = alice.site.agent.open();
    assert!(!open.contains(&"web@2001:db8::7".to_owned()), "{open:?}");
    assert!(open.contains(&"web@2001:db8::8".to_owned()), "{open:?}");
}

/// Behind a carrier's NAT the IPv4 address may change while the IPv6 one stays.
#[tokio::test]
async fn another_address_of_the_first_family_takes_its_place_too() {
    let alice = Alice::at_site("follow = \"move\"\n").await;
    let receipt = word(&alice.arrive(&alice.ticket().await, SIX).await, "receipt");
    assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], true);
    let ask = Ask::post("/cross", &[]).from(SIX).with(&[JSON]);
    let ticket = word(&alice.send(ask).await, "ticket");
    let receipt = word(&alice.arrive(&ticket, "192.0.2.8").await, "receipt");
    let end = alice.come_back(&receipt, SIX).await;
    assert_eq!(end["said"], "IPv4 open: web, files.", "{end}");
    let open = alice.site.agent.open();
    let expected = [
        "files@192.0.2.8",
        "files@2001:db8::7",
        "web@192.0.2.8",
        "web@2001:db8::7",
    ];
    assert_eq!(open, expected);
}

/// Who has somebody's cookie, and may send from their address, must not take it elsewhere by
/// crossing: to exchange an address is to follow.
#[tokio::test]
async fn an_address_is_not_exchanged_by_crossing_where_access_may_not_follow() {
    for policy in ["", "follow = \"code\"\n"] {
        let alice = Alice::at_site(policy).await;
        let receipt = word(&alice.arrive(&alice.ticket().await, SIX).await, "receipt");
        assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], true);
        let other = alice.ticket().await;
        let receipt = word(&alice.arrive(&other, "2001:db8::8").await, "receipt");
        assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], false);
        let ask = Ask::post("/cross", &[]).from(SIX).with(&[JSON]);
        let ticket = word(&alice.send(ask).await, "ticket");
        let receipt = word(&alice.arrive(&ticket, "192.0.2.8").await, "receipt");
        assert_eq!(alice.come_back(&receipt, SIX).await["good"], false);
        assert_eq!(alice.site.agent.open(), BOTH, "{policy}");
    }
}

#[tokio::test]
async fn a_log_in_that_is_not_fresh_takes_no_second_address() {
    let alice = Alice::new().await;
    alice.site.clock.advance(16 * 60);
    let receipt = word(&alice.arrive(&alice.ticket().await, SIX).await, "receipt");
    assert_eq!(alice.come_back(&receipt, SOURCE).await["good"], false);
    assert_eq!(alice.site.agent.open(), V4_ONLY);
}

/// Requests that were held back all see the cookie as it was; only one of them may act on it.
#[tokio::test]
async fn many_crossings_at_once_open_one_address_of_a_family() {
    let alice = Alice::new().await;
    let value = alice.cookie.split_once('=').unwrap().1;
    let portal = &alice.site.portal;
    let (limits, now) = (&portal.config.limits, portal.now());
    let before = LiveCookie::find(&portal.store, limits, value, now)
        .await
        .unwrap()
        .unwrap();
    let here = ClientAddr::kept(SOURCE).unwrap();
    let mut joined = 0;
    for last in 1..=5 {
        let ticket = alice.ticket().await;
        let from = format!("2001:db8::{last}");
        let receipt = word(&alice.arrive(&ticket, &from).await, "receipt");
        let back = portal.come_back(&before, here, &receipt, "R").await;
        joined += u32::from(matches!(back.unwrap(), Back::Joined(..)));
    }
    assert_eq!(joined, 1);
    let open = alice.site.agent.open();
    let six = open.iter().filter(|held| held.contains("2001:db8::"));
    assert_eq!(six.count(), 2, "{open:?}");
    // A move that saw the cookie before does not leave that address behind, open.
    let to = ClientAddr::kept("203.0.113.5").unwrap();
    let moved = before.move_to(&portal.store, to, MoveProof::Code).await;
    assert!(moved.unwrap().is_none());
}

#[tokio::test]
async fn a_crossing_ends_with_its_log_in() {
    let alice = Alice::new().await;
    let receipt = word(&alice.arrive(&alice.ticket().await, SIX).await, "receipt");
    alice.send(Ask::post("/logoff", &[])).await;
    alice.site.clock.advance(30);
    let cookie = alice.site.in_as("alice", &alice.seed).await;
    let form = [("receipt", receipt.as_str())];
    let ask = Ask::post("/cross/return", &form).with(&[JSON]);
    let got = alice.site.send(ask.as_(&cookie)).await;
    assert_eq!(
        serde_json::from_str::<Value>(&got.body).unwrap()["good"],
        false
    );
    assert_eq!(alice.site.agent.open(), V4_ONLY);
}

#[tokio::test]
async fn without_scripts_buttons_do_the_same() {
    let alice = Alice::new().await;
    let go = alice.send(Ask::post("/cross", &[])).await;
    assert_eq!(go.headers.get("referrer-policy").unwrap(), "strict-origin");
    assert!(
        go.body
            .contains("action=\"https://v6.access.example.com/cross/arrive\"")
    );
    let form = [("ticket", go.between("name=\"ticket\" value=\"", "\""))];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let origin = [
        ("origin", "https://access.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    let ask = Ask::post("/cross/arrive", &form).from(SIX).with(&origin);
    let seen = alice.site.send(ask).await.body;
    assert!(
        seen.contains("The portal sees you at 2001:db8::7"),
        "{seen}"
    );
    assert!(seen.contains("action=\"https://access.example.com/cross/return\""));
    let receipt = seen.split("name=\"receipt\" value=\"").nth(1).unwrap();
    let receipt = receipt.split('"').next().unwrap();
    let origin = [
        ("origin", "https://v6.access.example.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    let form = [("receipt", receipt)];
    // From another site, browsers keep the cookie back.
    let sure = alice
        .site
        .send(Ask::post("/cross/return", &form).with(&origin))
        .await;
    assert!(
        sure.body.contains("Open from your other address"),
        "{}",
        sure.body
    );
    assert_eq!(alice.site.agent.open(), V4_ONLY);
    let form = [("receipt", receipt), ("asked", "yes")];
    let own = [("origin", "null"), ("sec-fetch-site", "same-origin")];
    let end = alice
        .send(Ask::post("/cross/return", &form).with(&own))
        .await;
    assert_eq!(end.status, StatusCode::SEE_OTHER);
    assert_eq!(alice.site.agent.open(), BOTH);
    let page = alice.send(Ask::page(end.to())).await.body;
    assert!(page.contains("IPv6 open: web, files."), "{page}");
    let out = Ask::post("/cross/return", &form).with(&own);
    assert_eq!(alice.site.send(out).await.to(), "/?say=again", "no cookie");
}

#[tokio::test]
async fn the_script_goes_by_itself_after_opening_only() {
    let alice = Alice::new().await;
    let got = alice.send(Ask::post("/access/extend", &[])).await;
    let page = alice.send(Ask::page(got.to())).await.body;
    assert!(page.contains(" data-auto"), "{page}");
    assert!(
        !alice
            .send(Ask::page("/access"))
            .await
            .body
            .contains(" data-auto")
    );
    let policy = "connect-src 'self' https://v4.access.example.com \
                  https://v6.access.example.com https://access.example.com; form-action";
    let got = alice.send(Ask::page("/access")).await;
    let csp = got.headers.get("content-security-policy").unwrap();
    assert!(csp.to_str().unwrap().contains(policy), "{csp:?}");
}

#[tokio::test]
async fn without_names_nothing_of_this_is_there() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    for path in ["/cross", "/cross/arrive", "/cross/return"] {
        let got = site.send(Ask::post(path, &[]).as_(&cookie)).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
    }
    let got = site.send(Ask::page("/access").as_(&cookie)).await;
    assert!(!got.body.contains("data-cross"));
    let csp = got.headers.get("content-security-policy").unwrap();
    let own = "connect-src 'self'; form-action 'self';";
    assert!(csp.to_str().unwrap().contains(own));
}
