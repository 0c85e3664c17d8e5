//! The banner and the translators' verbs.

use super::*;
use crate::{
    banner::Banner,
    testing::NOW,
    text::{ENGLISH, Language},
};

async fn banner(site: &Site, words: &[&str]) -> anyhow::Result<Done> {
    let line = ["sekisho-portal", "banner"].iter().chain(words);
    match Arguments::try_parse_from(line).unwrap().verb {
        Verb::Banner(verb) => banner::carry_out(&desk(site).await, verb).await,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn banner_is_set_replaced_and_cleared_and_each_is_recorded() {
    let site = Site::new("").await;
    let store = &site.portal.store;
    let until = ["--until", "2027-01-15 09:00"];
    let texts = [
        "set",
        "--text-en",
        "Soon",
        "--text-ja",
        "まもなく",
        "--text",
        "de=Bald",
    ];
    banner(&site, &[&texts[..], &until[..]].concat())
        .await
        .unwrap();
    let set = Banner::read(store).await.unwrap().unwrap();
    assert_eq!((set.texts.len(), set.until), (3, Some(NOW + 3600)));
    let german = Language::of_tag("de").unwrap();
    assert_eq!(set.text(german, Language::En), Some(("de", "Bald")));

    banner(&site, &["set", "--text-ja", "別の文"])
        .await
        .unwrap();
    let set = Banner::read(store).await.unwrap().unwrap();
    assert_eq!((set.texts.len(), set.until), (1, None));
    banner(&site, &["show"]).await.unwrap();
    banner(&site, &["clear"]).await.unwrap();
    assert_eq!(Banner::read(store).await.unwrap(), None);
    assert_eq!(
        site.agent.outcomes(),
        ["banner-set", "banner-set", "banner-cleared"]
    );
}

#[tokio::test]
async fn banner_without_a_text_or_of_the_past_is_refused() {
    let site = Site::new("").await;
    let long = "a".repeat(401);
    for (words, said) in [
        (vec!["set"], "--text-en"),
        (vec!["set", "--text-en", " "], "1 to 400"),
        (vec!["set", "--text-en", &long], "1 to 400"),
        (vec!["set", "--text-en", "a\nb"], "one line"),
        (vec!["set", "--text", "Wartung"], "TAG=TEXT"),
        (vec!["set", "--text", "Deutsch=Wartung"], "no language tag"),
        (
            vec!["set", "--text-en", "a", "--until", "2020-01-01 00:00"],
            "over already",
        ),
        (
            vec!["set", "--text-en", "a", "--until", "tonight"],
            "is no time",
        ),
    ] {
        let refused = banner(&site, &words).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{words:?}: {refused}");
    }
    assert_eq!(Banner::read(&site.portal.store).await.unwrap(), None);
}

#[test]
fn export_passes_the_check_and_a_hole_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("de.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        texts::carry_out(texts::Verb::Check { file: file.clone() })
    };
    check(ENGLISH).unwrap();
    let hole = check(&ENGLISH.replace("skip = ", "leap = "))
        .unwrap_err()
        .to_string();
    assert!(
        hole.contains("common.skip is missing") && hole.contains("common.leap"),
        "{hole}"
    );
}
