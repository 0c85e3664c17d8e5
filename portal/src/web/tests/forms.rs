//! Every form of every page, found by looking at the pages, with what browsers and strangers send:
//! missing, oversized, repeated and misplaced fields, somebody else's cookie, another site. Nothing
//! fails, nothing opens, nothing changes.

use std::collections::BTreeSet;

use http::StatusCode;

use crate::{
    otp::Seed,
    testing::{Ask, Site},
};

const LIMITS: &str = "public_url = \"https://portal.example.org\"\nenrol_at_first_login = true\n\
    [limits]\nsource_per_minute = 10000\nsource_per_hour = 100000\nglobal_per_minute = 1000000\n\
    free_failures = 10\nrefusal_ms = 250\n\
    [recovery]\nopens = \"unlock\"\n\
    [[access]]\nservice = \"web\"\nfresh = \"30s\"\n";

/// Pages with forms, before and after log-in.
const PAGES: [&str; 9] = [
    "/",
    "/access",
    "/devices",
    "/logins",
    "/help",
    "/ticket",
    "/lost",
    "/resync",
    "/not-me?link=x",
];

/// Forms that a script or another page makes; a walk over pages does not see them.
const HIDDEN: [(&str, &[&str]); 7] = [
    ("/passkey", &[]),
    ("/devices/passkey/start", &[]),
    ("/devices/passkey", &["challenge", "passkey", "name"]),
    ("/devices/confirm", &["token", "code", "name"]),
    ("/ticket/confirm", &["token", "code", "name"]),
    ("/access/move", &["code"]),
    ("/not-me", &["link"]),
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    action: String,
    fields: Vec<(String, String)>,
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split(&format!(" {name}=\"")).nth(1)?;
    Some(rest.split('"').next()?.to_owned())
}

/// The forms of a page: where they go, and their fields with what stands in them.
fn forms(page: &str) -> Vec<Found> {
    let inside = page
        .split("<form")
        .skip(1)
        .filter_map(|rest| rest.split("</form>").next());
    inside
        .filter(|form| form.contains("method=\"post\""))
        .map(|form| {
            let tags = form
                .split('<')
                .filter(|tag| tag.starts_with("input") || tag.starts_with("button"));
            let fields = tags.filter_map(|tag| {
                let name = attribute(tag, "name")?;
                Some((name, attribute(tag, "value").unwrap_or_default()))
            });
            Found {
                action: attribute(form, "action").unwrap(),
                fields: fields.collect(),
            }
        })
        .collect()
}

async fn all(site: &Site, cookie: &str) -> BTreeSet<Found> {
    let mut found = BTreeSet::new();
    for path in PAGES {
        for request in [Ask::page(path), Ask::page(path).as_(cookie)] {
            found.extend(forms(&site.send(request).await.body));
        }
    }
    for (action, fields) in HIDDEN {
        let fields = fields
            .iter()
            .map(|name| ((*name).to_owned(), String::new()));
        found.insert(Found {
            action: action.into(),
            fields: fields.collect(),
        });
    }
    found
}

/// What must be the same before and after.
#[derive(Debug, PartialEq, Eq)]
struct State {
    open: Vec<String>,
    tokens: Vec<String>,
    denied: usize,
}

async fn state(site: &Site) -> State {
    let tokens = site.portal.store.tokens(None).await.unwrap();
    let tokens = tokens.iter().map(|token| {
        format!(
            "{} {} {}",
            token.id,
            token.name,
            token.state().unwrap().name()
        )
    });
    State {
        open: site.agent.open(),
        tokens: tokens.collect(),
        denied: site.agent.denied.lock().unwrap().len(),
    }
}

async fn house() -> (Site, Seed, String) {
    let site = Site::new(LIMITS).await;
    let (_, seed) = site.token("alice").await;
    site.token("bob").await;
    let cookie = site.in_as("alice", &seed).await;
    (site, seed, cookie)
}

fn fields(found: &Found) -> Vec<(&str, &str)> {
    let pairs = found.fields.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[tokio::test]
async fn the_walk_finds_the_forms_there_are() {
    let (site, _, cookie) = house().await;
    let found = all(&site, &cookie).await;
    let actions: BTreeSet<&str> = found.iter().map(|form| form.action.as_str()).collect();
    for action in [
        "/login",
        "/logoff",
        "/language",
        "/access/extend",
        "/access/close",
        "/devices/enrol",
        "/devices/suspend",
        "/devices/revoke",
        "/devices/replace",
        "/devices/test",
        "/devices/recovery",
        "/ticket",
        "/lost",
        "/resync",
    ] {
        assert!(
            actions.contains(action),
            "{action} is not among {actions:?}"
        );
    }
}

#[tokio::test]
async fn missing_repeated_and_oversized_fields_are_answered_with_a_page_and_change_nothing() {
    let (site, _, _) = house().await;
    // Nobody logged in, so that what a form could do is nothing by itself.
    let forms: Vec<Found> = all(&site, "").await.into_iter().collect();
    let before = state(&site).await;
    let large = "x".repeat(70_000);
    for form in &forms {
        let typed = fields(form);
        let mut tries: Vec<Vec<(&str, &str)>> = vec![vec![], typed.clone()];
        for (index, (name, _)) in typed.iter().enumerate() {
            let mut without = typed.clone();
            without.remove(index);
            let mut twice = typed.clone();
            twice.push((name, "again"));
            let mut odd = typed.clone();
            odd[index].1 = "\u{0}\u{202e}' OR 1=1 -- <script>{{7*7}}";
            let mut huge = typed.clone();
            huge[index].1 = &large;
            tries.extend([without, twice, odd, huge, vec![(*name, "x"); 100]]);
        }
        for tried in tries {
            let is_large = tried.len() > 64 || tried.iter().any(|(_, value)| value.len() > 65_536);
            let got = site.send(Ask::post(&form.action, &tried)).await;
            let told = format!("{} {:?}: {}", form.action, tried.len(), got.status);
            assert!(!got.status.is_server_error(), "{told}");
            assert!(
                !got.body.contains("<script>{{"),
                "{told}: printed as it came"
            );
            assert!(got.cookie().is_none(), "{told}: somebody got in");
            // What ignores its form need not read it.
            if is_large && !typed.is_empty() && got.status != StatusCode::SEE_OTHER {
                let refused = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::NOT_FOUND];
                let ignored = got.status == StatusCode::OK && form.action == "/logoff";
                assert!(refused.contains(&got.status) || ignored, "{told}");
            }
        }
    }
    assert_eq!(state(&site).await, before);
}

#[tokio::test]
async fn another_site_can_send_none_of_them() {
    let (site, _, cookie) = house().await;
    let before = state(&site).await;
    for form in all(&site, &cookie).await {
        let typed = fields(&form);
        for header in [
            [("sec-fetch-site", "cross-site")],
            [("sec-fetch-site", "same-site")],
            [("origin", "https://evil.example.net")],
            [("origin", "null")],
        ] {
            let request = Ask::post(&form.action, &typed).as_(&cookie).with(&header);
            let got = site.send(request).await;
            assert_eq!(
                got.status,
                StatusCode::FORBIDDEN,
                "{} {header:?}",
                form.action
            );
        }
    }
    assert_eq!(state(&site).await, before);
}

#[tokio::test]
async fn somebody_elses_and_made_up_cookies_do_nothing_to_alice() {
    let (site, _, cookie) = house().await;
    let forms = all(&site, &cookie).await;
    let before = state(&site).await;
    let bob = {
        let tokens = site.portal.store.active_tokens("u-bob").await.unwrap();
        let seed = site.portal.codes.seed(&tokens[0]).unwrap();
        let form = [
            ("username", "bob"),
            ("password", "password of bob"),
            ("code", &site.code(&seed)),
            ("services", "none"),
        ];
        let there = Ask::post("/login", &form).from("198.51.100.9");
        site.send(there).await.cookie().unwrap()
    };
    let made_up = "__Host-sekisho=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for form in &forms {
        // What may be done to oneself is no matter; all of alice's ids are in these forms.
        if ["/devices/enrol", "/devices/recovery", "/logoff"].contains(&form.action.as_str()) {
            continue;
        }
        let typed = fields(form);
        for cookie in [bob.as_str(), made_up] {
            let request = Ask::post(&form.action, &typed)
                .as_(cookie)
                .from("198.51.100.9");
            let got = site.send(request).await;
            assert!(!got.status.is_server_error(), "{}", form.action);
        }
    }
    let after = state(&site).await;
    let alices = |state: &State| -> Vec<String> {
        state
            .open
            .iter()
            .filter(|grant| grant.contains("192.0.2.7"))
            .cloned()
            .collect()
    };
    assert_eq!(alices(&after), alices(&before));
    assert_eq!(after.tokens, before.tokens);
}
