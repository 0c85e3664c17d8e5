//! An import that meets a rotation of the key, or a database that fails in the middle.

use super::*;
use crate::{
    cli::{key, output::Output},
    otp::{Recipe, Seed},
    testing::{self, Site},
};

async fn desk(site: &Site) -> Desk {
    let config = testing::config(site.folder.path(), "");
    let (agent, clock) = (site.agent.clone(), site.clock.clone());
    Desk::open_with(config, agent, clock, Output::new(true))
        .await
        .unwrap()
}

fn read(serials: &[&str]) -> Vec<Read> {
    let one = |serial: &&str| Read {
        place: format!("line of {serial}"),
        token: Ok(Imported {
            serial: (*serial).to_owned(),
            seed: Seed::random(),
            recipe: Recipe::STANDARD,
            last: 0,
        }),
    };
    serials.iter().map(one).collect()
}

#[tokio::test]
async fn an_import_goes_on_with_the_key_that_a_rotation_left() {
    let site = Site::new("").await;
    let here = desk(&site).await;
    let codes = here.codes().await.unwrap();
    stock(&here, read(&["A"]), Some(&codes)).await.unwrap();
    key::rotate(&desk(&site).await).await.unwrap();
    let done = stock(&here, read(&["B", "C"]), Some(&codes)).await;
    assert_eq!(done.unwrap(), Done::All);
    let now = here.codes().await.unwrap();
    let rows = here.store.stock().await.unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        now.open(codes::stock_place(&row.serial), &row.secret)
            .unwrap();
    }
}

#[tokio::test]
async fn what_was_stocked_before_it_stopped_is_recorded() {
    let site = Site::new("").await;
    let here = desk(&site).await;
    let codes = here.codes().await.unwrap();
    let mut transaction = here.store.begin().await.unwrap();
    sqlx::query(
        "CREATE TRIGGER broken BEFORE INSERT ON stock WHEN NEW.serial = 'C'
         BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    let failed = stock(&here, read(&["A", "B", "C", "D"]), Some(&codes)).await;
    let failed = format!("{:#}", failed.unwrap_err());
    assert!(
        failed.contains("stopped at line of C") && failed.contains("the disk is full"),
        "{failed}"
    );
    assert_eq!(here.store.stock().await.unwrap().len(), 2);
    let audit = site.agent.audit.lock().unwrap();
    let record = audit.last().unwrap();
    assert_eq!(record.outcome, "stocked");
    assert_eq!(
        record.reason.as_deref(),
        Some("2 hardware tokens, 0 lines left out, then it stopped")
    );
}
