//! Tells those who may approve, by mail, that a case waits for a second person. A job of its own: who
//! asked for the case waits for no directory, and what is told once is noted with the case.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use super::CaseKind;
use crate::{
    config::Desk,
    directory::{Account, AccountState},
    notices::{Kind, Person},
    portal::{Failure, Portal},
    reports::PEOPLE_MAX,
    store::CaseRow,
    text::Language,
};

/// How often somebody looks whether a case waits.
const EVERY: Duration = Duration::from_secs(5);
/// The directory is gone through for approvers not more often than this, in seconds.
const REMEMBERED: i64 = 600;

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Approver {
    /// Of the configuration: a desk's shared mailbox.
    Address(String),
    /// Somebody of the directory's groups.
    Somebody {
        id: String,
        name: String,
        mail: String,
    },
}

/// Knows for a while whom the directory named.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    found: Option<(i64, Vec<Approver>)>,
}

/// Looks again and again, as long as the portal runs.
pub(crate) async fn watch(portal: Arc<Portal>) {
    let mut approvals = Approvals::default();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(failure) = approvals.turn(&portal).await {
            tracing::warn!(%failure, "approvers cannot be told yet that a case waits");
        }
    }
}

impl Approvals {
    /// Tells of what waits and was not told yet. What fails is tried again at the next turn.
    pub(crate) async fn turn(&mut self, portal: &Portal) -> Result<(), Failure> {
        let (Some(desk), Some(mail)) = (&portal.config.desk, &portal.config.mail) else {
            return Ok(());
        };
        if !mail.is_on(Kind::CaseWaiting) {
            return Ok(());
        }
        let now = portal.now().as_second();
        let cases = portal.store.untold_cases(now).await?;
        if cases.is_empty() {
            return Ok(());
        }
        let approvers = self.approvers(portal, desk).await;
        let operators: Vec<Approver> = mail.operators().map(address).collect();
        for case in &cases {
            let fit: Vec<&Approver> = approvers.iter().filter(|one| one.may_hear(case)).collect();
            let fit = match fit.is_empty() {
                true => operators.iter().collect(),
                false => fit,
            };
            for approver in &fit {
                tell(portal, case, approver).await?;
            }
            // Of whom nobody could be told is told once somebody can.
            if !fit.is_empty() {
                portal.store.note_told(&case.id, now).await?;
            }
        }
        Ok(())
    }

    async fn approvers(&mut self, portal: &Portal, desk: &Desk) -> &[Approver] {
        let now = portal.now().as_second();
        let is_fresh = |at: i64| (0..REMEMBERED).contains(&(now - at));
        let known = self.found.take().filter(|(at, _)| is_fresh(*at));
        let known = match known {
            Some(known) => known,
            None => (now, look(portal, desk).await),
        };
        let (_, approvers) = self.found.insert(known);
        approvers
    }
}

impl Approver {
    /// Not whoever asked for it, and not the person it is about: neither may decide.
    fn may_hear(&self, case: &CaseRow) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Somebody { id, .. } => {
                *id != case.opened_by_id && case.user_id.as_ref() != Some(id)
            }
        }
    }
}

/// The configuration's addresses; else people of the groups whose address the directory knows. None of
/// them, or a directory that cannot be gone through: the operators are told, who know whom to call.
async fn look(portal: &Portal, desk: &Desk) -> Vec<Approver> {
    let addresses: Vec<Approver> = desk.approver_mail().map(address).collect();
    if !addresses.is_empty() {
        return addresses;
    }
    let people = match portal.directory.list(PEOPLE_MAX).await {
        Ok(people) => people.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "the directory cannot be gone through for approvers");
            Vec::new()
        }
    };
    let fits = |account: &Account| {
        account.state == AccountState::Active && account.is_in_any(&desk.approver_groups)
    };
    let somebody = |account: Account| {
        Some(Approver::Somebody {
            mail: account.mail?,
            id: account.id,
            name: account.name,
        })
    };
    let found: Vec<Approver> = people
        .into_iter()
        .filter(fits)
        .filter_map(somebody)
        .collect();
    if found.is_empty() {
        tracing::warn!(
            "no approver's mail address is known, so the operators are told; set approver_mail of [desk]"
        );
    }
    found
}

fn address(text: &str) -> Approver {
    Approver::Address(text.to_owned())
}

async fn tell(portal: &Portal, case: &CaseRow, approver: &Approver) -> Result<(), Failure> {
    let mut language = portal.config.portal.default_language;
    let person = match approver {
        Approver::Address(address) => Person {
            id: None,
            name: "approver",
            mail: Some(address),
        },
        Approver::Somebody { id, name, mail } => {
            let read = portal.store.language(id).await?;
            language = read
                .and_then(|tag| Language::of_tag(&tag))
                .unwrap_or(language);
            Person {
                id: Some(id),
                name,
                mail: Some(mail),
            }
        }
    };
    let words = &portal.texts.of(language).desk;
    let title = CaseKind::of_word(&case.kind).map_or("", |kind| kind.title(words));
    let until = portal.notices.moment(case.expires);
    let values = [
        ("case", title),
        ("id", &case.id),
        ("person", &case.user_name),
        ("by", &case.opened_by),
        ("until", &until),
    ];
    portal
        .notices
        .tell(person, Kind::CaseWaiting, &values)
        .await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Site, desk as house};

    const MAIL: &str = "[mail]\nserver = \"127.0.0.1:9\"\nfrom = \"access@example.org\"\n\
                        tls = \"none-to-loopback-only\"\noperators = [\"it@example.org\"]\n";

    async fn site(desk: &str, mail: &str) -> (Site, String) {
        let second = format!("second_approver = [\"ticket\", \"lockout\"]\n{desk}\n{MAIL}{mail}");
        let site = house::site(&second).await;
        let carol = site.officer("carol").await;
        (site, carol)
    }

    /// Kind, address and values of what waits, without the log-ins' notices.
    async fn told(site: &Site) -> Vec<(String, String)> {
        let rows = site.portal.store.waiting_mails(100).await.unwrap();
        let told = rows.into_iter().filter(|row| row.kind == "case-waiting");
        told.map(|row| (row.address.unwrap(), row.params)).collect()
    }

    #[tokio::test]
    async fn approvers_of_the_directory_are_told_once_of_a_case_that_waits() {
        let (site, carol) = site("", "").await;
        let mut approvals = Approvals::default();
        approvals.turn(&site.portal).await.unwrap();
        assert!(told(&site).await.is_empty(), "nothing waits");
        site.open_case(&carol, "enrol", "alice").await;
        approvals.turn(&site.portal).await.unwrap();
        approvals.turn(&site.portal).await.unwrap();
        Approvals::default().turn(&site.portal).await.unwrap();
        let told = told(&site).await;
        let whom: Vec<&str> = told.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(whom, ["dave@example.org", "frank@example.org"]);
        let values = &told[0].1;
        assert!(
            values.contains("\"alice\"") && values.contains("\"carol\""),
            "{values}"
        );
        assert!(
            !values.contains("counter"),
            "the note stays at the desk: {values}"
        );
    }

    #[tokio::test]
    async fn who_asked_and_whom_it_is_about_are_not_told() {
        let (site, _) = site("", "").await;
        let frank = site.officer("frank").await;
        site.open_case(&frank, "enrol", "dave").await;
        Approvals::default().turn(&site.portal).await.unwrap();
        let told = told(&site).await;
        let whom: Vec<&str> = told.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(whom, ["it@example.org"], "neither may decide");
    }

    #[tokio::test]
    async fn an_address_of_the_configuration_takes_the_place_of_the_directory() {
        let (site, carol) = site("approver_mail = [\"leads@example.org\"]", "").await;
        site.open_case(&carol, "lockout", "bob").await;
        // Decided before anybody was told: nothing waits.
        let dave = site.officer("dave").await;
        let case = site.newest_case().await;
        let form = [("id", case.as_str()), ("note", "yes")];
        let ask = crate::testing::Ask::post("/desk/approve", &form);
        site.send(ask.as_(&dave)).await;
        Approvals::default().turn(&site.portal).await.unwrap();
        assert!(told(&site).await.is_empty());
        site.open_case(&carol, "lockout", "alice").await;
        Approvals::default().turn(&site.portal).await.unwrap();
        let told = told(&site).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, "leads@example.org");
    }

    #[tokio::test]
    async fn without_any_approver_s_address_the_operators_are_told() {
        let (site, carol) = site("", "").await;
        let file = site.folder.path().join("users.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text
            .replace("dave@example.org", "")
            .replace("frank@example.org", "");
        let text = text.replace("mail = \"\"\n", "");
        std::fs::write(&file, text).unwrap();
        site.open_case(&carol, "enrol", "alice").await;
        Approvals::default().turn(&site.portal).await.unwrap();
        assert_eq!(told(&site).await[0].0, "it@example.org");
    }

    #[tokio::test]
    async fn what_is_switched_off_is_not_told() {
        let (site, carol) = site("", "notices = [\"new-device\"]\n").await;
        site.open_case(&carol, "enrol", "alice").await;
        Approvals::default().turn(&site.portal).await.unwrap();
        assert!(told(&site).await.is_empty());
    }
}
