//! For tests only: a portal in a scratch directory with a fake agent, a fixed clock and two people,
//! and requests against its router.

mod agent;
pub(crate) mod authenticator;
pub(crate) mod desk;
mod got;

pub(crate) use got::Got;

pub(crate) use agent::FakeAgent;

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use tower::ServiceExt as _;

use crate::{
    client_addr::Peer,
    clock::Clock,
    config::Config,
    directory::{
        self,
        users_file::{User, UsersFile},
    },
    key::Key,
    otp::Seed,
    portal::Portal,
    random,
    store::{Kind, NewToken, TokenState},
    web,
};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const SOURCE: &str = "192.0.2.7";

/// A portal with alice (staff) and bob (staff, admins), whose password is `password of NAME`.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) portal: Arc<Portal>,
    pub(crate) agent: Arc<FakeAgent>,
    pub(crate) clock: Clock,
    pub(crate) router: Router,
}

/// `more` is added to the configuration's end.
pub(crate) fn config(folder: &std::path::Path, more: &str) -> Config {
    let portal_keys: String = more
        .lines()
        .take_while(|line| !line.starts_with('['))
        .map(|l| format!("{l}\n"))
        .collect();
    let tables = &more[portal_keys.trim_end().len()..];
    let text = format!(
        "[portal]\nname = \"Test site\"\nissuer = \"Test Corp\"\ncontact = \"desk 42\"\n\
         listen = [\"127.0.0.1:0\"]\ndata = {folder:?}\nkey_file = {:?}\ntime_zone = \"UTC\"\n\
         {portal_keys}\n[tls]\nself_signed = {:?}\n[directory]\nkind = \"local\"\nfile = {:?}\n{tables}",
        folder.join("portal.key"),
        folder.join("tls"),
        folder.join("users.toml"),
    );
    Config::parse(std::path::Path::new("portal.toml"), &text).unwrap()
}

fn user(name: &str, groups: &[&str]) -> User {
    User {
        name: name.into(),
        id: Some(format!("u-{name}")),
        groups: groups.iter().map(ToString::to_string).collect(),
        mail: Some(format!("{name}@example.org")),
        disabled: false,
        password: directory::cheap(&format!("password of {name}")),
    }
}

impl Site {
    pub(crate) async fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), more);
        Key::random()
            .write_new(&config.portal.key_file, None)
            .unwrap();
        UsersFile {
            users: vec![user("alice", &["staff"]), user("bob", &["staff", "admins"])],
        }
        .write(&folder.path().join("users.toml"), folder.path())
        .unwrap();
        let clock = Clock::fixed(Timestamp::from_second(NOW).unwrap());
        let agent = FakeAgent::new(clock.clone());
        let portal = Portal::open_with(config, agent.clone(), clock.clone())
            .await
            .unwrap();
        let portal = Arc::new(portal);
        let router = web::router(portal.clone());
        Self {
            folder,
            portal,
            agent,
            clock,
            router,
        }
    }

    /// Gives a person an active token.
    pub(crate) async fn token(&self, name: &str) -> (String, Seed) {
        let (id, seed) = (random::id('t'), Seed::random());
        let (sealed, key_id) = self.portal.codes.seal(&id, &seed).unwrap();
        let new = NewToken {
            id: &id,
            user_id: &format!("u-{name}"),
            user_name: name,
            name: "Phone",
            state: TokenState::Active,
            secret: &sealed,
            key_id: &key_id,
            weak: false,
            origin: "test",
            handle: None,
            replaces: None,
            created: NOW,
            expires: None,
            owner: None,
            kind: Kind::App,
        };
        assert!(self.portal.store.add_token(&new).await.unwrap());
        (id, seed)
    }

    /// The code of now.
    pub(crate) fn code(&self, seed: &Seed) -> String {
        seed.code_at(self.clock.now())
    }

    pub(crate) async fn send(&self, request: Ask<'_>) -> Got {
        let mut builder = Request::builder().uri(request.path);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if let Some(cookie) = request.cookie {
            builder = builder.header(header::COOKIE, cookie);
        }
        let body = match request.form {
            None => Body::empty(),
            Some(fields) => {
                builder = builder
                    .method("POST")
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(fields);
                Body::from(form.finish())
            }
        };
        let mut asked = builder.body(body).unwrap();
        let peer = Peer::Address(request.source.parse().unwrap());
        asked.extensions_mut().insert(peer);
        let response = self.router.clone().oneshot(asked).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Got {
            status: parts.status,
            headers: parts.headers,
            // Pictures are no text, and nobody looks at their letters.
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub(crate) async fn log_in(&self, name: &str, password: &str, code: &str) -> Got {
        let form = [("username", name), ("password", password), ("code", code)];
        self.send(Ask::post("/login", &form)).await
    }

    /// Logs in with everything right; gives the cookie.
    pub(crate) async fn in_as(&self, name: &str, seed: &Seed) -> String {
        let password = format!("password of {name}");
        let got = self.log_in(name, &password, &self.code(seed)).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
        got.cookie().unwrap()
    }
}

/// A request.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) form: Option<&'a [(&'a str, &'a str)]>,
    pub(crate) cookie: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) source: &'a str,
}

impl<'a> Ask<'a> {
    pub(crate) fn page(path: &'a str) -> Self {
        Self {
            path,
            form: None,
            cookie: None,
            headers: &[],
            source: SOURCE,
        }
    }

    pub(crate) fn post(path: &'a str, form: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            form: Some(form),
            ..Self::page(path)
        }
    }

    pub(crate) fn as_(self, cookie: &'a str) -> Self {
        Self {
            cookie: Some(cookie),
            ..self
        }
    }

    pub(crate) fn from(self, source: &'a str) -> Self {
        Self { source, ..self }
    }

    pub(crate) fn with(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }
}
