//! Both languages are complete, and negotiated as browsers ask.

use std::collections::BTreeSet;

use super::*;

fn places(text: &str) -> BTreeSet<String> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_language_is_complete_and_says_something_everywhere() {
    Texts::load().unwrap();
    let tables = Language::ALL.map(|language| language.source().parse::<toml::Table>().unwrap());
    for (part, keys) in &tables[0] {
        for (key, text) in keys.as_table().unwrap() {
            let text = text.as_str().unwrap();
            assert!(!text.trim().is_empty(), "{part}.{key}");
            for other in &tables[1..] {
                let translated = other[part][key].as_str().unwrap();
                assert!(!translated.trim().is_empty(), "{part}.{key}");
                assert_eq!(
                    places(text),
                    places(translated),
                    "placeholders of {part}.{key}"
                );
            }
        }
    }
}

#[test]
fn language_is_negotiated_by_weight_then_order() {
    let table = [
        ("ja", Some(Language::Ja)),
        ("ja-JP,ja;q=0.9,en;q=0.8", Some(Language::Ja)),
        ("de,en-GB;q=0.7,ja;q=0.8", Some(Language::Ja)),
        ("fr, en;q=0.1", Some(Language::En)),
        ("en, ja", Some(Language::En)),
        ("ja;q=0, en;q=0.5", Some(Language::En)),
        ("de, fr", None),
        ("", None),
        ("ja;q=x", None),
        ("*", None),
    ];
    for (accept, expected) in table {
        assert_eq!(Language::negotiate(accept), expected, "{accept:?}");
    }
}

#[test]
fn values_fill_their_places() {
    assert_eq!(fill("{a} and {b}", &[("a", "1"), ("b", "2")]), "1 and 2");
    assert_eq!(fill("nothing", &[("a", "1")]), "nothing");
}
