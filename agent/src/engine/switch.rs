//! Mode and lockdown: each change is recorded, then put in force all at once.

use agent_api::{AuditKind, Interface, Mode, Problem, ProblemCode};

use super::{Caller, Engine, ProblemBox, problem};
use crate::{
    config::Config,
    kernel::Switches,
    ledger::{Entry, Ledger, LedgerError},
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

    /// Notes what the filter is attached to.
    pub fn attached(&self, interfaces: Vec<Interface>, took_over: bool) {
        self.replace_state(|state| {
            state.interfaces = interfaces;
            state.took_over = took_over;
        });
    }
}

pub(super) fn mode_of(switches: &Switches) -> Mode {
    if switches.observe {
        Mode::Observe
    } else {
        Mode::Enforce
    }
}
