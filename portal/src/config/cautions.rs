//! What is allowed and still worth a second look; said by `check` and at every start.

use super::{Config, Directory, Opens};
use crate::{directory::Dn, enrol::Origin};

impl Config {
    /// Sentences that each say what may happen and what to do.
    pub(crate) fn cautions(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let (Some(desk), Directory::Ldap(settings)) = (&self.desk, &self.directory)
            && !settings.narrows_groups()
            && !desk.groups().all(|group| is_full(group))
        {
            said.push(
                "[desk] gives roles to directory groups, and without group_base of [directory] a \
                 group counts by its first name wherever it lies: whoever may make groups anywhere \
                 can make a desk; set group_base, or write the groups as full DNs"
                    .to_owned(),
            );
        }
        let held = &self.enrolment;
        let is_limited = !held.networks.is_empty() || !held.hours.is_empty();
        if is_limited && held.covers.contains(&Origin::Ticket) {
            let codes = self.recovery.opens != Opens::Nothing;
            let by_code = codes && !held.covers.contains(&Origin::Recovery);
            if !by_code {
                said.push(
                    "[enrolment] holds for every way to set up another authenticator: who loses a \
                     phone elsewhere or at another time stays out until then; leave \"recovery\" \
                     out of `covers` and have recovery codes ([recovery]), or leave \"ticket\" out"
                        .to_owned(),
                );
            }
        }
        said
    }
}

/// Whether a group is given by its full name, which is compared with full names only.
fn is_full(group: &str) -> bool {
    Dn::parse(group).is_some_and(|name| name.is_full())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cautions(directory: &str, more: &str) -> Vec<String> {
        let text = format!(
            "[portal]\nname = \"x\"\nissuer = \"x\"\ncontact = \"x\"\nlisten = [\"127.0.0.1:0\"]\n\
             [tls]\nself_signed = \"/tmp\"\n[directory]\n{directory}\n{more}"
        );
        let path = std::path::Path::new("portal.toml");
        Config::parse(path, &text).unwrap().cautions()
    }

    const LDAP: &str = "kind = \"ldap\"\nurls = [\"ldaps://dc1\"]\nbase = \"dc=x\"";
    const LOCAL: &str = "kind = \"local\"\nfile = \"users.toml\"";
    const DESK: &str = "[desk]\nhelpdesk_groups = [\"it\"]\nfrom = [\"192.0.2.0/24\"]";

    #[test]
    fn desk_roles_from_groups_anywhere_are_told() {
        let told = cautions(LDAP, DESK);
        assert!(told[0].contains("group_base"), "{told:?}");
        let ad = format!("{LDAP}\nflavour = \"ad\"");
        assert_eq!(
            cautions(&ad, DESK).len(),
            1,
            "a default says nothing of groups"
        );
        let base = format!("{LDAP}\ngroup_base = \"ou=groups,dc=x\"");
        assert!(cautions(&base, DESK).is_empty());
        for all in ["", "dc=x"] {
            let all = format!("{LDAP}\ngroup_base = \"{all}\"");
            assert_eq!(cautions(&all, DESK).len(), 1, "that narrows nothing");
        }
        let full = DESK.replace("\"it\"", "\"cn=it,ou=groups,dc=x\"");
        assert!(cautions(LDAP, &full).is_empty());
        assert!(cautions(LDAP, "").is_empty() && cautions(LOCAL, DESK).is_empty());
    }

    #[test]
    fn limits_of_enrolment_that_leave_no_way_back_are_told() {
        let limits = "[enrolment]\nnetworks = [\"192.0.2.0/24\"]\n";
        assert!(
            cautions(LOCAL, limits).is_empty(),
            "recovery codes are left"
        );
        let none = format!("{limits}[recovery]\nopens = \"nothing\"");
        assert!(cautions(LOCAL, &none)[0].contains("stays out"));
        let all = format!("{limits}covers = [\"ticket\", \"recovery\"]");
        assert_eq!(cautions(LOCAL, &all).len(), 1);
        let own = format!("{limits}covers = [\"own-page\"]\n[recovery]\nopens = \"nothing\"");
        assert!(cautions(LOCAL, &own).is_empty(), "tickets are left");
    }
}
