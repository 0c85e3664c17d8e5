//! Mode, lockdown, and other services: each change is recorded, then put in force all at once.

use agent_api::{Applied, AuditKind, Interface, Mode, Problem, ProblemCode};

use super::{AGENT_ACTOR, Caller, Closing, Engine, ProblemBox, State, problem};
use crate::{
    config::{Config, Service},
    kernel::Switches,
    ledger::{Entry, Ledger, LedgerError, Selection},
    policy,
};

const MODE: &str = "mode";
const LOCKDOWN: &str = "lockdown";

/// The switches as an operator left them; the configuration's mode at the very first start.
pub(super) async fn remembered(ledger: &Ledger, config: &Config) -> Result<Switches, LedgerError> {
    let mode = ledger.setting(MODE).await?;
    let observe = mode.as_deref().unwrap_or(config.filter.mode.name()) == Mode::Observe.name();
    let lockdown = ledger.setting(LOCKDOWN).await?.as_deref() == Some("on");
    Ok(Switches {
        observe,
        lockdown,
        ether_types: config.filter.pass_ether_types.clone(),
    })
}

impl Engine {
    /// Sets enforce or observe, for now and after a restart.
    pub async fn set_mode(&self, caller: &Caller, mode: Mode) -> Result<(), Problem> {
        let before = mode_of(&self.state().switches);
        let reason = format!("{} to {}", before.name(), mode.name());
        if mode == Mode::Observe && before == Mode::Enforce {
            self.clear_impact()?;
        }
        let change = |switches: &mut Switches| switches.observe = mode == Mode::Observe;
        let entry = Entry {
            reason: Some(reason),
            ..Entry::ok(AuditKind::Mode, &caller.name())
        };
        self.switch(MODE, mode.name(), entry, change).await
    }

    /// While on, no grant admits a packet and none opens.
    pub async fn set_lockdown(&self, caller: &Caller, on: bool) -> Result<(), Problem> {
        let word = if on { "on" } else { "off" };
        let entry = Entry {
            reason: Some(word.into()),
            ..Entry::ok(AuditKind::Lockdown, &caller.name())
        };
        self.switch(LOCKDOWN, word, entry, |switches| switches.lockdown = on)
            .await
    }

    async fn switch(
        &self,
        setting: &str,
        value: &str,
        entry: Entry,
        change: impl Fn(&mut Switches),
    ) -> Result<(), Problem> {
        let work = async {
            let mut turn = self.turn().await;
            let before = self.state().switches.clone();
            let mut next = before.clone();
            change(&mut next);
            // Closing writes the kernel first, opening writes the record first.
            let closing = (next.lockdown && !before.lockdown) || (before.observe && !next.observe);
            if closing {
                self.put_in_force(&next)?;
            }
            let recorded = async {
                let mut writing = self.ledger.write().await?;
                crate::ledger::put_setting(&mut writing, setting, value).await?;
                self.commit(&mut turn, writing, self.now().wall, vec![entry])
                    .await
            };
            match recorded.await {
                Err(error) if closing => {
                    let text = format!(
                        "{setting} {value} is in force, but the ledger could not record it ({error}): a restart of the agent would lose it; check the disk and say it again"
                    );
                    return Err(problem(ProblemCode::Unavailable, text).into());
                }
                other => other?,
            }
            if !closing {
                self.put_in_force(&next)?;
            }
            Ok::<(), ProblemBox>(())
        };
        work.await.map_err(|error| error.0)
    }

    fn put_in_force(&self, switches: &Switches) -> Result<(), ProblemBox> {
        self.maps.switch(switches)?;
        self.replace_state(|state| state.switches = switches.clone());
        Ok(())
    }

    /// Puts the configuration that the engine was made with in force, before anything is attached.
    /// Grants of services that are gone end.
    pub async fn start(&self) -> Result<u64, ProblemBox> {
        let state = self.state();
        let closed = self.close_unknown_services(&state).await?;
        let policy = policy::compile(&state.config, &state.ids)
            .map_err(|error| problem(ProblemCode::BadRequest, error.to_string()))?;
        self.maps.apply(&policy, &state.switches)?;
        Ok(closed)
    }

    /// Notes what the filter is attached to.
    pub fn attached(&self, interfaces: Vec<Interface>, took_over: bool) {
        self.replace_state(|state| {
            state.interfaces = interfaces;
            state.took_over = took_over;
        });
    }

    /// Reads the configuration again and puts its services in force.
    pub async fn reload(&self, caller: &Caller) -> Result<Applied, Problem> {
        let config = Config::load(&self.config_path)
            .map_err(|error| problem(ProblemCode::BadRequest, error.to_string()))?;
        self.apply(caller, config).await.map_err(|error| error.0)
    }

    async fn apply(&self, caller: &Caller, config: Config) -> Result<Applied, ProblemBox> {
        let old = self.state();
        let names: Vec<&str> = config.services.iter().map(|s| s.name.as_str()).collect();
        let ids = self.ledger.service_ids(&names).await?;
        let policy = policy::compile(&config, &ids)
            .map_err(|error| problem(ProblemCode::BadRequest, error.to_string()))?;
        let mut applied = difference(&old.config, &config);
        // What a restart is needed for stays as it is until then.
        let config = Config {
            socket: old.config.socket.clone(),
            ledger: old.config.ledger.clone(),
            filter: crate::config::Filter {
                other_ports_pass: config.filter.other_ports_pass,
                protect: config.filter.protect,
                pass_ether_types: config.filter.pass_ether_types,
                icmp_errors: config.filter.icmp_errors,
                drop_samples: config.filter.drop_samples,
                ..old.config.filter.clone()
            },
            ..config
        };
        {
            let mut turn = self.turn().await;
            let mut switches = self.state().switches.clone();
            switches
                .ether_types
                .clone_from(&config.filter.pass_ether_types);
            let reason = format!(
                "added [{}], removed [{}], changed [{}]",
                applied.added.join(" "),
                applied.removed.join(" "),
                applied.changed.join(" ")
            );
            let entry = Entry {
                reason: Some(reason),
                ..Entry::ok(AuditKind::Config, &caller.name())
            };
            let writing = self.ledger.write().await?;
            self.commit(&mut turn, writing, self.now().wall, vec![entry])
                .await?;
            self.maps.apply(&policy, &switches)?;
            self.replace_state(|state| {
                state.config = config;
                state.ids = ids;
                state.switches = switches;
            });
        }
        applied.closed = self.close_unknown_services(&self.state()).await?;
        Ok(applied)
    }

    /// Ends the grants of services that the configuration does not have any more, or that became
    /// public.
    async fn close_unknown_services(&self, state: &State) -> Result<u64, ProblemBox> {
        let mut closed = 0;
        for (name, &id) in &state.ids {
            let granted = |service: &Service| service.kind == agent_api::ServiceKind::Granted;
            if state.config.service(name).is_some_and(granted) {
                continue;
            }
            let mut turn = self.turn().await;
            let rows = self
                .ledger
                .holders(&Selection {
                    service: Some(id),
                    ..Selection::default()
                })
                .await?;
            if rows.is_empty() {
                continue;
            }
            let none = std::collections::HashMap::new();
            self.shut(&rows, &none)?;
            let closing = Closing {
                kind: AuditKind::Close,
                actor: AGENT_ACTOR.into(),
                reason: Some("the service was removed from the configuration".into()),
                request_id: None,
            };
            closed += rows.len() as u64;
            self.strike(&mut turn, rows, &none, &closing, self.now())
                .await?;
        }
        Ok(closed)
    }
}

pub(super) fn mode_of(switches: &Switches) -> Mode {
    if switches.observe {
        Mode::Observe
    } else {
        Mode::Enforce
    }
}

fn difference(old: &Config, new: &Config) -> Applied {
    let names = |from: &Config, keep: &dyn Fn(&Service) -> bool| -> Vec<String> {
        from.services
            .iter()
            .filter(|s| keep(s))
            .map(|s| s.name.clone())
            .collect()
    };
    let mut applied = Applied {
        added: names(new, &|service| old.service(&service.name).is_none()),
        removed: names(old, &|service| new.service(&service.name).is_none()),
        changed: names(new, &|service| {
            old.service(&service.name).is_some_and(|o| o != service)
        }),
        ..Applied::default()
    };
    let fixed = [
        ("agent.socket", old.socket != new.socket),
        ("agent.ledger", old.ledger != new.ledger),
        (
            "filter.interfaces",
            old.filter.interfaces != new.filter.interfaces,
        ),
        (
            "filter.xdp_mode",
            old.filter.xdp_mode != new.filter.xdp_mode,
        ),
        (
            "filter.capacity",
            old.filter.capacity != new.filter.capacity,
        ),
        ("filter.bpffs", old.filter.bpffs != new.filter.bpffs),
        (
            "filter.debug_log",
            old.filter.debug_log != new.filter.debug_log,
        ),
    ];
    applied.needs_restart = fixed
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| (*key).to_owned())
        .collect();
    applied
}
