//! Headers, languages, labels, other sites, odd forms, proxies and health.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use tower::ServiceExt as _;

use crate::{
    client_addr::Peer,
    testing::{Ask, Site},
};

const PAGES: [&str; 3] = ["/", "/ticket", "/help"];

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let site = Site::new("").await;
    for path in [
        "/",
        "/ticket",
        "/help",
        "/access",
        "/nowhere",
        "/static/style.css",
        "/health",
    ] {
        let got = site.send(Ask::page(path)).await;
        let header = |name: &str| {
            got.headers
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        let csp = header("content-security-policy").unwrap();
        assert!(
            csp.contains("default-src 'none'") && !csp.contains("unsafe"),
            "{path}: {csp}"
        );
        assert!(csp.contains("frame-ancestors 'none'"));
        assert!(
            header("strict-transport-security")
                .unwrap()
                .starts_with("max-age=63072000")
        );
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
        assert_eq!(
            header("cross-origin-opener-policy").as_deref(),
            Some("same-origin")
        );
        let cache = header("cache-control").unwrap();
        assert_eq!(
            cache == "no-store",
            path != "/static/style.css",
            "{path}: {cache}"
        );
    }
}

#[tokio::test]
async fn nothing_runs_inline_and_nothing_comes_from_elsewhere() {
    let site = Site::new("").await;
    for path in PAGES {
        let body = site.send(Ask::page(path)).await.body;
        assert!(
            !body.contains("style=\"") && !body.contains("onclick") && !body.contains("<style")
        );
        assert_eq!(body.matches("<script").count(), 1, "{path}");
        assert!(
            !body.contains("http://") && !body.contains("https://"),
            "{path}: {body}"
        );
        assert_eq!(body.matches("<h1").count(), 1, "{path}");
    }
}

#[tokio::test]
async fn every_field_has_a_label_that_exists() {
    let site = Site::new("").await;
    for path in PAGES {
        let body = site.send(Ask::page(path)).await.body;
        for part in body.split("<input ").skip(1) {
            let tag = part.split('>').next().unwrap();
            let labelled =
                tag.contains("type=\"hidden\"") || tag.contains("type=\"checkbox\"") || {
                    let id = tag
                        .split("id=\"")
                        .nth(1)
                        .and_then(|rest| rest.split('"').next())
                        .unwrap();
                    body.contains(&format!("<label for=\"{id}\""))
                };
            assert!(labelled, "{path}: {tag}");
        }
    }
}

#[tokio::test]
async fn pages_come_in_the_wanted_language_and_can_be_switched() {
    let site = Site::new("").await;
    let english = site.send(Ask::page("/")).await.body;
    assert!(english.contains("<html lang=\"en\"") && english.contains(">Sign in<"));
    let wanted = [("accept-language", "ja-JP,ja;q=0.9,en;q=0.8")];
    let japanese = site.send(Ask::page("/").with(&wanted)).await.body;
    assert!(japanese.contains("<html lang=\"ja\"") && japanese.contains("ログイン"));
    let form = [("lang", "ja"), ("to", "/help")];
    let got = site.send(Ask::post("/language", &form)).await;
    assert_eq!((got.status, got.to()), (StatusCode::SEE_OTHER, "/help"));
    let cookie = got.headers["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let switched = site.send(Ask::page("/").as_(&cookie)).await.body;
    assert!(switched.contains("<html lang=\"ja\""));
    for to in [
        "https://evil.example/",
        "//evil.example",
        "/logoff",
        "",
        "/help\r\nx: y",
    ] {
        let form = [("lang", "en"), ("to", to)];
        assert_eq!(
            site.send(Ask::post("/language", &form)).await.to(),
            "/",
            "{to:?}"
        );
    }
}

#[tokio::test]
async fn the_footer_says_whom_to_ask_and_the_issuer_is_named_before_the_code() {
    let site = Site::new("").await;
    for path in ["/", "/ticket", "/help", "/nowhere"] {
        let body = site.send(Ask::page(path)).await.body;
        assert!(
            body.contains("desk 42") && body.contains("Test site"),
            "{path}"
        );
    }
    let body = site.send(Ask::page("/")).await.body;
    assert!(body.contains("entry “Test Corp”") && body.contains("autocomplete=\"one-time-code\""));
    assert!(
        body.contains("inputmode=\"numeric\"")
            && body.contains("autocomplete=\"current-password\"")
    );
}

#[tokio::test]
async fn the_user_name_is_remembered_only_when_asked() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let code = site.code(&seed);
    let mut form = vec![
        ("username", "alice"),
        ("password", "password of alice"),
        ("code", code.as_str()),
    ];
    let without = site.send(Ask::post("/login", &form)).await;
    assert_eq!(without.headers.get_all("set-cookie").iter().count(), 1);
    site.clock.advance(30);
    let code = site.code(&seed);
    form[2] = ("code", &code);
    form.push(("remember", "yes"));
    let with = site.send(Ask::post("/login", &form)).await;
    let cookies: Vec<_> = with
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|v| v.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(cookies.len(), 2);
    for cookie in &cookies {
        for word in [
            "__Host-",
            "; Secure",
            "; HttpOnly",
            "; SameSite=Strict",
            "; Path=/",
        ] {
            assert!(cookie.contains(word), "{cookie} lacks {word}");
        }
    }
    let name = cookies[1].split(';').next().unwrap();
    let page = site.send(Ask::page("/").as_(name)).await.body;
    assert!(page.contains("value=\"alice\"") && page.contains("value=\"yes\" checked"));
}

#[tokio::test]
async fn a_form_of_a_megabyte_gets_a_page_that_says_so() {
    let site = Site::new("").await;
    let big = "x".repeat(1_000_000);
    let form = [("username", big.as_str())];
    let got = site.send(Ask::post("/login", &form)).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        got.body.contains("larger than the portal takes"),
        "{}",
        got.body
    );
    let many: Vec<(&str, &str)> = vec![("service", "web"); 100];
    let got = site.send(Ask::post("/access/open", &many)).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(site.agent.audit.lock().unwrap().is_empty());
}

#[tokio::test]
async fn forms_that_are_none_are_refused() {
    let site = Site::new("").await;
    let json = [("content-type", "application/json")];
    let request = |headers: &[(&str, &str)], body: &'static str| {
        let mut builder = Request::post("/login");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let mut request = builder.body(Body::from(body)).unwrap();
        request
            .extensions_mut()
            .insert(Peer::Address("192.0.2.7".parse().unwrap()));
        request
    };
    let got = site
        .router
        .clone()
        .oneshot(request(&json, "{}"))
        .await
        .unwrap();
    assert_eq!(got.status(), StatusCode::BAD_REQUEST);
    let got = site
        .router
        .clone()
        .oneshot(request(&[], "%%%=&&&&=%ff"))
        .await
        .unwrap();
    assert_eq!(got.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn other_sites_cannot_post_and_get_changes_nothing() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[
            ("origin", "https://evil.example"),
            ("host", "portal.example"),
        ],
        &[("origin", "null"), ("host", "portal.example")],
    ] {
        let got = site
            .send(Ask::post("/access/close", &[]).as_(&cookie).with(headers))
            .await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(got.body.contains("from another web site"));
    }
    for path in [
        "/access/close",
        "/access/open",
        "/logoff",
        "/devices/enrol",
        "/login",
    ] {
        let got = site.send(Ask::page(path).as_(&cookie)).await;
        assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(site.agent.open().len(), 2);
    let same = [("sec-fetch-site", "same-origin")];
    site.send(Ask::post("/access/close", &[]).as_(&cookie).with(&same))
        .await;
    assert!(site.agent.open().is_empty());
}

#[tokio::test]
async fn without_a_client_address_nobody_gets_in() {
    let site = Site::new("[proxies]\ntrusted = [\"10.0.0.1/32\"]").await;
    let (_, seed) = site.token("alice").await;
    let code = site.code(&seed);
    let form = [
        ("username", "alice"),
        ("password", "password of alice"),
        ("code", &code),
    ];
    let got = site.send(Ask::post("/login", &form).from("10.0.0.1")).await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(
        got.body.contains("network address cannot be determined"),
        "{}",
        got.body
    );
    let hops = [("x-forwarded-for", "203.0.113.66, 192.0.2.9")];
    let got = site
        .send(Ask::post("/login", &form).from("10.0.0.1").with(&hops))
        .await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    assert_eq!(site.agent.open(), ["files@192.0.2.9", "web@192.0.2.9"]);
}

#[tokio::test]
async fn health_names_the_failing_part_and_nothing_more() {
    let site = Site::new("").await;
    let ask = async || {
        site.clock.advance(3);
        let got = site.send(Ask::page("/health")).await;
        (got.status.as_u16(), got.body)
    };
    assert_eq!(ask().await, (200, "ok\n".to_owned()));
    site.agent.set_down(true);
    assert_eq!(ask().await, (503, "agent\n".to_owned()));
    site.agent.set_down(false);
    let users = site.folder.path().join("users.toml");
    let text = std::fs::read_to_string(&users).unwrap();
    std::fs::write(&users, "broken").unwrap();
    assert_eq!(ask().await, (503, "directory\n".to_owned()));
    std::fs::write(&users, text).unwrap();
    assert_eq!(ask().await, (200, "ok\n".to_owned()));
    site.clock.advance(600);
    assert_eq!(ask().await.0, 200);
    site.clock.advance(-300);
    assert_eq!(ask().await, (503, "clock\n".to_owned()));
    site.clock.advance(400);
    assert_eq!(ask().await.0, 200);
}

#[tokio::test]
async fn no_secret_is_in_what_debug_prints() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let printed = format!("{:?}", Arc::clone(&site.portal));
    let value = cookie.split('=').nth(1).unwrap();
    let base32 = seed.grouped().replace(' ', "");
    for secret in [
        "password of alice",
        value,
        &base32,
        &format!("{:?}", seed.bytes()),
    ] {
        assert!(!printed.contains(secret), "{secret}");
    }
    assert!(printed.contains("Test site"), "it does print the rest");
}

#[tokio::test]
async fn what_was_begun_is_carried_through_when_the_browser_goes_away() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    assert_eq!(site.agent.open().len(), 2);
    let mut request = Box::pin(site.send(Ask::post("/logoff", &[]).as_(&cookie)));
    tokio::select! {
        biased;
        _ = &mut request => panic!("it was done before it could be left"),
        () = std::future::ready(()) => {}
    }
    drop(request);
    for _ in 0..200 {
        if site.agent.open().is_empty() && site.agent.outcomes().last().unwrap() == "ok" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(site.agent.open().is_empty(), "log-off was left half-way");
}
