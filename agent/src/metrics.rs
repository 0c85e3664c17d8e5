//! Status and counters in the OpenMetrics text format.

use agent_api::{Counters, Mode, Status};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What the format is called in a header.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InterfaceLabels {
    interface: String,
    xdp_mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FamilyLabels {
    family: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: String,
    action: String,
}

/// Everything as of now; nothing is kept between scrapes.
pub fn text(status: &Status, counters: &Counters) -> String {
    let mut registry = Registry::with_prefix("sekisho");
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let gauge = |value: i64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        gauge
    };
    let flag = |on: bool| gauge(i64::from(on));
    registry.register(
        "enforcing",
        "1: drops are carried out",
        flag(status.mode == Mode::Enforce),
    );
    registry.register(
        "lockdown",
        "1: no grant admits a packet",
        flag(status.lockdown),
    );
    registry.register(
        "services",
        "Services configured",
        gauge(signed(status.services)),
    );
    registry.register(
        "holders",
        "Holders of grants",
        gauge(signed(status.holders)),
    );
    registry.register(
        "denied_prefixes",
        "Deny prefixes",
        gauge(signed(status.denied)),
    );
    registry.register(
        "warnings",
        "Things to look at",
        gauge(signed(status.warnings.len() as u64)),
    );
    let interfaces = Family::<InterfaceLabels, Gauge>::default();
    for interface in &status.interfaces {
        let labels = InterfaceLabels {
            interface: interface.name.clone(),
            xdp_mode: interface.xdp_mode.name().into(),
        };
        let attached = i64::from(interface.attached);
        interfaces.get_or_create(&labels).set(attached);
    }
    registry.register("attached", "1: the filter is on this interface", interfaces);
    let reattached: Counter = Counter::default();
    reattached.inc_by(status.reattached);
    registry.register(
        "reattached",
        "Times that an interface got the filter back",
        reattached,
    );
    let (used, capacity) = (Family::<FamilyLabels, Gauge>::default(), Family::default());
    for (family, fill) in [("ipv4", status.grants_v4), ("ipv6", status.grants_v6)] {
        let labels = FamilyLabels {
            family: family.into(),
        };
        used.get_or_create(&labels).set(signed(fill.used));
        let capacity: &Family<FamilyLabels, Gauge> = &capacity;
        capacity.get_or_create(&labels).set(signed(fill.capacity));
    }
    registry.register("grants", "Open grants", used);
    registry.register("grants_capacity", "Most grants that fit", capacity);
    let (packets, would_drop) = (
        Family::<ReasonLabels, Counter>::default(),
        Family::default(),
    );
    for counter in &counters.counters {
        let labels = ReasonLabels {
            reason: counter.reason.clone(),
            action: counter.action.clone(),
        };
        packets.get_or_create(&labels).inc_by(counter.packets);
        let would_drop: &Family<ReasonLabels, Counter> = &would_drop;
        would_drop.get_or_create(&labels).inc_by(counter.would_drop);
    }
    registry.register("packets", "Packets by reason", packets);
    registry.register(
        "would_drop_packets",
        "Packets that only observe mode let pass",
        would_drop,
    );
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut out, &registry);
    out
}
