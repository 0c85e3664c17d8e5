//! Makes the namespaces, cables and addresses of a layout.

use anyhow::Result;

use super::layout::{BRIDGE, ETH, INNER, Layout, OUTER, Pair, Topology};
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
    if layout.server != layout.gate {
        layout.server.create()?;
        layout.gate.cable(INNER, &layout.server, ETH)?;
    }
    // The wire has no address and says nothing itself.
    layout
        .wire
        .sysctl(&[("net.ipv6.conf.all.disable_ipv6", "1")])?;
    layout.wire.bridge("switch", &[])?;
    for (plug, namespace, interface) in [
        ("to-client", &layout.client, ETH),
        ("to-neighbour", &layout.neighbour, ETH),
        ("to-gate", &layout.gate, OUTER),
    ] {
        layout.plug(plug, namespace, interface)?;
    }
    if layout.topology == Topology::Bridge {
        layout.gate.bridge(BRIDGE, &[OUTER, INNER])?;
    }
    for (namespace, interface, at) in layout.places() {
        addresses(namespace, interface, at)?;
    }
    if layout.topology == Topology::Gateway {
        routes(layout)?;
    }
    Ok(())
}

/// Joins an interface to the wire, at a plug of this name.
pub(super) fn plug(
    layout: &Layout,
    plug: &str,
    namespace: &Namespace,
    interface: &str,
) -> Result<()> {
    layout.wire.cable(plug, namespace, interface)?;
    layout
        .wire
        .ip([format!("link set {plug} master switch").as_str()])
}

fn routes(layout: &Layout) -> Result<()> {
    layout.gate.forward()?;
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

/// Gives an interface both addresses, usable at once.
pub(super) fn addresses(namespace: &Namespace, interface: &str, at: Pair) -> Result<()> {
    namespace.ip([
        format!("address add {}/24 dev {interface}", at.v4).as_str(),
        format!("address add {}/64 dev {interface} nodad", at.v6).as_str(),
    ])
}
