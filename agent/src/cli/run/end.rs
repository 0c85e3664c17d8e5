//! How the life of the agent ends: what it waits for, and what it finishes.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    engine::{Caller, Engine},
    ledger::LedgerError,
};

/// What is closed stays closed either way; without this an older agent would refuse the ledger.
pub(super) async fn finish_closings(engine: &Engine) {
    let all = async {
        while engine.drain().await? > 0 {}
        Ok::<(), crate::engine::ProblemBox>(())
    };
    match tokio::time::timeout(Duration::from_secs(5), all).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the next start removes what was closed"),
        Err(_) => tracing::info!("the next start removes the rest of what was closed"),
    }
}

/// Until a signal or a detach. An error: the ledger's disk has failed, and a new start is due.
pub(super) async fn wait(
    engine: &Engine,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
        tracing::error!("signals cannot be caught; stopping");
        return Ok(());
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
            () = engine.ledger().lost() => return Err(LedgerError::Lost.into()),
            _ = hangup.recv() => {
                let caller = Caller { role: agent_api::Role::Operator, uid: 0 };
                match engine.reload(&caller).await {
                    Ok(applied) => tracing::info!(?applied, "configuration read again"),
                    Err(problem) => {
                        tracing::error!(%problem, "the configuration stays as it was");
                    }
                }
            }
        }
    }
}
