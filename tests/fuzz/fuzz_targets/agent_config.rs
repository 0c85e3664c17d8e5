//! Any text as the agent's configuration: taken or refused with a place and a reason, and what is
//! taken protects and grants something that can be said back.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

#[path = "../../../agent/src"]
mod agent {
    #[allow(dead_code, unused_imports, reason = "only the parser is of interest")]
    pub(super) mod config;
}

fuzz_target!(|text: &str| {
    match agent::config::Config::parse(Path::new("agent.toml"), text) {
        Ok(config) => {
            // Names are unique, or a grant would not know what it opens.
            for service in &config.services {
                let same = config.service(&service.name).is_some();
                assert!(same, "{} is not found by its name", service.name);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
