//! My access: opening, extending, closing, and cookies that end.

use std::sync::atomic::Ordering;

use http::StatusCode;

use crate::{
    client_addr::{Peer, client_addr},
    live::LiveCookie,
    store::CookieRow,
    testing::{Ask, NOW, SOURCE, Site},
};

#[tokio::test]
async fn closing_one_all_and_opening_again() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let post = async |path: &str, form: &[(&str, &str)]| {
        let got = site.send(Ask::post(path, form).as_(&cookie)).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{path}");
        site.send(Ask::page(got.to()).as_(&cookie)).await.body
    };
    let page = post(
        "/access/close",
        &[("service", "web"), ("source", "192.0.2.7")],
    )
    .await;
    assert!(page.contains("Closed: web."), "{page}");
    assert_eq!(site.agent.open(), ["files@192.0.2.7"]);
    assert!(
        page.contains("name=\"service\" value=\"web\" checked"),
        "offered again"
    );
    let page = post("/access/open", &[("service", "web"), ("service", "ssh")]).await;
    assert!(page.contains("Open: web."), "{page}");
    assert_eq!(
        site.agent.open(),
        ["files@192.0.2.7", "web@192.0.2.7"],
        "not ssh"
    );
    let page = post("/access/extend", &[("service", "web")]).await;
    assert!(page.contains("Extended: web."), "{page}");
    let page = post("/access/close", &[]).await;
    assert!(page.contains("Closed: files, web."), "{page}");
    assert!(site.agent.open().is_empty());
    let page = post("/access/open", &[]).await;
    assert!(
        page.contains("Open: web, files."),
        "none named: all. {page}"
    );
}

#[tokio::test]
async fn success_is_said_only_of_what_the_kernel_holds() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    site.agent.lies.store(true, Ordering::SeqCst);
    let code = site.code(&seed);
    let got = site.log_in("alice", "password of alice", &code).await;
    let cookie = got.cookie().unwrap();
    let page = site.send(Ask::page(got.to()).as_(&cookie)).await.body;
    assert!(!page.contains("Open: "), "{page}");
    assert!(
        page.contains("web: not opened, the filter did not answer"),
        "{page}"
    );
    assert!(
        page.contains("files: not opened, the table is full"),
        "{page}"
    );
    assert!(page.contains("role=\"alert\""));
}

#[tokio::test]
async fn only_what_is_open_is_looked_at_and_only_there() {
    let probe = "[[probe]]\nservice = \"web\"\nurl = \"https://web.example.com/health\"\n";
    let site = Site::new(probe).await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let got = site.send(Ask::page("/access").as_(&cookie)).await;
    let csp = got.headers.get("content-security-policy").unwrap();
    let policy = "connect-src 'self' https://web.example.com; form-action 'self';";
    assert!(csp.to_str().unwrap().contains(policy), "{csp:?}");
    let probes = got
        .body
        .matches("data-probe=\"https://web.example.com/health\"");
    assert_eq!(probes.count(), 1, "{}", got.body);
    site.send(Ask::post("/access/close", &[]).as_(&cookie))
        .await;
    let page = site.send(Ask::page("/access").as_(&cookie)).await.body;
    assert!(!page.contains("data-probe"), "{page}");
}

#[tokio::test]
async fn a_cookie_opens_nothing_at_another_address() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    site.send(Ask::post("/access/close", &[]).as_(&cookie))
        .await;
    let page = site
        .send(Ask::page("/access").as_(&cookie).from("203.0.113.5"))
        .await
        .body;
    assert!(page.contains("You signed in from 192.0.2.7 and are now coming from 203.0.113.5"));
    for path in ["/access/open", "/access/extend"] {
        let got = site
            .send(Ask::post(path, &[]).as_(&cookie).from("203.0.113.5"))
            .await;
        assert!(got.to().starts_with("/?say="), "{}", got.to());
        assert!(site.agent.open().is_empty());
    }
    let got = site.send(Ask::page("/access").as_(&cookie)).await;
    assert_eq!(
        got.to(),
        "/?say=again",
        "the cookie ended with the first try"
    );
}

#[tokio::test]
async fn leaving_a_group_ends_opening_and_extending() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    site.send(Ask::post("/access/close", &[]).as_(&cookie))
        .await;
    let path = site.folder.path().join("users.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("[\"staff\"]", "[]", 1)).unwrap();
    site.send(Ask::post("/access/open", &[]).as_(&cookie)).await;
    assert!(site.agent.open().is_empty());
}

#[tokio::test]
async fn cookies_end_when_idle_when_old_and_at_log_off() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let alive = async |cookie: &str| {
        site.send(Ask::page("/access").as_(cookie)).await.status == StatusCode::OK
    };
    let cookie = site.in_as("alice", &seed).await;
    for _ in 0..12 {
        site.clock.advance(3540);
        assert!(alive(&cookie).await);
    }
    site.clock.advance(3540);
    assert!(!alive(&cookie).await, "older than twelve hours");
    let cookie = site.in_as("alice", &seed).await;
    site.clock.advance(3600);
    assert!(!alive(&cookie).await, "idle for an hour");
    let cookie = site.in_as("alice", &seed).await;
    let off = site.send(Ask::post("/logoff", &[]).as_(&cookie)).await;
    assert!(
        off.body.contains("all access from this address is closed"),
        "{}",
        off.body
    );
    assert!(site.agent.open().is_empty());
    assert!(!alive(&cookie).await);
    assert_eq!(site.agent.outcomes().last().unwrap(), "ok");
}

#[tokio::test]
async fn log_off_says_when_it_could_not_close() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    site.agent.set_down(true);
    let off = site.send(Ask::post("/logoff", &[]).as_(&cookie)).await;
    assert!(off.body.contains("could not be closed"), "{}", off.body);
    assert_eq!(site.agent.open().len(), 2);
}

#[tokio::test]
async fn a_new_log_in_makes_a_new_cookie_and_ends_the_old_one() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let first = site.in_as("alice", &seed).await;
    site.clock.advance(30);
    let code = site.code(&seed);
    let form = [
        ("username", "alice"),
        ("password", "password of alice"),
        ("code", &code),
    ];
    let second = site
        .send(Ask::post("/login", &form).as_(&first))
        .await
        .cookie()
        .unwrap();
    assert_ne!(first, second);
    assert_eq!(
        site.send(Ask::page("/access").as_(&first)).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        site.send(Ask::page("/access").as_(&second)).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn only_the_hash_of_a_cookie_is_stored() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let value = cookie.split('=').nth(1).unwrap().to_owned();
    site.portal.store.close().await;
    for entry in std::fs::read_dir(site.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(value.len())
                .any(|window| window == value.as_bytes());
            assert!(!found, "{} holds the cookie", path.display());
            let seed = seed.bytes();
            assert!(
                !bytes.windows(seed.len()).any(|window| window == seed),
                "{}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn times_are_shown_in_the_sites_zone() {
    let site = Site::new("").await;
    let (_, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let page = site.send(Ask::page("/access").as_(&cookie)).await.body;
    assert_eq!(NOW, 1_800_000_000, "2027-01-15 08:00 UTC");
    assert!(
        page.contains("<time datetime=\"2027-01-15T16:00:00Z\">16:00</time>"),
        "{page}"
    );
    assert!(page.contains("<span data-zone>UTC</span>"));
}

#[tokio::test]
async fn a_lock_out_while_opening_leaves_nothing_open() {
    let site = Site::new("").await;
    let (id, seed) = site.token("alice").await;
    let cookie = site.in_as("alice", &seed).await;
    let value = cookie.split('=').nth(1).unwrap();
    let (store, limits) = (&site.portal.store, &site.portal.config.limits);
    let found = LiveCookie::find(store, limits, value, site.clock.now())
        .await
        .unwrap();
    let live = found.unwrap();
    let headers = http::HeaderMap::new();
    let from = client_addr(Peer::Address(SOURCE.parse().unwrap()), &headers, &[]).unwrap();
    let withdrawn = site
        .portal
        .withdraw_if_ended(&live, from, "R")
        .await
        .unwrap();
    assert!(
        !withdrawn && site.agent.open().len() == 2,
        "nothing happened yet"
    );
    store.lock_out(Some("u-alice"), "alice", 0).await.unwrap();
    assert!(
        site.portal
            .withdraw_if_ended(&live, from, "R")
            .await
            .unwrap()
    );
    assert!(site.agent.open().is_empty());
    // Nor can a cookie be made with a token that was revoked a moment ago.
    let row = CookieRow {
        user_id: "u-alice".into(),
        user_name: "alice".into(),
        source: SOURCE.into(),
        also: None,
        factors: "pwd otp".into(),
        token: id,
        created: 0,
        proved: 0,
        seen: 0,
        notice: None,
        moved: false,
    };
    assert!(!store.add_cookie(b"hash", &row).await.unwrap());
}

#[tokio::test]
async fn a_cookie_ends_with_the_token_it_was_made_with() {
    let site = Site::new("").await;
    let (lost, seed) = site.token("alice").await;
    let (_, spare) = site.token("alice").await;
    let thief = site.in_as("alice", &seed).await;
    let owner = site.in_as("alice", &spare).await;
    let suspend = [("token", lost.as_str())];
    site.send(Ask::post("/devices/suspend", &suspend).as_(&owner))
        .await;
    assert_eq!(
        site.send(Ask::page("/access").as_(&thief)).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        site.send(Ask::page("/access").as_(&owner)).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_help_desk_is_shown_to_its_people_in_its_networks_only() {
    let desk = "[desk]\nhelpdesk_groups = [\"admins\"]\nfrom = [\"192.0.2.0/24\"]\n";
    let site = Site::new(desk).await;
    let sees = async |name: &str, source: &str| {
        let (_, seed) = site.token(name).await;
        let (password, code) = (format!("password of {name}"), site.code(&seed));
        let form = [
            ("username", name),
            ("password", password.as_str()),
            ("code", code.as_str()),
        ];
        let got = site.send(Ask::post("/login", &form).from(source)).await;
        let cookie = got.cookie().unwrap();
        let page = Ask::page("/access").as_(&cookie).from(source);
        site.send(page).await.body.contains("href=\"/desk\"")
    };
    assert!(sees("bob", "192.0.2.7").await);
    assert!(!sees("bob", "198.51.100.9").await);
    assert!(!sees("alice", "192.0.2.8").await);
}
