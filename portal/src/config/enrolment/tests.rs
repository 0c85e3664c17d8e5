//! Days, hours and networks: what is read, what is refused, and which moment lies within.

use super::*;

fn read(text: &str) -> Result<Enrolment, String> {
    let read: Enrolment = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    read.check().map_err(|(_, text)| text)?;
    Ok(read)
}

fn at(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

const OFFICE: &str = "networks = [\"192.0.2.0/24\", \"2001:db8::/32\"]\nhours = [\"mon-fri 08:00-18:00\", \"sat 09:00-12:00\"]";

#[test]
fn hours_are_those_of_the_portal_s_zone() {
    let office = read(OFFICE).unwrap();
    let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
    let from = "192.0.2.7".parse().ok();
    // 2026-11-27 is a Friday.
    for (moment, zone, expected) in [
        ("2026-11-27T07:59:59Z", TimeZone::UTC, Err(Unfit::Time)),
        ("2026-11-27T08:00:00Z", TimeZone::UTC, Ok(())),
        ("2026-11-27T17:59:59Z", TimeZone::UTC, Ok(())),
        ("2026-11-27T18:00:00Z", TimeZone::UTC, Err(Unfit::Time)),
        ("2026-11-26T23:00:00Z", tokyo.clone(), Ok(())),
        ("2026-11-27T09:00:00Z", tokyo.clone(), Err(Unfit::Time)),
        ("2026-11-28T00:30:00Z", tokyo, Ok(())),
        ("2026-11-28T11:59:00Z", TimeZone::UTC, Ok(())),
        ("2026-11-29T11:00:00Z", TimeZone::UTC, Err(Unfit::Time)),
    ] {
        let admitted = office.admits(Origin::Ticket, from, at(moment), &zone);
        assert_eq!(admitted, expected, "{moment}");
    }
}

#[test]
fn place_and_time_both_count_and_recovery_does_not_unless_named() {
    let office = read(OFFICE).unwrap();
    let (noon, night) = (at("2026-11-27T12:00:00Z"), at("2026-11-27T23:00:00Z"));
    let admits = |settings: &Enrolment, way, from: &str, now| {
        settings.admits(way, from.parse().ok(), now, &TimeZone::UTC)
    };
    assert_eq!(
        admits(&office, Origin::OwnPage, "2001:db8::1", noon),
        Ok(())
    );
    assert_eq!(
        admits(&office, Origin::FirstLogin, "198.51.100.1", noon),
        Err(Unfit::Place)
    );
    assert_eq!(
        admits(&office, Origin::OwnPage, "198.51.100.1", night),
        Err(Unfit::Both)
    );
    assert_eq!(
        admits(&office, Origin::OwnPage, "", noon),
        Err(Unfit::Place)
    );
    assert_eq!(
        admits(&office, Origin::Recovery, "198.51.100.1", night),
        Ok(())
    );
    let all = read(&format!("{OFFICE}\ncovers = [\"recovery\"]")).unwrap();
    assert_eq!(
        admits(&all, Origin::Recovery, "192.0.2.1", night),
        Err(Unfit::Time)
    );
    assert_eq!(admits(&all, Origin::Ticket, "192.0.2.1", night), Ok(()));
    let none = read("").unwrap();
    assert_eq!(admits(&none, Origin::Ticket, "", night), Ok(()));
}

#[test]
fn days_go_round_the_week_and_midnight_ends_a_day() {
    let hours = |text: &str| Hours::try_from(text.to_owned());
    let late = hours("Fri-Mon 22:00-24:00").unwrap();
    for (day, holds) in [
        (Weekday::Friday, true),
        (Weekday::Sunday, true),
        (Weekday::Monday, true),
        (Weekday::Tuesday, false),
        (Weekday::Thursday, false),
    ] {
        assert_eq!(late.hold(day, DAY - 1), holds, "{day:?}");
    }
    assert!(!late.hold(Weekday::Friday, 22 * 60 - 1));
    let some = hours("mon,wed 00:00-00:01").unwrap();
    assert!(some.hold(Weekday::Wednesday, 0) && !some.hold(Weekday::Tuesday, 0));
    assert_eq!(late.clock(), ("22:00".into(), "24:00".into()));
}

#[test]
fn what_is_no_day_hour_network_or_way_is_refused() {
    for (text, what) in [
        ("hours = [\"mon-fri\"]", "write \"mon-fri 08:00-18:00\""),
        ("hours = [\"weekdays 08:00-18:00\"]", "no days and hours"),
        ("hours = [\"mon 8-18\"]", "no days and hours"),
        ("hours = [\"mon 08:00-24:01\"]", "no days and hours"),
        ("hours = [\"mon 08:60-18:00\"]", "no days and hours"),
        ("hours = [\"mon +8:00-18:00\"]", "no days and hours"),
        ("hours = [\"mon, 08:00-18:00\"]", "no days and hours"),
        ("hours = [\"fri 22:00-06:00\"]", "two entries"),
        ("hours = [\"fri 08:00-08:00\"]", "ends before"),
        ("networks = [\"192.0.2.0/33\"]", "invalid IP"),
        ("covers = [\"imports\"]", "unknown variant"),
        ("covers = []", "at least one"),
        ("days = [\"mon\"]", "unknown field"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(what), "{text}: {error}");
    }
}
