//! What kinds of servers differ in: names of attributes and how groups within groups are found.
//! A flavour only changes defaults; each setting can still be given.

use serde::Deserialize;

/// Which defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flavour {
    /// OpenLDAP, 389 Directory Server and most others.
    #[default]
    Standard,
    /// Active Directory, domain controller or Global Catalog.
    Ad,
}

/// How groups that contain a person's groups are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Nested {
    /// Not at all: direct groups only.
    None,
    /// The server does it, by Active Directory's matching rule 1.2.840.113556.1.4.1941.
    Rule,
    /// By asking for the groups of the groups, level by level.
    Walk,
}

/// Defaults of a flavour.
pub(super) struct Usual {
    pub(super) user_filter: &'static str,
    pub(super) name_attribute: &'static str,
    pub(super) id_attribute: &'static str,
    pub(super) group_base: Option<String>,
    pub(super) nested: Nested,
}

impl Flavour {
    pub(super) fn usual(self, base: &str) -> Usual {
        match self {
            Self::Standard => Usual {
                user_filter: "(uid={user})",
                name_attribute: "uid",
                id_attribute: "entryUUID",
                group_base: None,
                nested: Nested::None,
            },
            // objectCategory keeps computers out, which are users to AD.
            Self::Ad => Usual {
                user_filter: "(&(objectCategory=person)(objectClass=user)\
                              (|(sAMAccountName={user})(userPrincipalName={user})))",
                name_attribute: "sAMAccountName",
                id_attribute: "objectGUID",
                group_base: Some(base.to_owned()),
                nested: Nested::Rule,
            },
        }
    }
}

impl Nested {
    /// The filter that finds somebody's groups, unless one is given.
    pub(super) fn group_filter(self) -> &'static str {
        match self {
            Self::None | Self::Walk => "(member={dn})",
            Self::Rule => "(&(objectCategory=group)(member:1.2.840.113556.1.4.1941:={dn}))",
        }
    }

    pub(super) fn check(self, group_base: Option<&str>, group_filter: &str) -> Result<(), String> {
        if self == Self::None {
            return Ok(());
        }
        if group_base.is_none() {
            return Err("nested groups are found by a search: set group_base, too".into());
        }
        if !group_filter.contains("{dn}") {
            return Err("nested groups need {dn} in group_filter".into());
        }
        Ok(())
    }
}
