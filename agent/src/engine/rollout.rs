//! Other services and settings: shown before, recorded, put in force all at once, and undone by
//! themselves when nobody confirms them.
//!
//! Everything that is compared is read inside one turn, so that two changes at once cannot be
//! mixed. What needs a restart stays as it is until then.

mod difference;
mod trial;

use agent_api::{
    Applied, AuditKind, ConfigApplied, ConfigRequest, ConfigSettled, Difference, Problem,
    ProblemCode, ServiceKind,
};

use super::{AGENT_ACTOR, Caller, Closing, Engine, ProblemBox, Turn, problem};
use crate::{
    config::{Config, Service, Staged, seconds_text},
    kernel::Switches,
    ledger::{Entry, HolderRow, Ipv6Holders, Selection},
    policy::{self, Policy, ServiceIds},
};

pub(crate) use trial::Pending;
pub(super) use trial::resumed;

/// A configuration that only has to be put in force.
struct Next {
    config: Config,
    ids: ServiceIds,
    policy: Policy,
    switches: Switches,
}

impl Engine {
    /// Puts the configuration that the engine was made with in force, before anything is attached.
    /// Grants of services that are gone end.
    pub async fn start(&self) -> Result<u64, ProblemBox> {
        let mut turn = self.turn().await;
        let closed = self.close_unknown_services(&mut turn).await?;
        let state = self.state();
        let policy = compiled(&state.config, &state.ids)?;
        self.maps.apply(&policy, &state.switches)?;
        self.settle_overdue(&mut turn).await?;
        Ok(closed)
    }

    /// Reads the configuration again and puts its services in force.
    pub async fn reload(&self, caller: &Caller) -> Result<Applied, Problem> {
        self.try_reload(caller).await.map_err(|error| error.0)
    }

    async fn try_reload(&self, caller: &Caller) -> Result<Applied, ProblemBox> {
        let mut turn = self.turn().await;
        self.refuse_during_trial()?;
        let config = Config::load(&self.config_path)
            .map_err(|error| problem(ProblemCode::BadRequest, error.to_string()))?;
        let mut applied = difference::brief(&self.state().config, &config);
        let next = self.prepare(config).await?;
        let entry = Entry {
            reason: Some(difference::summary(&applied)),
            ..Entry::ok(AuditKind::Config, &caller.name())
        };
        let writing = self.ledger.write().await?;
        self.commit(&mut turn, writing, self.now().wall, vec![entry])
            .await?;
        self.put_config(next)?;
        applied.closed = self.close_unknown_services(&mut turn).await?;
        Ok(applied)
    }

    /// What applying would change; nothing is.
    pub async fn check_config(
        &self,
        caller: &Caller,
        request: &ConfigRequest,
    ) -> Result<Difference, Problem> {
        let work = async {
            let _turn = self.turn().await;
            let config = parse(request)?;
            let compiled_with = difference::numbered(&self.state().ids, &config);
            compiled(&config, &compiled_with)?;
            self.difference(caller, &config, request).await
        };
        work.await.map_err(|error: ProblemBox| error.0)
    }

    /// Puts another configuration in force, for good or on trial.
    pub async fn apply_config(
        &self,
        caller: &Caller,
        request: &ConfigRequest,
    ) -> Result<ConfigApplied, Problem> {
        match self.try_apply(caller, request).await {
            Err(error) if error.0.code == ProblemCode::CutsYou => {
                let entry = Entry {
                    outcome: "cuts-you".into(),
                    reason: Some(error.0.message.clone()),
                    ..Entry::ok(AuditKind::Config, &caller.name())
                };
                if let Err(error) = self.note_refusal(entry).await {
                    tracing::error!(%error, "a refusal could not be written to the audit");
                }
                Err(error.0)
            }
            other => other.map_err(|error| error.0),
        }
    }

    async fn try_apply(
        &self,
        caller: &Caller,
        request: &ConfigRequest,
    ) -> Result<ConfigApplied, ProblemBox> {
        let mut turn = self.turn().await;
        self.refuse_during_trial()?;
        let config = parse(request)?;
        let difference = self.difference(caller, &config, request).await?;
        if let Some(cuts) = difference.cuts.as_ref().filter(|_| !request.force) {
            let text = format!("{cuts}. Nothing was changed; say --force to do it all the same");
            return Err(problem(ProblemCode::CutsYou, text).into());
        }
        // Also before a trial: what cannot be written must not be found out by its confirm.
        let staged = Staged::prepare(&self.config_path, &config.text)
            .map_err(|error| self.unwritable(&error))?;
        let next = self.prepare(config).await?;
        let trial = match request.confirm_within_seconds {
            Some(seconds) => Some(self.new_trial(caller, &next.config, seconds).await?),
            None => None,
        };
        let mut reason = difference::summary_of(&difference);
        if let Some(seconds) = request.confirm_within_seconds {
            reason += &format!(", on trial for {}", seconds_text(seconds));
        }
        if difference.cuts.is_some() {
            reason += ", forced although it cuts the caller's connection";
        }
        let entry = Entry {
            reason: Some(reason),
            ..Entry::ok(AuditKind::Config, &caller.name())
        };
        self.record(&mut turn, trial.as_ref(), entry).await?;
        if let Err(error) = self.put_config(next) {
            self.forget_trial().await;
            return Err(error);
        }
        // Before anything else that may fail: nobody stays open by what is not in force any more.
        let closed = self.close_unknown_services(&mut turn).await;
        let written = match &trial {
            Some(_) => None,
            None => {
                staged.put().map_err(|error| self.unwritable(&error))?;
                Some(self.config_path.display().to_string())
            }
        };
        let trial = trial.map(std::sync::Arc::new);
        self.replace_state(|state| state.trial.clone_from(&trial));
        Ok(ConfigApplied {
            difference,
            closed: closed?,
            trial: self.trial(),
            written,
        })
    }

    /// Keeps what is on trial, and writes it to the configuration file.
    pub async fn confirm_config(&self, caller: &Caller) -> Result<ConfigSettled, Problem> {
        let work = async {
            let mut turn = self.turn().await;
            self.confirm(&mut turn, caller).await
        };
        work.await.map_err(|error| error.0)
    }

    /// Undoes what is on trial.
    pub async fn roll_config_back(&self, caller: &Caller) -> Result<ConfigSettled, Problem> {
        let work = async {
            let mut turn = self.turn().await;
            self.undo(&mut turn, &caller.name(), "asked for").await
        };
        work.await.map_err(|error: ProblemBox| error.0)
    }

    /// Ends the trial whose time is up.
    pub async fn end_trial_when_due(&self) -> Result<(), ProblemBox> {
        if !self.trial_is_due() {
            return Ok(());
        }
        let mut turn = self.turn().await;
        // It may have been confirmed meanwhile.
        if !self.trial_is_due() {
            return Ok(());
        }
        let settled = self
            .undo(&mut turn, AGENT_ACTOR, "nobody confirmed in time")
            .await?;
        tracing::warn!(
            notes = settled.notes.join("; "),
            "the configuration on trial was not confirmed and is rolled back"
        );
        Ok(())
    }

    /// Numbers the services, and keeps what only a restart may change.
    async fn prepare(&self, config: Config) -> Result<Next, ProblemBox> {
        let names: Vec<&str> = config.services.iter().map(|s| s.name.as_str()).collect();
        let ids = self.ledger.service_ids(&names).await?;
        self.prepare_with(config, ids)
    }

    fn prepare_with(&self, config: Config, ids: ServiceIds) -> Result<Next, ProblemBox> {
        let state = self.state();
        let config = kept(&state.config, config);
        let mut switches = state.switches.clone();
        switches
            .ether_types
            .clone_from(&config.filter.pass_ether_types);
        Ok(Next {
            policy: compiled(&config, &ids)?,
            config,
            ids,
            switches,
        })
    }

    fn put_config(&self, next: Next) -> Result<(), ProblemBox> {
        self.maps.apply(&next.policy, &next.switches)?;
        self.replace_state(|state| {
            state.config = next.config;
            state.ids = next.ids;
            state.switches = next.switches;
        });
        Ok(())
    }

    fn unwritable(&self, error: &std::io::Error) -> Problem {
        let text = format!(
            "{} cannot be written ({error}): the agent keeps what it applies there; give it the right to (ReadWritePaths= in its unit)",
            self.config_path.display()
        );
        problem(ProblemCode::Unavailable, text)
    }

    /// Holders that lose their grant when a service is like this, or is no more: all, or those whose
    /// IPv6 grants are not of the kind that it gives. So no service ever has both kinds, of which one
    /// would stand in the other's way.
    async fn losing(
        &self,
        service: Option<&Service>,
        id: u32,
    ) -> Result<Vec<HolderRow>, ProblemBox> {
        match service.filter(|service| needs_grant(service)) {
            Some(service) => {
                let other = match service.ipv6_prefix {
                    true => Ipv6Holders::Addresses,
                    false => Ipv6Holders::Prefixes,
                };
                Ok(self.ledger.ipv6_holders(id, other).await?)
            }
            None => {
                let all = Selection {
                    service: Some(id),
                    ..Selection::default()
                };
                Ok(self.ledger.holders(&all).await?)
            }
        }
    }

    /// Ends the grants of services that the configuration does not have any more, that became
    /// public, or that grant to the other kind of IPv6 source.
    async fn close_unknown_services(&self, turn: &mut Turn) -> Result<u64, ProblemBox> {
        let state = self.state();
        let mut closed = 0;
        for (name, &id) in &state.ids {
            let mut rows = self.losing(state.config.service(name), id).await?;
            rows.retain(|row| !turn.is_struck(row));
            if rows.is_empty() {
                continue;
            }
            let none = std::collections::HashMap::new();
            self.shut(&rows, &none)?;
            let closing = Closing {
                kind: AuditKind::Close,
                actor: AGENT_ACTOR.into(),
                reason: Some("the configuration does not grant it any more".into()),
                request_id: None,
            };
            closed += rows.len() as u64;
            self.strike(turn, rows, &none, &closing, self.now()).await?;
        }
        Ok(closed)
    }
}

fn needs_grant(service: &Service) -> bool {
    service.kind == ServiceKind::Granted
}

fn parse(request: &ConfigRequest) -> Result<Config, ProblemBox> {
    Config::parse(std::path::Path::new(&request.name), &request.text)
        .map_err(|error| problem(ProblemCode::BadRequest, error.to_string()).into())
}

fn compiled(config: &Config, ids: &ServiceIds) -> Result<Policy, ProblemBox> {
    policy::compile(config, ids)
        .map_err(|error| problem(ProblemCode::BadRequest, error.to_string()).into())
}

/// A configuration with what a restart is needed for as it is now.
fn kept(now: &Config, wanted: Config) -> Config {
    Config {
        socket: now.socket.clone(),
        ledger: now.ledger.clone(),
        filter: crate::config::Filter {
            other_ports_pass: wanted.filter.other_ports_pass,
            protect: wanted.filter.protect,
            pass_ether_types: wanted.filter.pass_ether_types,
            icmp_errors: wanted.filter.icmp_errors,
            drop_samples: wanted.filter.drop_samples,
            ..now.filter.clone()
        },
        ..wanted
    }
}
