//! For tests only: a site with a help desk. Carol carries out cases, dave approves, erin audits, and
//! frank does both of the first.

use http::StatusCode;

use super::{Ask, Got, SOURCE, Site, user};
use crate::{directory::users_file::UsersFile, otp::Seed};

/// Where the desk sits.
pub(crate) const DESK: &str = "192.0.2.7";

/// The usual `[desk]`; `more` goes to its end.
pub(crate) fn table(more: &str) -> String {
    format!(
        "[desk]\nhelpdesk_groups = [\"it-desk\"]\napprover_groups = [\"leads\"]\n\
         auditor_groups = [\"audit\"]\nfrom = [\"{DESK}/32\"]\n{more}\n"
    )
}

/// A site with the desk's people.
pub(crate) async fn site(more: &str) -> Site {
    let limits = "[limits]\nsource_per_minute = 1000\nsource_per_hour = 10000\n";
    site_with(&format!("{}{limits}", table(more))).await
}

/// The same with the whole configuration given, [`table`] among it.
pub(crate) async fn site_with(config: &str) -> Site {
    assert_eq!(DESK, SOURCE, "log-ins come from the desk's network");
    let site = Site::new(config).await;
    let users = vec![
        user("alice", &["staff"]),
        user("bob", &["staff", "admins"]),
        user("carol", &["staff", "it-desk"]),
        user("dave", &["leads"]),
        user("erin", &["audit"]),
        user("frank", &["it-desk", "leads"]),
    ];
    UsersFile { users }
        .write(&site.folder.path().join("users.toml"), site.folder.path())
        .unwrap();
    site
}

impl Site {
    /// Gives somebody a token, and the cookie of a log-in with it.
    pub(crate) async fn officer(&self, name: &str) -> String {
        let (_, seed) = self.token(name).await;
        self.in_as(name, &seed).await
    }

    /// Opens a case as an officer.
    pub(crate) async fn open_case(&self, cookie: &str, case: &str, user: &str) -> Got {
        self.open_case_about(cookie, case, user, "").await
    }

    pub(crate) async fn open_case_about(
        &self,
        cookie: &str,
        case: &str,
        user: &str,
        subject: &str,
    ) -> Got {
        let form = [
            ("case", case),
            ("user", user),
            ("subject", subject),
            ("evidence", "seen in person"),
            ("note", "at the counter"),
        ];
        self.send(Ask::post("/desk/open", &form).as_(cookie)).await
    }

    /// Sets a phone up with a ticket, up to its first code.
    pub(crate) async fn redeem(&self, name: &str, code: &str) -> Seed {
        let password = format!("password of {name}");
        let form = [
            ("ticket", code),
            ("username", name),
            ("password", password.as_str()),
        ];
        let page = self.send(Ask::post("/ticket", &form)).await;
        let secret = page.between("<code id=\"secret\">", "</code>");
        let token = page.between("name=\"token\" value=\"", "\"");
        let seed = Seed::from_base32(&secret).unwrap();
        let first = self.code(&seed);
        let form = [
            ("token", token.as_str()),
            ("code", first.as_str()),
            ("name", "New"),
        ];
        let done = self.send(Ask::post("/ticket/confirm", &form)).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
        seed
    }

    /// The newest case's id.
    pub(crate) async fn newest_case(&self) -> String {
        let cases = self.portal.store.cases(None, 1).await.unwrap();
        cases[0].id.clone()
    }

    /// Reasons of all records with this outcome.
    pub(crate) fn reasons_of(&self, outcome: &str) -> Vec<String> {
        let audit = self.agent.audit.lock().unwrap();
        audit
            .iter()
            .filter(|record| record.outcome == outcome)
            .map(|record| record.reason.clone().unwrap_or_default())
            .collect()
    }
}
