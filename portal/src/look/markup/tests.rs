//! What is written becomes blocks, and never anything else.

use super::*;

fn text(text: &str) -> Span {
    Span::Text(text.into())
}

#[test]
fn headings_paragraphs_and_lists_are_read() {
    let source = "# Phones\n\nTake yours\nwith you.\n\n## At home\n- one\n- two\n  goes on\n\n1. first\n2. second\nlast words\n\nEnd.";
    let expected = [
        Block::Heading {
            first: true,
            text: "Phones".into(),
        },
        Block::Paragraph(vec![text("Take yours"), text(" "), text("with you.")]),
        Block::Heading {
            first: false,
            text: "At home".into(),
        },
        Block::List {
            ordered: false,
            items: vec![
                vec![text("one")],
                vec![text("two"), text(" "), text("goes on")],
            ],
        },
        Block::List {
            ordered: true,
            items: vec![
                vec![text("first")],
                vec![text("second"), text(" "), text("last words")],
            ],
        },
        Block::Paragraph(vec![text("End.")]),
    ];
    assert_eq!(parse(source).unwrap(), expected);
    assert_eq!(parse("").unwrap(), []);
}

#[test]
fn links_lead_to_https_and_mail_only() {
    let link = |words: &str, to: &str| Span::Link {
        text: words.into(),
        to: to.into(),
    };
    let read =
        parse("See [the wiki](https://wiki.example.com/a?b=1) or [us](mailto:it@example.com).");
    let expected = vec![
        text("See "),
        link("the wiki", "https://wiki.example.com/a?b=1"),
        text(" or "),
        link("us", "mailto:it@example.com"),
        text("."),
    ];
    assert_eq!(read.unwrap(), [Block::Paragraph(expected)]);
    for to in [
        "javascript:alert(1",
        "http://example.com",
        "data:text/html,x",
        "//example.com",
        "/devices",
        "HTTPS://example.com",
        "https://",
        "https://a b",
        "https://a\"b",
        " https://a",
    ] {
        let (line, what) = parse(&format!("words\n\n[a]({to})")).unwrap_err();
        assert_eq!(line, 3);
        assert!(what.contains("not taken"), "{what}");
    }
}

#[test]
fn what_is_no_markup_stays_as_it_is_written() {
    for line in [
        "<script>alert(1)</script>",
        "#no heading",
        "####### seven",
        "-no item",
        "1.no item",
        "2026. was",
        "[a] (b)",
        "[a](b",
        "[](https://example.com)",
        "a [b [c",
        "![a",
    ] {
        assert_eq!(
            parse(line).unwrap(),
            [Block::Paragraph(vec![text(line)])],
            "{line}"
        );
    }
}
