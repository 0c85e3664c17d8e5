//! Rates, waits and spraying at chosen moments.

use jiff::Timestamp;

use super::{spray::SprayKind, *};

fn clock() -> Clock {
    Clock::fixed(Timestamp::from_second(1_700_000_000).unwrap())
}

fn source(text: &str) -> SourceKey {
    SourceKey::of(text.parse().unwrap())
}

#[test]
fn a_source_has_ten_attempts_a_minute_and_sixty_an_hour() {
    let clock = clock();
    let rates = Rates::new(&config::Limits::default(), clock.clone());
    let one = source("192.0.2.1");
    let mut allowed = 0;
    for _ in 0..60 {
        while rates.count(one).is_ok() {
            allowed += 1;
            assert!(allowed <= 120, "no limit at all");
        }
        clock.advance(60);
    }
    // 60 at once plus what an hour refills, and never more than ten in one minute.
    assert!((60..=120).contains(&allowed), "{allowed}");
    let rates = Rates::new(&config::Limits::default(), clock);
    assert_eq!((0..50).filter(|_| rates.count(one).is_ok()).count(), 10);
    assert!(
        rates.count(source("192.0.2.2")).is_ok(),
        "another source is not held back"
    );
}

#[test]
fn a_refused_source_is_told_how_long_to_wait() {
    let clock = clock();
    let rates = Rates::new(&config::Limits::default(), clock.clone());
    let one = source("192.0.2.1");
    let wait = (0..11).find_map(|_| rates.count(one).err()).unwrap().wait();
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
    clock.advance(i64::try_from(wait.as_secs()).unwrap() + 1);
    assert!(rates.count(one).is_ok());
}

#[test]
fn an_ipv6_64_is_one_source_and_a_mapped_address_is_ipv4() {
    assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
    assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
    assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
}

#[test]
fn memory_for_sources_is_bounded() {
    let limits: config::Limits =
        toml::from_str("sources_remembered = 1000\nglobal_per_minute = 1000000").unwrap();
    let rates = Rates::new(&limits, clock());
    for n in 0..5_000_u32 {
        let _ = rates.count(SourceKey::of(IpAddr::V4(n.into())));
    }
    assert_eq!(rates.remembered(), 1_000);
}

#[test]
fn everybody_together_is_limited_too() {
    let limits: config::Limits = toml::from_str("global_per_minute = 10").unwrap();
    let rates = Rates::new(&limits, clock());
    let allowed =
        (0..100_u32).filter(|n| rates.count(SourceKey::of(IpAddr::V4((*n).into()))).is_ok());
    assert_eq!(allowed.count(), 10);
}

#[test]
fn waits_start_after_three_failures_and_double_to_a_quarter_of_an_hour() {
    let backoff = Backoff::new(&config::Limits::default());
    let waits: Vec<i64> = (0..14)
        .map(|failures| backoff.wait_after(failures))
        .collect();
    assert_eq!(
        waits,
        [0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
    );
    assert_eq!(backoff.wait_after(1_000_000), 900);
    assert!(!backoff.is_exhausted(99));
    assert!(backoff.is_exhausted(100));
}

#[test]
fn spraying_is_told_once_per_window_on_both_axes() {
    let spray = Spray::new(&config::Limits::default());
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let later = Timestamp::from_second(1_700_000_600).unwrap();
    let one = source("192.0.2.1");
    let told: Vec<_> = (0..40)
        .flat_map(|n| spray.note(one, &format!("user{n}"), now))
        .collect();
    assert_eq!(told, [SprayKind::ManyUsersFromOneSource]);
    let told: Vec<_> = (0..40_u32)
        .flat_map(|n| spray.note(SourceKey::of(IpAddr::V4(n.into())), "alice", now))
        .collect();
    assert_eq!(told, [SprayKind::OneUserFromManySources]);
    let told: Vec<_> = (0..40)
        .flat_map(|n| spray.note(one, &format!("user{n}"), later))
        .collect();
    assert_eq!(told, [SprayKind::ManyUsersFromOneSource]);
}

#[test]
fn one_user_failing_often_from_one_place_is_no_spraying() {
    let spray = Spray::new(&config::Limits::default());
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    for _ in 0..100 {
        assert!(spray.note(source("192.0.2.1"), "alice", now).is_empty());
    }
}

fn shield(text: &str) -> Option<Shield> {
    let shield: config::Shield = toml::from_str(text).unwrap();
    Shield::new(&shield, &config::Limits::default())
}

#[test]
fn a_source_that_goes_on_though_it_must_wait_is_named_once() {
    let shield = shield("after = 3").unwrap();
    let (one, now) = (source("2001:db8::1"), Timestamp::UNIX_EPOCH);
    let named: Vec<_> = (0..7).filter_map(|_| shield.note(one, now)).collect();
    let prefix: ipnet::IpNet = "2001:db8::/64".parse().unwrap();
    assert_eq!(named, [prefix, prefix], "every third time");
    assert_eq!(shield.note(source("192.0.2.1"), now), None);
}

#[test]
fn a_source_that_is_refused_now_and_then_is_not_named() {
    let shield = shield("after = 3").unwrap();
    let one = source("192.0.2.1");
    for minute in 0..60 {
        let now = Timestamp::from_second(minute * 400).unwrap();
        assert_eq!(shield.note(one, now), None);
    }
}

#[test]
fn what_is_spared_is_never_named_and_the_shield_can_be_off() {
    let spared = shield("after = 3\nspare = [\"192.0.2.0/24\", \"2001:db8::9/128\"]").unwrap();
    for _ in 0..9 {
        for text in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(spared.note(source(text), Timestamp::UNIX_EPOCH), None);
        }
    }
    assert!(shield("enabled = false").is_none());
}
