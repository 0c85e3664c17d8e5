//! Exceptions: what they open, from where, until when, and what ends them.

use http::StatusCode;

use super::*;
use crate::{
    lockout::{Depth, LockOut, Means},
    testing::{Ask, NOW, Site},
};

async fn except(site: &Site, service: &str, sources: &str, seconds: i64) -> String {
    let now = site.clock.now().as_second();
    let row = ExceptionRow {
        id: crate::random::id('e'),
        user_id: "u-alice".into(),
        user_name: "alice".into(),
        service: service.into(),
        sources: sources.into(),
        reason: "her phone is being repaired".into(),
        approver: "carol".into(),
        made: now,
        made_by: "uid 0".into(),
        ends: now + seconds,
        ended: None,
        ended_by: None,
    };
    site.portal.store.add_exception(&row).await.unwrap();
    row.id
}

const RIGHT: &str = "password of alice";

#[tokio::test]
async fn an_exception_opens_its_service_from_its_network_with_the_password_until_its_end() {
    let site = Site::new("").await;
    except(&site, "web", "192.0.2.0/24", 3600).await;
    let got = site.log_in("alice", RIGHT, "").await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
    assert_eq!(site.agent.open(), ["web@192.0.2.7"], "and nothing else");
    assert_eq!(site.agent.lengths(), [Some(3600)], "not beyond its end");
    let cookie = got.cookie().unwrap();
    let enrol = site
        .send(Ask::post("/devices/enrol", &[]).as_(&cookie))
        .await;
    assert!(enrol.to().starts_with("/devices?n="), "it changes no token");
    site.clock.advance(1800);
    let form = [("service", "web")];
    site.send(Ask::post("/access/extend", &form).as_(&cookie))
        .await;
    assert_eq!(
        site.agent.lengths().last(),
        Some(&Some(1800)),
        "extending neither"
    );
}

#[tokio::test]
async fn a_wrong_password_another_network_and_a_time_that_is_over_open_nothing() {
    let site = Site::new("").await;
    except(&site, "web", "198.51.100.0/24", 3600).await;
    let refused = StatusCode::UNAUTHORIZED;
    assert_eq!(site.log_in("alice", RIGHT, "").await.status, refused);
    let form = [("username", "alice"), ("password", "another")];
    let there = Ask::post("/login", &form).from("198.51.100.9");
    assert_eq!(site.send(there).await.status, refused);
    site.clock.advance(3600);
    let form = [("username", "alice"), ("password", RIGHT)];
    let there = Ask::post("/login", &form).from("198.51.100.9");
    assert_eq!(site.send(there).await.status, refused);
    let bob = [("username", "bob"), ("password", "password of bob")];
    let there = Ask::post("/login", &bob).from("198.51.100.9");
    assert_eq!(site.send(there).await.status, refused, "nobody else's");
    assert!(site.agent.open().is_empty());
}

#[tokio::test]
async fn the_group_is_still_asked_for() {
    let site = Site::new("").await;
    except(&site, "ssh", "192.0.2.0/24", 3600).await;
    site.log_in("alice", RIGHT, "").await;
    assert!(site.agent.open().is_empty(), "ssh is for admins");
}

#[tokio::test]
async fn at_its_end_the_log_in_that_stood_on_it_ends_too() {
    let site = Site::new("").await;
    let id = except(&site, "web", "192.0.2.0/24", 600).await;
    let cookie = site.log_in("alice", RIGHT, "").await.cookie().unwrap();
    site.clock.advance(600);
    site.portal.look_after_exceptions().await.unwrap();
    let page = site.send(Ask::page("/access").as_(&cookie)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let rows = site.portal.store.exceptions(Some("alice")).await.unwrap();
    assert_eq!(rows[0].ended, Some(NOW + 600));
    assert_eq!(rows[0].ended_by.as_deref(), Some("its end"));
    assert_eq!(site.agent.outcomes().last().unwrap(), "exception-ended");
    assert!(
        site.portal
            .store
            .end_exception(&id, "uid 0", NOW + 601)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_lock_out_ends_exceptions_in_both_depths() {
    for depth in [Depth::Revoke, Depth::Suspend] {
        let site = Site::new("").await;
        except(&site, "web", "192.0.2.0/24", 3600).await;
        let portal = &site.portal;
        let means = Means {
            store: &portal.store,
            grants: portal.grants.as_ref(),
            audit: &portal.audit,
            now: portal.now(),
        };
        let lock_out = LockOut {
            id: Some("u-alice"),
            name: "alice",
            depth,
            outcome: "ok",
            reason: "a test",
            request_id: None,
        };
        lock_out.carry_out(means).await.unwrap();
        let got = site.log_in("alice", RIGHT, "").await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{depth:?}");
    }
}

#[tokio::test]
async fn its_end_is_announced_once_and_a_short_one_not_at_all() {
    let site = Site::new("[exceptions]\nreminder = \"1h\"\n").await;
    let long = except(&site, "web", "192.0.2.0/24", 7200).await;
    except(&site, "files", "192.0.2.0/24", 1800).await;
    let remind = async |after: i64| {
        let now = NOW + after;
        let rows = site
            .portal
            .store
            .remind_of_exceptions(now + 3600, now)
            .await;
        rows.unwrap()
            .into_iter()
            .map(|row| row.id)
            .collect::<Vec<_>>()
    };
    assert!(remind(0).await.is_empty());
    assert_eq!(remind(3600).await, [long]);
    assert!(remind(3700).await.is_empty());
}

#[test]
fn networks_are_named_and_nothing_is_everywhere_by_mistake() {
    assert!("".parse::<Sources>().is_err());
    assert!("any".parse::<Sources>().is_err());
    assert!("192.0.2.0/33".parse::<Sources>().is_err());
    let some: Sources = "192.0.2.7 2001:db8::/32".parse().unwrap();
    assert!(some.covers("192.0.2.7".parse().unwrap()));
    assert!(!some.covers("192.0.2.8".parse().unwrap()));
    assert!(some.covers("2001:db8::1".parse().unwrap()));
    assert_eq!(some.to_string().parse::<Sources>().unwrap(), some);
    assert!(Sources::any().covers("203.0.113.1".parse().unwrap()));
}

#[tokio::test]
async fn a_log_in_by_an_exception_forgives_no_guessed_codes() {
    let site = Site::new("").await;
    site.token("alice").await;
    except(&site, "web", "192.0.2.0/24", 36_000).await;
    let mut waits = 0;
    for _ in 0..6 {
        let guess = site.log_in("alice", RIGHT, "000000").await;
        waits += i32::from(guess.status == StatusCode::TOO_MANY_REQUESTS);
        site.log_in("alice", RIGHT, "").await;
        site.clock.advance(1);
    }
    assert!(waits > 0, "codes can be guessed without end");
}
