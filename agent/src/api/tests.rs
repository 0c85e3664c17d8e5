//! The socket's answers without a socket.

use std::sync::Arc;

use agent_api::{Problem, ProblemCode};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::engine::tests::world::World;

async fn call(
    world: &World,
    uid: u32,
    method: Method,
    path: &str,
    body: impl Into<Body>,
) -> (StatusCode, Vec<u8>) {
    let shared = Shared {
        drops: Arc::default(),
        engine: Arc::clone(&world.engine),
        pins: None,
        keeper: None,
        detached: watch::channel(false).0,
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(body.into())
        .unwrap();
    request
        .extensions_mut()
        .insert(ConnectInfo(Peer(Some(uid))));
    let response = router(shared).oneshot(request).await.unwrap();
    let status = response.status();
    (
        status,
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(body)))
}

fn code_of(body: &[u8]) -> ProblemCode {
    serde_json::from_slice::<Problem>(body).unwrap().code
}

const GRANT: &str =
    r#"{"source":"192.0.2.7","service":"web","user":"alice","for_seconds":60,"factor":"pwd otp"}"#;

#[tokio::test]
async fn a_uid_without_a_role_gets_nowhere() {
    let world = World::new().await;
    for (method, path) in [
        (Method::GET, "/v1/status"),
        (Method::GET, "/v1/openapi.json"),
        (Method::POST, "/v1/grants"),
        (Method::GET, "/v1/no-such-path"),
    ] {
        let (status, body) = call(&world, 12_345, method, path, GRANT).await;
        assert_eq!(
            (status, code_of(&body)),
            (StatusCode::FORBIDDEN, ProblemCode::Forbidden)
        );
    }
    assert!(world.maps.table().grants.is_empty());
}

#[tokio::test]
async fn the_portal_may_grant_close_and_read_and_nothing_else() {
    let world = World::new().await;
    let allowed = [
        (Method::GET, "/v1/status", ""),
        (Method::GET, "/v1/services", ""),
        (Method::POST, "/v1/grants", GRANT),
        (Method::GET, "/v1/grants?user=alice", ""),
        (Method::POST, "/v1/grants/close", r#"{"user":"alice"}"#),
        (
            Method::POST,
            "/v1/audit",
            r#"{"kind":"login","outcome":"ok"}"#,
        ),
    ];
    for (method, path, body) in allowed {
        let (status, body) = call(&world, 901, method, path, body).await;
        assert!(
            status.is_success(),
            "{path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
    }
    let refused = [
        (Method::PUT, "/v1/mode", r#"{"mode":"observe"}"#),
        (Method::PUT, "/v1/lockdown", r#"{"on":false}"#),
        (Method::POST, "/v1/reload", "{}"),
        (Method::POST, "/v1/detach", "{}"),
        (Method::GET, "/v1/audit", ""),
        (Method::GET, "/v1/audit/verify", ""),
        (Method::GET, "/v1/events", ""),
        (
            Method::POST,
            "/v1/denies/lift",
            r#"{"prefix":"203.0.113.0/24"}"#,
        ),
    ];
    for (method, path, body) in refused {
        let (status, body) = call(&world, 901, method, path, body).await;
        assert_eq!(
            (status, code_of(&body)),
            (StatusCode::FORBIDDEN, ProblemCode::Forbidden),
            "{path}"
        );
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_are_refused_with_a_reason() {
    let world = World::new().await;
    let (status, body) = call(&world, 0, Method::POST, "/v1/grants", vec![b'x'; 10 << 20]).await;
    assert_eq!(
        (status, code_of(&body)),
        (StatusCode::PAYLOAD_TOO_LARGE, ProblemCode::TooLarge)
    );
    for bad in [
        "",
        "{",
        r#"{"source":"x"}"#,
        r#"{"source":"192.0.2.7","service":"web","user":"a","forever":true}"#,
    ] {
        let (status, body) = call(&world, 0, Method::POST, "/v1/grants", bad).await;
        assert_eq!(
            (status, code_of(&body)),
            (StatusCode::BAD_REQUEST, ProblemCode::BadRequest),
            "{bad}"
        );
    }
    let (status, _) = call(&world, 0, Method::GET, "/v1/grants?limit=many", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = call(&world, 0, Method::GET, "/v1/grants?after=nonsense", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, body) = call(&world, 0, Method::GET, "/v2/status", "").await;
    assert_eq!(
        (status, code_of(&body)),
        (StatusCode::NOT_FOUND, ProblemCode::NotFound)
    );
    let (status, _) = call(&world, 0, Method::DELETE, "/v1/grants", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_description_names_every_path_and_every_path_answers() {
    let world = World::new().await;
    let (_, body) = call(&world, 0, Method::GET, "/v1/openapi.json", "").await;
    let document = json_of(&body);
    let paths = document["paths"].as_object().unwrap();
    // As many as the router's table has, less the description itself.
    assert_eq!(paths.len(), 24, "{:?}", paths.keys());
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            if path.ends_with("/events") || path == "/v1/detach" {
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let (status, body) = call(&world, 0, method.clone(), path, "{}").await;
            let text = String::from_utf8_lossy(&body).into_owned();
            assert!(
                !text.contains("see /v1/openapi.json") || status == 400,
                "{method} {path}: {text}"
            );
            assert_ne!(status, StatusCode::NOT_FOUND, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn pages_of_grants_follow_each_other() {
    let world = World::new().await;
    for last in 1..=3 {
        let grant = GRANT.replace("192.0.2.7", &format!("192.0.2.{last}"));
        assert!(
            call(&world, 0, Method::POST, "/v1/grants", grant)
                .await
                .0
                .is_success()
        );
    }
    let (_, body) = call(&world, 0, Method::GET, "/v1/grants?limit=2", "").await;
    let first = json_of(&body);
    assert_eq!(first["grants"].as_array().unwrap().len(), 2);
    let after = first["next"].as_str().unwrap().replace(',', "%2C");
    let (_, body) = call(
        &world,
        0,
        Method::GET,
        &format!("/v1/grants?limit=2&after={after}"),
        "",
    )
    .await;
    let second = json_of(&body);
    assert_eq!(second["grants"][0]["source"], json!("192.0.2.3"));
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn metrics_say_the_mode_in_use() {
    let world = World::new().await;
    let interface = agent_api::Interface {
        name: "eth0".into(),
        index: 4_000_000,
        xdp_mode: agent_api::XdpMode::Native,
        program_id: 7,
        attached: true,
    };
    world.engine.attached(vec![interface], false);
    let (_, body) = call(&world, 0, Method::GET, "/v1/metrics", "").await;
    let text = String::from_utf8(body).unwrap();
    for line in [
        "sekisho_enforcing 1",
        "sekisho_attached{interface=\"eth0\",xdp_mode=\"native\"} 0",
        "sekisho_reattached_total 0",
        "sekisho_packets_total{reason=\"NoGrant\",action=\"drop\"} 14",
        "sekisho_would_drop_packets_total{reason=\"NoGrant\",action=\"drop\"} 36",
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
    let (_, body) = call(&world, 0, Method::GET, "/v1/status", "").await;
    let warnings = json_of(&body)["warnings"].to_string();
    assert!(
        warnings.contains("does not carry our program"),
        "{warnings}"
    );
}
