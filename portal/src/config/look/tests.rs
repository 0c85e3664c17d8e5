//! Colours people can read are taken, others are refused with the figure.

use super::*;

fn look(text: &str) -> Result<Look, String> {
    toml::from_str(text).map_err(|e| e.message().to_owned())
}

#[test]
fn contrast_is_that_of_wcag() {
    let grey = Colour::parse("#767676").unwrap();
    assert!((Colour::WHITE.contrast(Colour::BLACK) - 21.0).abs() < 1e-9);
    assert!((grey.contrast(Colour::WHITE) - 4.54).abs() < 0.01);
    assert!((Colour::WHITE.contrast(Colour::WHITE) - 1.0).abs() < 1e-9);
}

#[test]
fn accent_that_cannot_be_read_is_refused_with_its_contrast() {
    let pale = look("accent = \"#7fb3ff\"").unwrap_err();
    assert!(
        pale.contains("light pages") && pale.contains(":1"),
        "{pale}"
    );
    assert!(pale.contains("take a darker one"), "{pale}");
    let dark = look("accent_dark = \"#2f4b9b\"").unwrap_err();
    assert!(
        dark.contains("dark pages") && dark.contains("lighter"),
        "{dark}"
    );
    // Enough on white, too little on the page's grey.
    assert!(look("accent = \"#767676\"").is_err());
    assert!(look("accent = \"#2f4b9b\"\naccent_dark = \"#93acf5\"").is_ok());
}

#[test]
fn what_is_no_colour_is_refused() {
    for text in ["red", "#123", "#12345g", "2f4b9b", "#2f4b9b;}", ""] {
        let refused = look(&format!("accent = {text:?}")).unwrap_err();
        assert!(refused.contains("is no colour"), "{text}: {refused}");
    }
    assert!(look("colour = \"#000000\"").is_err());
}

#[test]
fn feedback_goes_by_mail_or_to_a_page_under_tls_and_nowhere_else() {
    for to in ["mailto:it@example.org", "https://example.org/form?id=1"] {
        let taken = look(&format!("feedback = {to:?}")).unwrap();
        assert_eq!(taken.feedback.unwrap().as_str(), to);
    }
    for to in [
        "",
        "https://",
        "http://example.org",
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "https://example.org/\" onclick=\"x",
        "mailto:a b@example.org",
    ] {
        let refused = look(&format!("feedback = {to:?}")).unwrap_err();
        assert!(refused.contains("https:// or mailto:"), "{to}: {refused}");
    }
}

#[test]
fn one_accent_is_made_readable_on_dark_pages() {
    for text in ["#2f4b9b", "#000000", "#7a1010", "#005f3c"] {
        let (light, dark) = look(&format!("accent = {text:?}")).unwrap().accents();
        assert_eq!(light.unwrap().to_string(), text);
        assert_eq!(unreadable(dark.unwrap(), &DARK), None, "{text}");
    }
    assert_eq!(Look::default().accents(), (None, None));
}

#[test]
fn colours_mix_by_shares() {
    let half = Colour::BLACK.mixed(Colour::WHITE, 0.5);
    assert!(matches!(half.to_string().as_str(), "#7f7f7f" | "#808080"));
    assert_eq!(Colour::BLACK.mixed(Colour::WHITE, 0.0), Colour::BLACK);
    assert_eq!(Colour::BLACK.mixed(Colour::WHITE, 1.0), Colour::WHITE);
}
