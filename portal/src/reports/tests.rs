//! CSV that stays text, and JSON with the columns' names.

use super::*;

#[test]
fn no_field_is_taken_for_a_formula() {
    for (field, written) in [
        ("=1+1", "'=1+1"),
        ("+81", "'+81"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "\"'\rx\""),
        (
            "=HYPERLINK(\"http://x\",\"y\")",
            "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
        ),
        ("a=b", "a=b"),
        ("a,b", "\"a,b\""),
        ("a\nb", "\"a\nb\""),
        ("", ""),
        ("東京", "東京"),
    ] {
        assert_eq!(
            csv::line(&[field, "x"]),
            format!("{written},x\r\n"),
            "{field:?}"
        );
    }
}

#[test]
fn cells_are_told_by_their_kind() {
    let report = Report {
        columns: &["a", "b", "c", "d", "e"],
        rows: vec![vec![
            "x".into(),
            Cell::Number(3),
            Cell::Time(0),
            Cell::Share(2.0 / 3.0),
            Cell::Nothing,
        ]],
    };
    assert_eq!(
        report.json().to_string(),
        r#"[{"a":"x","b":3,"c":"1970-01-01T00:00:00Z","d":0.667,"e":null}]"#
    );
    assert_eq!(
        report.csv(),
        "a,b,c,d,e\r\nx,3,1970-01-01T00:00:00Z,66.7%,\r\n"
    );
}
