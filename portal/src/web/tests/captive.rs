//! The status document: what it says of an address, and that it says nothing it does not know.

use std::sync::atomic::Ordering;

use http::StatusCode;
use serde_json::{Value, json};

use crate::testing::{Ask, Got, Site};

fn document(got: &Got) -> Value {
    let kind = got.headers.get("content-type").unwrap();
    assert_eq!(kind, "application/captive+json");
    assert_eq!(got.headers.get("cache-control").unwrap(), "no-store");
    serde_json::from_str(&got.body).unwrap()
}

#[tokio::test]
async fn an_address_is_captive_until_it_is_open_and_others_stay_so() {
    let site = Site::new("public_url = \"https://access.example.com/\"\n").await;
    let (_, seed) = site.token("alice").await;
    let shut = json!({
        "captive": true,
        "user-portal-url": "https://access.example.com",
        "can-extend-session": false,
    });
    assert_eq!(document(&site.send(Ask::page("/captive")).await), shut);
    let cookie = site.in_as("alice", &seed).await;
    let open = json!({
        "captive": false,
        "user-portal-url": "https://access.example.com",
        "seconds-remaining": 8 * 3600,
        "can-extend-session": true,
    });
    // No cookie: it is the address that is asked about.
    assert_eq!(document(&site.send(Ask::page("/captive")).await), open);
    let other = site.send(Ask::page("/captive").from("203.0.113.5")).await;
    assert_eq!(document(&other), shut);
    site.send(Ask::post("/access/close", &[]).as_(&cookie))
        .await;
    assert_eq!(document(&site.send(Ask::page("/captive")).await), shut);
}

#[tokio::test]
async fn what_the_kernel_does_not_hold_is_not_open() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    site.agent.lies.store(true, Ordering::SeqCst);
    let cookie = site.in_as("alice", &seed).await;
    let got = document(&site.send(Ask::page("/captive")).await);
    assert_eq!(got["captive"], true);
    let page = site.send(Ask::page("/access").as_(&cookie)).await.body;
    assert!(!page.contains("data-deadline"), "{page}");
    assert!(page.contains("name=\"service\" value=\"web\" checked"));
}

#[tokio::test]
async fn while_the_agent_is_down_nothing_is_guessed() {
    let site = Site::new("").await;
    site.agent.set_down(true);
    let got = site.send(Ask::page("/captive")).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (
            got.body.as_str(),
            got.headers.get("retry-after").unwrap().to_str().unwrap()
        ),
        ("agent\n", "5")
    );
}
