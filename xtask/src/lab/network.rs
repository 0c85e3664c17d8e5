//! Makes the namespaces, cables and addresses of a layout.

use anyhow::Result;

use super::layout::{ETH, INNER, Layout, OUTER, Pair, Topology};
use crate::net::Namespace;

pub(super) fn create(layout: &Layout) -> Result<()> {
    for namespace in [
        &layout.client,
        &layout.neighbour,
        &layout.gate,
        &layout.wire,
    ] {
        namespace.create()?;
    }
    // The wire is a switch: it has no address and says nothing itself.
    layout
        .wire
        .sysctl(&[("net.ipv6.conf.all.disable_ipv6", "1")])?;
    layout.wire.ip([
        "link add switch type bridge stp_state 0 forward_delay 0",
        "link set switch up",
    ])?;
    let plugs = [
        ("to-client", &layout.client, ETH, layout.client_at),
        ("to-neighbour", &layout.neighbour, ETH, layout.neighbour_at),
        ("to-gate", &layout.gate, OUTER, layout.gate_at),
    ];
    for (plug, namespace, interface, at) in plugs {
        layout.wire.cable(plug, namespace, interface)?;
        layout
            .wire
            .ip([format!("link set {plug} master switch").as_str()])?;
        addresses(namespace, interface, at)?;
    }
    if layout.topology == Topology::Gateway {
        behind_the_gate(layout)?;
    }
    Ok(())
}

fn behind_the_gate(layout: &Layout) -> Result<()> {
    layout.server.create()?;
    layout.gate.cable(INNER, &layout.server, ETH)?;
    addresses(&layout.gate, INNER, layout.gate_inner_at)?;
    addresses(&layout.server, ETH, layout.server_at)?;
    layout.gate.sysctl(&[
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv6.conf.all.forwarding", "1"),
    ])?;
    for (namespace, gateway) in [
        (&layout.client, layout.gate_at),
        (&layout.neighbour, layout.gate_at),
        (&layout.server, layout.gate_inner_at),
    ] {
        namespace.ip([
            format!("route add default via {}", gateway.v4).as_str(),
            format!("route add default via {}", gateway.v6).as_str(),
        ])?;
    }
    Ok(())
}

fn addresses(namespace: &Namespace, interface: &str, at: Pair) -> Result<()> {
    namespace.ip([
        format!("address add {}/24 dev {interface}", at.v4).as_str(),
        format!("address add {}/64 dev {interface} nodad", at.v6).as_str(),
    ])
}
