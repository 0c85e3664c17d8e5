//! The yearly reminder: what piled up since the last one, so that somebody goes through retired
//! devices, exceptions and the ways people sign in. When it was told is kept, so a restart repeats
//! nothing.

use crate::{
    notices::Kind,
    portal::{Failure, Portal},
};

/// The fact that keeps when it was told last.
const FACT: &str = "review-told";
/// A token unused for so long is most likely retired: 90 days, in seconds.
const UNUSED: i64 = 90 * 24 * 3600;

impl Portal {
    /// Reminds the operators when it is time. The first interval begins with the first start.
    pub(crate) async fn look_after_review(&self) -> Result<(), Failure> {
        if self.clock_is_off().is_some() {
            return Ok(());
        }
        let now = self.now().as_second();
        let told = self.store.fact(FACT).await?;
        let told: Option<i64> = told.and_then(|text| text.parse().ok());
        // A moment still to come was noted by a clock that was wrong.
        let Some(told) = told.filter(|told| *told <= now) else {
            return Ok(self.store.set_fact(FACT, &now.to_string()).await?);
        };
        if now - told < self.config.review.every.seconds() {
            return Ok(());
        }
        self.remind_of_review(now).await?;
        Ok(self.store.set_fact(FACT, &now.to_string()).await?)
    }

    async fn remind_of_review(&self, now: i64) -> Result<(), Failure> {
        let piled = self.store.piled_up(now - UNUSED, now).await?;
        tracing::info!(
            unused = piled.unused,
            suspended = piled.suspended,
            weak = piled.weak,
            exceptions = piled.exceptions,
            "time to go through devices, exceptions and methods; see \"Once a year\" in the README"
        );
        let is_on = |mail: &crate::config::Mail| mail.is_on(Kind::Review);
        if !self.config.mail.as_ref().is_some_and(is_on) {
            return Ok(());
        }
        let [unused, suspended, weak, exceptions] =
            [piled.unused, piled.suspended, piled.weak, piled.exceptions].map(|n| n.to_string());
        let values = [
            ("unused", unused.as_str()),
            ("suspended", &suspended),
            ("weak", &weak),
            ("exceptions", &exceptions),
        ];
        self.notices.tell_operators(Kind::Review, &values).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        portal::Portal,
        store::MailRow,
        testing::{self, Site},
    };

    const MAIL: &str = "[mail]\nserver = \"127.0.0.1:9\"\nfrom = \"access@example.org\"\n\
                        tls = \"none-to-loopback-only\"\noperators = [\"it@example.org\", \"security@example.org\"]\n";
    const DAY: i64 = 24 * 3600;

    async fn told(portal: &Portal) -> Vec<MailRow> {
        let rows = portal.store.waiting_mails(100).await.unwrap();
        rows.into_iter()
            .filter(|row| row.kind == "review")
            .collect()
    }

    #[tokio::test]
    async fn operators_are_reminded_once_a_year_whatever_restarts_between() {
        let site = Site::new(MAIL).await;
        site.token("alice").await;
        let look = async |portal: &Portal| portal.look_after_review().await.unwrap();
        look(&site.portal).await;
        site.clock.advance(365 * DAY - 1);
        look(&site.portal).await;
        assert!(told(&site.portal).await.is_empty(), "not before its time");
        site.clock.advance(1);
        look(&site.portal).await;
        let rows = told(&site.portal).await;
        let whom: Vec<_> = rows
            .iter()
            .filter_map(|row| row.address.as_deref())
            .collect();
        assert_eq!(whom, ["it@example.org", "security@example.org"]);
        assert!(
            rows[0].params.contains("\"unused\":\"1\""),
            "{}",
            rows[0].params
        );
        // Another process on the same database.
        let config = testing::config(site.folder.path(), MAIL);
        let again = Portal::open_with(config, site.agent.clone(), site.clock.clone());
        let again = again.await.unwrap();
        look(&again).await;
        site.clock.advance(364 * DAY);
        look(&again).await;
        assert_eq!(told(&again).await.len(), 2, "once");
        site.clock.advance(DAY);
        look(&again).await;
        assert_eq!(told(&again).await.len(), 4);
    }

    #[tokio::test]
    async fn the_interval_is_a_setting_and_the_notice_can_be_switched_off() {
        let site = Site::new(&format!(
            "{MAIL}notices = [\"new-device\"]\n[review]\nevery = \"30d\"\n"
        ))
        .await;
        site.portal.look_after_review().await.unwrap();
        site.clock.advance(30 * DAY);
        site.portal.look_after_review().await.unwrap();
        assert!(told(&site.portal).await.is_empty(), "switched off");
        let config = testing::config(
            site.folder.path(),
            &format!("{MAIL}[review]\nevery = \"30d\"\n"),
        );
        let on = Portal::open_with(config, site.agent.clone(), site.clock.clone());
        let on = on.await.unwrap();
        on.look_after_review().await.unwrap();
        assert!(told(&on).await.is_empty(), "its month has just begun");
        site.clock.advance(30 * DAY);
        on.look_after_review().await.unwrap();
        assert_eq!(told(&on).await.len(), 2);
    }

    #[tokio::test]
    async fn a_clock_that_was_wrong_for_a_while_puts_nothing_off_for_ever() {
        let site = Site::new(MAIL).await;
        let store = &site.portal.store;
        let ahead = (testing::NOW + 9_000 * DAY).to_string();
        store.set_fact(super::FACT, &ahead).await.unwrap();
        site.portal.look_after_review().await.unwrap();
        site.clock.advance(365 * DAY);
        site.portal.look_after_review().await.unwrap();
        assert_eq!(told(&site.portal).await.len(), 2);
    }
}
