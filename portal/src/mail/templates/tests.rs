//! What a text must have, and that filling it in never goes further than its own places.

use super::*;

fn load(files: &[(&str, &str)]) -> Result<Templates, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Templates::load(Some(folder.path()), Language::En).map_err(|error| error.to_string())
}

#[test]
fn every_built_in_text_has_what_its_kind_needs() {
    let all = Templates::load(None, Language::Ja).unwrap();
    for kind in Kind::ALL {
        for language in Language::ALL {
            let filled = all.fill(kind, language, &kind.sample());
            assert!(!filled.subject.is_empty() && filled.body.lines().count() > 3);
            for (_, value) in kind.sample() {
                let text = format!("{}{}", filled.subject, filled.body);
                assert!(text.contains(value), "{kind:?} {language:?} lacks {value}");
            }
        }
    }
}

#[test]
fn a_file_replaces_one_kind_in_one_language() {
    let text = "Subject: Neu\r\n\r\n{device} {link}\r\n";
    let all = load(&[("new-device.en.txt", text)]).unwrap();
    let values = [("device", "{link}"), ("link", "https://x")];
    let filled = all.fill(Kind::NewDevice, Language::En, &values);
    assert_eq!(filled.subject, "Neu");
    assert_eq!(
        filled.body, "{link} https://x\n",
        "a value is not filled in again"
    );
    let other = all.fill(Kind::NewDevice, Language::Ja, &values);
    assert!(other.body.contains("端末"));
}

#[test]
fn a_broken_text_is_refused_with_its_file() {
    for (name, text, what) in [
        (
            "new-device.en.txt",
            "Subject: x\n\n{device}",
            "must use {link}",
        ),
        (
            "new-device.en.txt",
            "Subject: x\n\n{device} {link} {secret}",
            "{secret} is no value",
        ),
        ("new-device.ja.txt", "x\n\n{device} {link}", "Subject:"),
        (
            "new-device.ja.txt",
            "Subject: a\nBcc: b@c\n\n{device} {link}",
            "one line",
        ),
        (
            "new-device.ja.txt",
            "Subject: a {link}\n\n{device} {link}",
            "belongs in the body",
        ),
        ("new-device.ja.txt", "Subject: a", "no empty line"),
        (
            "new-divice.ja.txt",
            "Subject: a\n\nb",
            "no notice and language",
        ),
        (
            "new-device.de.txt",
            "Subject: a\n\nb",
            "no notice and language",
        ),
    ] {
        let error = load(&[(name, text)]).unwrap_err();
        assert!(error.contains(what) && error.contains(name), "{error}");
    }
}
