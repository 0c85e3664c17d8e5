//! Colours, logos and help texts as they are found and served.

use super::*;

fn open(table: &str) -> Result<Look, LookError> {
    let config: config::Look = toml::from_str(table).unwrap();
    Look::open(&config, &Texts::load(None).unwrap())
}

#[test]
fn site_without_a_look_has_no_files() {
    let look = open("").unwrap();
    assert!(!look.has_sheet() && !look.has_logo() && !look.has_logo_dark());
    for name in [
        "look.css",
        "logo",
        "logo-dark",
        "style.css",
        "../portal.key",
    ] {
        assert!(look.file(name).is_none(), "{name}");
    }
    assert!(look.help(Language::En, Language::En).is_none());
}

#[test]
fn sheet_sets_both_themes() {
    let look = open("accent = \"#7a1010\"").unwrap();
    let (kind, sheet) = look.file("look.css").unwrap();
    let sheet = std::str::from_utf8(sheet).unwrap();
    assert_eq!(kind, "text/css; charset=utf-8");
    assert!(sheet.contains("--accent: #7a1010;") && sheet.contains("prefers-color-scheme: dark"));
    let dark = open("accent_dark = \"#93acf5\"").unwrap();
    let (_, sheet) = dark.file("look.css").unwrap();
    assert!(std::str::from_utf8(sheet).unwrap().starts_with("@media"));
    assert_ne!(look.version(), dark.version());
}

#[test]
fn help_is_found_by_language_and_then_by_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("help.ja.md", "# 窓口\n\nここです。");
    write("notes.txt", "not looked at");
    let table = format!("help = {:?}", folder.path());
    let look = open(&table).unwrap();
    let found = look.help(Language::En, Language::Ja).unwrap();
    assert_eq!((found.language, found.blocks.len()), (Language::Ja, 2));
    assert!(look.help(Language::En, Language::En).is_none());

    write("help.de.md", "Hallo");
    let unknown = open(&table).unwrap_err().to_string();
    assert!(unknown.contains("help.de.md"), "{unknown}");
    std::fs::remove_file(folder.path().join("help.de.md")).unwrap();
    write("help.ja.md", "words\n[a](javascript:b)");
    let wrong = open(&table).unwrap_err().to_string();
    assert!(wrong.contains("help.ja.md: line 2"), "{wrong}");
    write("help.ja.md", &"a".repeat(70_000));
    assert!(open(&table).unwrap_err().to_string().contains("bytes"));
    assert!(open("help = \"/nowhere\"").is_err());
}
