//! People and groups of the fake, with the attributes and in the forms that Active Directory has.

use std::collections::BTreeMap;

use super::{BASE, SEARCHER, SEARCHER_PASSWORD};

/// One entry. Names of attributes are kept as Active Directory writes them.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub dn: String,
    pub password: String,
    attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

/// All entries.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    pub entries: Vec<Entry>,
}

/// Sixteen bytes that are no UTF-8.
pub fn guid(number: u8) -> Vec<u8> {
    (0..16)
        .map(|at| 0xf0 ^ number.wrapping_mul(17) ^ at)
        .collect()
}

pub(super) fn person_dn(name: &str) -> String {
    format!("CN={name},OU=People,{BASE}")
}

fn group_dn(name: &str) -> String {
    format!("CN={name},OU=Groups,{BASE}")
}

impl Entry {
    fn new(dn: &str) -> Self {
        Self {
            dn: dn.to_owned(),
            ..Self::default()
        }
    }

    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self
            .attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values.as_slice())
    }

    /// Replaces an attribute.
    pub fn set(&mut self, name: &str, values: &[&str]) -> &mut Self {
        let values = values.iter().map(|value| value.as_bytes().to_vec());
        self.attributes.insert(name.to_owned(), values.collect());
        self
    }

    pub fn set_bytes(&mut self, name: &str, value: Vec<u8>) -> &mut Self {
        self.attributes.insert(name.to_owned(), vec![value]);
        self
    }

    pub fn remove(&mut self, name: &str) {
        self.attributes.remove(name);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.attributes.keys()
    }

    fn number(&self, name: &str) -> i64 {
        let text = self.values(name).first().cloned().unwrap_or_default();
        String::from_utf8_lossy(&text).parse().unwrap_or(-1)
    }

    /// What the domain controller says to a password (MS-ADTS 3.1.1.3.4.5 and its `data` codes).
    pub(super) fn judge(&self, password: &[u8]) -> Result<(), &'static str> {
        let has = |name, bit| self.number(name) > 0 && self.number(name) & bit != 0;
        let computed = "msDS-User-Account-Control-Computed";
        if has(computed, 0x10) {
            return Err("775");
        }
        if password != self.password.as_bytes() {
            return Err("52e");
        }
        if has("userAccountControl", 2) {
            return Err("533");
        }
        // Every moment that these tests set lies in the past, or is one of the two for "never".
        if (1..i64::MAX).contains(&self.number("accountExpires")) {
            return Err("701");
        }
        if self.number("pwdLastSet") == 0 {
            return Err("773");
        }
        if has(computed, 0x80_0000) {
            return Err("532");
        }
        Ok(())
    }
}

impl Forest {
    /// Alice of team, which is part of staff, which is part of team; bob of staff and admins.
    pub(super) fn usual() -> Self {
        let mut forest = Self::default();
        let mut searcher = Entry::new(SEARCHER);
        searcher.password = SEARCHER_PASSWORD.into();
        forest.entries.push(searcher);
        forest.add_person("alice", "correct horse", 1);
        forest.add_person("bob", "battery staple", 2);
        let (alice, bob) = (person_dn("alice"), person_dn("bob"));
        let (team, staff) = (group_dn("team"), group_dn("staff"));
        forest.add_group("team", &[&alice, &staff]);
        forest.add_group("staff", &[&team, &bob]);
        forest.add_group("admins", &[&bob]);
        forest
    }

    pub fn add_person(&mut self, name: &str, password: &str, number: u8) {
        let mut entry = Entry::new(&person_dn(name));
        entry.password = password.into();
        entry
            .set("objectCategory", &["person"])
            .set(
                "objectClass",
                &["top", "person", "organizationalPerson", "user"],
            )
            .set("sAMAccountName", &[name])
            .set("userPrincipalName", &[&format!("{name}@example.org")])
            .set("userAccountControl", &["512"])
            .set("msDS-User-Account-Control-Computed", &["0"])
            .set("accountExpires", &["9223372036854775807"])
            .set("pwdLastSet", &["133000000000000000"])
            .set_bytes("objectGUID", guid(number));
        self.entries.push(entry);
    }

    pub fn add_group(&mut self, name: &str, members: &[&str]) {
        let mut entry = Entry::new(&group_dn(name));
        entry
            .set("objectCategory", &["group"])
            .set("objectClass", &["top", "group"])
            .set("cn", &[name])
            .set("member", members);
        self.entries.push(entry);
    }

    /// Changes a person.
    pub fn alter(&mut self, name: &str, work: impl Fn(&mut Entry)) {
        let dn = person_dn(name);
        let them = self.entries.iter_mut().filter(|entry| entry.dn == dn);
        them.for_each(work);
    }

    pub fn remove_person(&mut self, name: &str) {
        let dn = person_dn(name);
        self.entries.retain(|entry| entry.dn != dn);
    }

    /// Takes a person out of a group.
    pub fn leave(&mut self, group: &str, name: &str) {
        let (group, person) = (group_dn(group), person_dn(name));
        for entry in self.entries.iter_mut().filter(|entry| entry.dn == group) {
            let members = entry.attributes.get_mut("member");
            if let Some(members) = members {
                members.retain(|member| *member != person.as_bytes());
            }
        }
    }

    /// Direct groups, which are the values of `memberOf`.
    pub(super) fn member_of(&self, dn: &str) -> Vec<Vec<u8>> {
        let has = |entry: &&Entry| {
            let members = entry.values("member");
            members
                .iter()
                .any(|member| member.eq_ignore_ascii_case(dn.as_bytes()))
        };
        let groups = self.entries.iter().filter(has);
        groups.map(|group| group.dn.as_bytes().to_vec()).collect()
    }

    /// True: the DN is a member of the group, directly or through other groups.
    pub(super) fn contains(&self, group: &Entry, dn: &str, seen: &mut Vec<String>) -> bool {
        let id = group.dn.to_lowercase();
        if seen.contains(&id) {
            return false;
        }
        seen.push(id);
        group.values("member").iter().any(|member| {
            member.eq_ignore_ascii_case(dn.as_bytes())
                || self
                    .entries
                    .iter()
                    .filter(|entry| entry.dn.as_bytes().eq_ignore_ascii_case(member))
                    .any(|inner| self.contains(inner, dn, seen))
        })
    }
}
