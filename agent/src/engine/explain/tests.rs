//! The packet is the one that was asked about, and the answer is put into words.

use filter_abi::{Impact as Counted, ImpactKey};

use super::*;
use crate::{
    engine::tests::world::{ROOT, World, ask},
    kernel::Probed,
};

fn request(source: &str, destination: &str, protocol: &str, port: Option<u16>) -> ExplainRequest {
    ExplainRequest {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol: protocol.into(),
        port,
        vlan: Vec::new(),
    }
}

async fn world() -> World {
    let world = World::new().await;
    let interface = agent_api::Interface {
        name: "eth0".into(),
        index: 1,
        xdp_mode: agent_api::XdpMode::Native,
        program_id: 7,
        attached: true,
    };
    world.engine.attached(vec![interface], false);
    world
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_to_do_about_it() {
    let world = world().await;
    let web = world.engine.state().ids["web"];
    world.maps.table().answer = Probed {
        passes: false,
        reason: Reason::NoGrant as u32,
        service: web,
    };
    let asked = request("192.0.2.7", "198.51.100.10", "tcp", Some(80));
    let explained = world.engine.explain(&asked).await.unwrap();
    assert_eq!(explained.reason, "NoGrant");
    assert_eq!(explained.service.as_deref(), Some("web"));
    assert!(explained.would_open[0].contains("staff"), "{explained:?}");
    assert!(
        explained.would_open[1].contains("--service web"),
        "{explained:?}"
    );
    let frame = world.maps.table().probed.clone();
    assert_eq!(frame[12..14], [8, 0]);
    assert_eq!(frame[26..34], [192, 0, 2, 7, 198, 51, 100, 10]);
    assert_eq!(frame[36..38], 80u16.to_be_bytes());
    assert_eq!(frame[47], 2, "a SYN");
}

#[tokio::test]
async fn the_grant_and_its_holders_are_named() {
    let world = world().await;
    let web = world.engine.state().ids["web"];
    world
        .engine
        .open(&ROOT, ask("192.0.2.7", "web", "alice", 600))
        .await
        .unwrap();
    world.maps.table().answer = Probed {
        passes: true,
        reason: Reason::Granted as u32,
        service: web,
    };
    let asked = request("192.0.2.7", "198.51.100.10", "tcp", Some(80));
    let explained = world.engine.explain(&asked).await.unwrap();
    let grant = explained.grant.unwrap();
    assert_eq!(grant.remaining_seconds, 600);
    assert_eq!(grant.holders[0].user, "alice");
    assert!(explained.would_open.is_empty());
}

#[tokio::test]
async fn a_packet_that_cannot_be_is_refused_with_what_is_wrong() {
    let world = world().await;
    for (asked, wrong) in [
        (
            request("192.0.2.7", "2001:db8::1", "tcp", Some(80)),
            "families",
        ),
        (request("192.0.2.7", "198.51.100.10", "tcp", None), "port"),
        (
            request("192.0.2.7", "198.51.100.10", "gre", Some(1)),
            "no ports",
        ),
        (
            request("192.0.2.7", "198.51.100.10", "smtp", None),
            "protocol",
        ),
    ] {
        let problem = world.engine.explain(&asked).await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::BadRequest);
        assert!(problem.message.contains(wrong), "{}", problem.message);
    }
}

#[tokio::test]
async fn tags_stand_in_front_of_the_packet() {
    let world = world().await;
    let asked = ExplainRequest {
        vlan: vec![5, 6],
        ..request("2001:db8:1::7", "2001:db8:2::10", "icmp", None)
    };
    world.engine.explain(&asked).await.unwrap();
    let frame = world.maps.table().probed.clone();
    assert_eq!(frame[12..22], [0x81, 0, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd]);
    assert_eq!(frame[28], 58);
    assert_eq!(frame[62], 128);
}

#[tokio::test]
async fn a_mode_that_is_not_in_force_is_noticed() {
    let world = world().await;
    let drops = Probed {
        passes: false,
        reason: Reason::NoGrant as u32,
        service: 1,
    };
    world.maps.table().answer = drops;
    assert_eq!(world.engine.mode_unproven(), None);
    world.maps.table().answer = Probed {
        passes: true,
        ..drops
    };
    let text = world.engine.mode_unproven().unwrap();
    assert!(
        text.contains("enforce") && text.contains("passes"),
        "{text}"
    );
}

#[tokio::test]
async fn the_impact_names_service_and_source_with_most_packets_first() {
    let world = world().await;
    let web = world.engine.state().ids["web"];
    let key = |last: u8, service, answering| ImpactKey {
        source: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last],
        service,
        reason: Reason::NoGrant as u8,
        protocol: 6,
        port: 80,
        answering,
    };
    let counted = |packets| Counted {
        first_ns: 1,
        last_ns: 2,
        packets,
    };
    world.maps.table().impact = vec![(key(7, web, 0), counted(3)), (key(8, 0, 1), counted(9))];
    let impact = world.engine.impact().unwrap();
    assert_eq!(impact.entries[0].source.to_string(), "192.0.2.8");
    assert!(impact.entries[0].outbound);
    assert_eq!(impact.entries[1].service.as_deref(), Some("web"));
    world.engine.clear_impact().unwrap();
    assert!(world.engine.impact().unwrap().entries.is_empty());
}
