//! Rules for a file as a whole: it opens by saying what it is for, and stays short.

use super::Finding;

/// A file past this is two files.
const LONGEST: usize = 500;
/// Tests are lists of cases, read one at a time.
const LONGEST_TESTS: usize = 1000;

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(Finding::new(
            path,
            1,
            "begin the file with `//!`: what it is for and what it refuses to do",
        ));
    }
    let longest = if is_test(path) {
        LONGEST_TESTS
    } else {
        LONGEST
    };
    let lines = text.lines().count();
    if lines > longest {
        findings.push(Finding::new(
            path,
            lines,
            format!("{lines} lines, at most {longest}: move a part of its own into a second file"),
        ));
    }
    findings
}

/// Files that hold nothing but tests, or the cases of tests.
pub(super) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || path.contains("/fixtures/")
        || path.starts_with("tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(check("a/src/x.rs", "//! For this.\n"), []);
        let findings = check("a/src/x.rs", "use std::io;\n");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].to_string().starts_with("a/src/x.rs:1: begin"));
    }

    #[test]
    fn a_file_of_501_lines_is_too_long_and_tests_may_have_1000() {
        let lines = |count: usize| format!("//! x\n{}", "\n".repeat(count - 1));
        assert_eq!(check("a/src/x.rs", &lines(500)), []);
        assert_eq!(check("a/src/x.rs", &lines(501)).len(), 1);
        assert_eq!(check("a/src/x/tests.rs", &lines(1000)), []);
        assert_eq!(check("tests/tests/x.rs", &lines(1001)).len(), 1);
    }
}
