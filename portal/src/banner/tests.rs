//! A banner speaks the reader's language where it can, and ends by itself.

use super::*;
use crate::testing::{NOW, Site};

fn banner(texts: &[(&str, &str)], until: Option<i64>) -> Banner {
    let texts = texts
        .iter()
        .map(|(tag, text)| ((*tag).into(), (*text).into()));
    Banner {
        texts: texts.collect(),
        until,
    }
}

#[test]
fn reader_gets_their_language_or_the_sites_or_any() {
    let both = banner(&[("en", "Soon"), ("ja", "まもなく")], None);
    let (en, ja) = (Language::En, Language::Ja);
    let german = Language::of_tag("de").unwrap();
    assert_eq!(both.text(ja, en), Some(("ja", "まもなく")));
    assert_eq!(both.text(german, ja), Some(("ja", "まもなく")));
    assert_eq!(both.text(german, german), Some(("en", "Soon")));
    assert_eq!(banner(&[], None).text(en, en), None);
}

#[tokio::test]
async fn banner_is_read_again_after_a_moment_and_ends_by_itself() {
    let site = Site::new("").await;
    let (store, banners) = (&site.portal.store, Banners::default());
    assert_eq!(banners.at(store, NOW).await, None);
    let set = banner(&[("en", "Soon")], Some(NOW + 60));
    set.set(store).await.unwrap();
    assert_eq!(
        banners.at(store, NOW + 1).await,
        None,
        "what was read is kept"
    );
    assert_eq!(banners.at(store, NOW + 2).await.as_deref(), Some(&set));
    assert!(banners.at(store, NOW + 59).await.is_some());
    assert_eq!(banners.at(store, NOW + 60).await, None);
    Banner::clear(store).await.unwrap();
    assert_eq!(Banner::read(store).await.unwrap(), None);
}
