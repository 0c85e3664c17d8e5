//! The portal over HTTPS, with `curl` as the browser and `oathtool` as the phone: what gets in,
//! what does not, and that the door follows.

mod life;
mod login;
mod pages;
mod typed;

use std::{thread, time::Duration};

use anyhow::Result;
use tests::{
    Agent, Portal, Rig,
    portal::{Office, portal_config},
    rig::{Family, must_be_open, must_be_shut},
};

/// Everything running, alice and bob with their phones.
struct House {
    agent: Agent,
    office: Office,
    portal: Portal,
    rig: Rig,
}

impl House {
    fn open() -> Result<Self> {
        let rig = Rig::gateway()?;
        let config = portal_config(&rig);
        Self::open_with(rig, &config)
    }

    /// Limits so wide that a test meets only what it is about.
    fn open_wide() -> Result<Self> {
        let rig = Rig::gateway()?;
        let config = portal_config(&rig)
            + "\n[limits]\nsource_per_minute = 10000\nsource_per_hour = 100000\n\
               global_per_minute = 1000000\nfree_failures = 10\n";
        Self::open_with(rig, &config)
    }

    fn open_with(rig: Rig, config: &str) -> Result<Self> {
        rig.serve()?;
        let agent = Agent::start(&rig)?;
        let office = Office::open_with(&rig, config)?.with_people()?;
        let portal = office.run(&rig)?;
        Ok(Self {
            agent,
            office,
            portal,
            rig,
        })
    }

    /// What the health page says once it has this status; it may be some seconds behind.
    fn health_becomes(&self, status: u16) -> Result<String> {
        let browser = self.portal.browser(&self.rig.layout.gate, "health");
        for _ in 0..50 {
            let page = browser.get(&format!("{}/health", self.portal.url()))?;
            if page.status == status {
                return Ok(page.body);
            }
            thread::sleep(Duration::from_millis(200));
        }
        anyhow::bail!("the health page did not become {status} within 10 s")
    }

    fn web_is_shut(&self) -> Result<()> {
        must_be_shut(&self.rig.layout.client, self.rig.server(Family::V4, 80))
    }

    fn web_is_open(&self) -> Result<()> {
        must_be_open(&self.rig.layout.client, self.rig.server(Family::V4, 80))
    }
}
