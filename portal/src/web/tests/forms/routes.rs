//! Which addresses take a posted form, read from where routes are written down, so that no form can
//! be left out of the walk: axum's router does not say what it holds.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Tests make requests, not routes.
            if path.file_name().unwrap() != "tests" {
                files(&path, ending, found);
            }
        } else if path.extension().is_some_and(|own| own == ending) {
            found.push(path);
        }
    }
}

fn texts(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        ending,
        &mut found,
    );
    assert!(!found.is_empty(), "{folder} is somewhere else by now");
    found
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// The routes of all source files that take POST.
pub(super) fn of_the_router() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for text in texts("src", "rs") {
        for other in [concat!(".route_", "service("), concat!("post_", "service(")] {
            assert!(!text.contains(other), "{other} is not walked");
        }
        for rest in text.split(".route(").skip(1) {
            let path = rest.split('"').nth(1).unwrap();
            // What follows the path, up to the next route or the statement's end.
            let methods = rest.split(';').next().unwrap();
            for other in ["put(", "patch(", "delete(", "any(", "on("] {
                let said = methods.match_indices(other).any(|(at, _)| {
                    let before = methods[..at].chars().next_back();
                    !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
                });
                assert!(!said, "{path}: {other} is not walked");
            }
            if methods.contains("post(") {
                assert!(path.starts_with('/'), "{path} is not written as a text");
                routes.insert(path.to_owned());
            }
        }
    }
    routes
}

/// The actions written in templates; one that is computed is left out.
pub(super) fn of_the_templates() -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for text in texts("templates", "html") {
        let forms = text.split("<form").skip(1);
        for form in forms {
            let action = form.split(" action=\"").nth(1);
            let action = action.and_then(|rest| rest.split('"').next());
            let action = action.expect("a form without an action posts to whatever page it is on");
            if !action.contains('{') {
                actions.insert(action.to_owned());
            }
        }
    }
    actions
}
