//! The forms of a site, found by looking at its pages as everybody who gets other ones: strangers,
//! alice, the help desk, an approver.

use std::collections::BTreeSet;

use crate::{
    otp::Seed,
    store::SuspendedBy,
    testing::{Ask, SOURCE, Site, desk},
};

/// Limits that nobody meets here, and every feature that has a form.
const KEYS: &str = "public_url = \"https://portal.example.org\"\nenrol_at_first_login = true\n\
    follow = \"code\"\n\
    [dual_stack]\nipv4 = \"https://v4.example.org\"\nipv6 = \"https://v6.example.org\"\n\
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
const HIDDEN: [(&str, &[&str]); 8] = [
    ("/passkey", &[]),
    ("/devices/passkey/start", &[]),
    (
        "/devices/passkey",
        &["challenge", "passkey", "name", "owner"],
    ),
    ("/devices/confirm", &["token", "code", "name", "owner"]),
    ("/ticket/confirm", &["token", "code", "name", "owner"]),
    ("/not-me", &["link"]),
    ("/cross/arrive", &["ticket"]),
    ("/cross/return", &["receipt"]),
];

/// Where alice's cookie is carried to.
const AWAY: &str = "203.0.113.5";

/// A form: where it goes, and its fields with what stands in them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
    /// Who saw it; empty: made by a script.
    pub(super) cookie: String,
}

impl Found {
    pub(super) fn pairs(&self) -> Vec<(&str, &str)> {
        let pairs = self.fields.iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    pub(super) fn is_of_the_desk(&self) -> bool {
        self.action.starts_with("/desk/")
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split(&format!(" {name}=\"")).nth(1)?;
    Some(rest.split('"').next()?.to_owned())
}

fn forms(page: &str, cookie: &str) -> Vec<Found> {
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
                cookie: cookie.to_owned(),
            }
        })
        .collect()
}

/// A site in which every form is on some page, with the cookies of those who see them.
pub(super) struct House {
    pub(super) site: Site,
    /// Of bob, who is nobody special.
    pub(super) bob: Seed,
    pub(super) alice: String,
    /// Carries out cases.
    carol: String,
    /// Approves them.
    dave: String,
    /// Looks, and changes nothing.
    pub(super) erin: String,
    /// Does both.
    pub(super) frank: String,
    cases: Vec<String>,
}

impl House {
    pub(super) async fn open() -> Self {
        let table = desk::table("second_approver = [\"ticket\"]\nlook_ups = 10000");
        let site = desk::site_with(&format!("{KEYS}{table}")).await;
        let (_, seed) = site.token("alice").await;
        let (stopped, _) = site.token("alice").await;
        let (_, bob) = site.token("bob").await;
        let by = SuspendedBy::User;
        let store = &site.portal.store;
        assert!(store.suspend_token(&stopped, by, None).await.unwrap());
        let carol = site.officer("carol").await;
        let dave = site.officer("dave").await;
        // One that waits for a decision, and one that was approved and waits for carol.
        let mut cases = Vec::new();
        for whom in ["alice", "bob"] {
            site.open_case(&carol, "enrol", whom).await;
            cases.push(site.newest_case().await);
            site.clock.advance(1);
        }
        let form = [("id", cases[1].as_str()), ("note", "yes")];
        let approved = site.send(Ask::post("/desk/approve", &form).as_(&dave));
        assert!(approved.await.status.is_redirection());
        let erin = site.officer("erin").await;
        let frank = site.officer("frank").await;
        // Last, since the fake agent knows one holder of what is open at an address.
        let alice = site.in_as("alice", &seed).await;
        let shut = [("service", "files"), ("source", SOURCE)];
        let closed = site.send(Ask::post("/access/close", &shut).as_(&alice));
        assert!(closed.await.status.is_redirection());
        // What was proven is too old for one service, and not too old for the desk.
        site.clock.advance(40);
        Self {
            site,
            bob,
            alice,
            carol,
            dave,
            erin,
            frank,
            cases,
        }
    }

    /// All of them.
    pub(super) async fn forms(&self) -> BTreeSet<Found> {
        let mut found = BTreeSet::new();
        let mut look = async |path: &str, cookie: &str, from: Option<&str>| {
            let mut request = Ask::page(path).as_(cookie);
            request.source = from.unwrap_or(request.source);
            found.extend(forms(&self.site.send(request).await.body, cookie));
        };
        for path in PAGES {
            look(path, "", None).await;
            look(path, &self.alice, None).await;
        }
        look("/access", &self.alice, Some(AWAY)).await;
        let mut desk = vec![
            "/desk".to_owned(),
            "/desk/figures".to_owned(),
            "/desk/prove".to_owned(),
        ];
        desk.extend(["alice", "bob"].map(|name| format!("/desk/person?user={name}")));
        let cases = self.cases.iter();
        desk.extend(cases.map(|id| format!("/desk/case?id={id}")));
        for path in &desk {
            for cookie in [&self.carol, &self.dave] {
                look(path, cookie, None).await;
            }
        }
        found.extend(HIDDEN.iter().map(|(action, fields)| {
            Found {
                action: (*action).to_owned(),
                fields: fields
                    .iter()
                    .map(|name| ((*name).to_owned(), String::new()))
                    .collect(),
                cookie: String::new(),
            }
        }));
        found
    }
}
