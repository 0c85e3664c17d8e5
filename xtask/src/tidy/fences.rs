//! Words that may stand in a few files only: `unsafe`, the clocks, and the name of the library
//! that touches the kernel. Comments and strings do not count.

use super::{Finding, files};

/// Files that may say `unsafe`, each with the reason. A folder ends in `/`.
const UNSAFE: &[(&str, &str)] = &[
    (
        "filter-ebpf/src/",
        "a kernel program reads the packet and its maps through raw pointers",
    ),
    (
        "agent/src/kernel/",
        "values of maps are plain memory, and batches are a raw system call",
    ),
    (
        "tests/src/bench/sys.rs",
        "running a loaded program on frames is a raw system call",
    ),
    (
        "tests/src/loaded/call.rs",
        "millions of packets go through one raw system call without an allocation",
    ),
    (
        "tests/src/wire.rs",
        "raw packet sockets have an address type without a safe constructor",
    ),
];

/// Only files of this name read a clock.
const CLOCK: &str = "/clock.rs";
const CLOCKS: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "clock_gettime",
    "bpf_ktime_get_ns",
    "bpf_ktime_get_boot_ns",
    "bpf_ktime_get_coarse_ns",
];

/// Only the agent's kernel module, the kernel program itself and the tests name aya.
const AYA: &[&str] = &[
    "agent/src/kernel/",
    "agent/src/kernel.rs",
    "agent/build.rs",
    "filter-ebpf/",
    "tests/",
];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut block = false;
    for (number, line) in text.lines().enumerate() {
        let code = code_of(line, &mut block);
        let mut tell = |what: String| findings.push(Finding::new(path, number + 1, what));
        if has_word(&code, "unsafe") && !UNSAFE.iter().any(|(place, _)| within(path, place)) {
            tell(
                "`unsafe` outside its fence: do it safely, or add the file with its reason to \
                  xtask/src/tidy/fences.rs"
                    .into(),
            );
        }
        if let Some(clock) = CLOCKS.iter().find(|clock| code.contains(*clock))
            && reads_no_clock(path)
        {
            tell(format!(
                "`{clock}` outside clock.rs: take the time as a parameter"
            ));
        }
        if names_aya(&code) && !AYA.iter().any(|place| within(path, place)) {
            tell("aya is named outside agent/src/kernel/: go through that module".into());
        }
    }
    findings
}

/// Fences around nothing: a listed file that is gone or holds no `unsafe` any more.
pub(super) fn stale(sources: &[(String, String)]) -> Vec<Finding> {
    UNSAFE
        .iter()
        .filter(|(place, _)| {
            !sources
                .iter()
                .any(|(path, text)| within(path, place) && has_word(text, "unsafe"))
        })
        .map(|(place, _)| {
            Finding::new(
                "xtask/src/tidy/fences.rs",
                1,
                format!("{place} holds no `unsafe`: take it off the list"),
            )
        })
        .collect()
}

fn within(path: &str, place: &str) -> bool {
    if place.ends_with('/') {
        path.starts_with(place)
    } else {
        path == place
    }
}

/// The kernel program's clock is its caller's; everybody else has a `clock.rs`.
fn reads_no_clock(path: &str) -> bool {
    !path.ends_with(CLOCK) && !files::is_test(path)
}

fn names_aya(code: &str) -> bool {
    ["aya", "aya_obj", "aya_log"]
        .iter()
        .any(|name| code.contains(&format!("{name}::")) || code.contains(&format!("use {name};")))
        && !code.contains("xtask")
}

/// The line without comments and without what stands in quotes. Good enough for lines that
/// rustfmt made; a raw string over several lines is read as code, which errs on the strict side.
fn code_of(line: &str, block: &mut bool) -> String {
    let mut code = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        if *block {
            let Some((_, after)) = rest.split_once("*/") else {
                return code;
            };
            *block = false;
            rest = after;
        } else if rest.starts_with("//") {
            return code;
        } else if let Some(after) = rest.strip_prefix("/*") {
            *block = true;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('"') {
            rest = after_string(after);
        } else {
            let mut letters = rest.chars();
            code.extend(letters.next());
            rest = letters.as_str();
        }
    }
    code
}

fn after_string(text: &str) -> &str {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '"' => break,
            _ => {}
        }
    }
    letters.as_str()
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|found| found == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_is_found_outside_its_fence_only() {
        let text = "//! x\nfn a() {\n    unsafe { b() }\n}\n";
        let findings = check("portal/src/x.rs", text);
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0]
                .to_string()
                .starts_with("portal/src/x.rs:3: `unsafe`")
        );
        assert_eq!(check("filter-ebpf/src/main.rs", text), []);
    }

    #[test]
    fn comments_strings_and_longer_words_are_not_unsafe() {
        let text = "//! unsafe\nlet a = \"unsafe \\\" unsafe\"; // unsafe\n/* unsafe\nunsafe */\n\
                    #![forbid(unsafe_code)]\n";
        assert_eq!(check("portal/src/x.rs", text), []);
    }

    #[test]
    fn clocks_are_read_in_clock_rs_and_in_tests() {
        let text = "let now = Instant::now();\n";
        assert_eq!(check("agent/src/ledger.rs", text).len(), 1);
        assert_eq!(check("agent/src/clock.rs", text), []);
        assert_eq!(check("agent/src/ledger/tests.rs", text), []);
    }

    #[test]
    fn aya_is_named_by_the_kernel_module_only() {
        let text = "use aya::maps::HashMap;\n";
        assert_eq!(check("agent/src/api.rs", text).len(), 1);
        assert_eq!(check("agent/src/kernel/maps.rs", text), []);
        assert_eq!(check("agent/src/kernel.rs", text), []);
        assert_eq!(check("agent/src/api.rs", "// like aya::maps\n"), []);
    }

    #[test]
    fn a_fence_around_nothing_is_reported() {
        let sources = [("filter-ebpf/src/main.rs".to_owned(), "unsafe {}".to_owned())];
        let findings = stale(&sources);
        assert_eq!(findings.len(), UNSAFE.len() - 1);
        assert!(findings[0].what.contains("off the list"));
    }
}
