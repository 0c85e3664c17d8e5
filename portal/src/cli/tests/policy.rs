//! The policy templates under `deploy/policy` name verbs that exist, the same in both languages.

use super::*;

/// What stands as a verb of the portal in a text.
fn named(text: &str) -> Vec<String> {
    text.split('`')
        .filter(|part| part.starts_with("sekisho-portal "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn verbs_in_the_policy_templates_are_verbs_of_the_portal() {
    let english = named(include_str!("../../../../deploy/policy/devices.en.md"));
    let japanese = named(include_str!("../../../../deploy/policy/devices.ja.md"));
    assert!(english.len() >= 6, "{english:?}");
    assert_eq!(english, japanese);
    for line in &english {
        let parsed = Arguments::try_parse_from(line.split(' '));
        assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
    }
}
