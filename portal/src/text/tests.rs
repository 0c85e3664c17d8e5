//! The built-in languages are complete, others come from files, and browsers get what they ask for.

use super::*;

#[test]
fn every_language_is_complete_and_says_something_everywhere() {
    Texts::load(None).unwrap();
    assert_eq!(own::mistakes(ENGLISH), Vec::<String>::new());
    assert_eq!(own::mistakes(JAPANESE), Vec::<String>::new());
}

#[test]
fn language_is_negotiated_by_weight_then_order() {
    let texts = Texts::load(None).unwrap();
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
        assert_eq!(texts.negotiate(accept), expected, "{accept:?}");
    }
}

/// English with another name for the language.
fn german() -> String {
    ENGLISH.replace("\"English\"", "\"Deutsch\"")
}

#[test]
fn file_in_the_folder_is_another_language() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("de.toml", &german());
    write(
        "pt-br.toml",
        &ENGLISH.replace("\"English\"", "\"Português\""),
    );
    write("readme.txt", "for translators");
    let texts = Texts::load(Some(folder.path())).unwrap();
    let names: Vec<&str> = texts
        .all()
        .map(|(_, words)| words.common.language_name.as_str())
        .collect();
    assert_eq!(names, ["English", "日本語", "Deutsch", "Português"]);
    let found = texts.negotiate("de-AT,en;q=0.5").unwrap();
    assert_eq!(
        (found.tag(), texts.of(found).common.language_name.as_str()),
        ("de", "Deutsch")
    );
    assert_eq!(texts.negotiate("pt-BR").unwrap().tag(), "pt-br");
    assert_eq!(texts.negotiate("pt-PT, ja"), Some(Language::Ja));
    assert_eq!(texts.known("fr"), None);

    // A site may word a built-in language anew.
    write("ja.toml", &JAPANESE.replace("\"日本語\"", "\"にほんご\""));
    let texts = Texts::load(Some(folder.path())).unwrap();
    assert_eq!(texts.of(Language::Ja).common.language_name, "にほんご");

    write("german.toml", &german());
    let refused = Texts::load(Some(folder.path())).unwrap_err().to_string();
    assert!(
        refused.contains("german.toml") && refused.contains("tag"),
        "{refused}"
    );
}

#[test]
fn mistakes_are_told_all_at_once_by_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("de.toml");
    let text = german()
        .replace("skip = \"Skip to content\"\n", "")
        .replace("menu = \"Pages\"", "menu = \" \"\ncolour = \"x\"")
        .replace("{wait}", "{time}")
        .replace("[time]", "[tide]");
    std::fs::write(&path, text).unwrap();
    let said = Texts::load(Some(folder.path())).unwrap_err().to_string();
    for part in [
        "de.toml",
        "common.skip is missing",
        "common.menu says nothing",
        "common.colour is no text of the portal's",
        "login.wait must hold {wait}, and holds {time}",
        "[tide] is no part",
        "time.hours is missing",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    std::fs::write(&path, "[common").unwrap();
    let said = read(&path).unwrap_err().to_string();
    assert!(said.contains("no TOML"), "{said}");
    assert!(read(&folder.path().join("fr.toml")).is_err());
}

#[test]
fn tag_is_what_bcp_47_writes_in_lower_case() {
    for tag in ["en", "ja", "de", "yue", "pt-br", "zh-hant"] {
        assert_eq!(Language::of_tag(tag).unwrap().tag(), tag);
    }
    for tag in [
        "",
        "d",
        "DE",
        "deutsch",
        "de-",
        "de_AT",
        "../x",
        "zh-hant-tw",
        "de\0",
    ] {
        assert_eq!(Language::of_tag(tag), None, "{tag:?}");
    }
    let built_in = [Language::En, Language::Ja].map(|one| Language::of_tag(one.tag()));
    assert_eq!(built_in, [Some(Language::En), Some(Language::Ja)]);
}

#[test]
fn values_fill_their_places() {
    assert_eq!(fill("{a} and {b}", &[("a", "1"), ("b", "2")]), "1 and 2");
    assert_eq!(fill("nothing", &[("a", "1")]), "nothing");
}
