//! A portal in a network whose people are in the fake directory: alice and bob with their phones, a
//! gateway and what is behind it.

use anyhow::Result;

use super::FakeAd;
use crate::{
    Agent, Portal, Rig,
    portal::{ALICE_SECRET, BOB_SECRET, Office, portal_config},
    rig::replaced,
    slapd::Certificates,
};

/// Everything running.
pub struct House {
    pub ad: FakeAd,
    pub portal: Portal,
    pub office: Office,
    _agent: Agent,
    pub rig: Rig,
}

impl House {
    /// `urls`: where the portal looks for the directory. `more`: lines of `[directory]`.
    pub fn open(urls: impl FnOnce(&FakeAd) -> Result<Vec<String>>, more: &str) -> Result<Self> {
        let rig = Rig::gateway()?;
        rig.serve()?;
        let agent = Agent::start(&rig)?;
        let certificates = Certificates::make(&rig.path("tls"), "IP:127.0.0.1")?;
        let ad = FakeAd::start(&certificates, Some(&rig.layout.gate))?;
        let local = format!(
            "kind = \"local\"\nfile = \"{}/portal/users.toml\"\n",
            rig.folder().display()
        );
        let directory = ad.config(rig.folder(), &certificates, &urls(&ad)?)? + more;
        let config = replaced(&portal_config(&rig), &local, &directory)?
            + "[limits]\nsource_per_minute = 10000\nsource_per_hour = 100000\nfree_failures = 10\n";
        let office = Office::open_with(&rig, &config)?;
        office.token("alice", ALICE_SECRET)?;
        office.token("bob", BOB_SECRET)?;
        let portal = office.run(&rig)?;
        Ok(Self {
            ad,
            portal,
            office,
            _agent: agent,
            rig,
        })
    }
}
