//! `sekisho run`: the life of the agent, from the configuration to the last signal.
//!
//! Everything is checked before anything is touched. The filter is filled before it is attached,
//! and it stays in force when the agent stops, however it stops.

mod end;

use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use agent_api::{AuditKind, Interface};
use anyhow::Context as _;
use clap::Args;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::{
    api::{self, Shared},
    clock::{self, Clock as _, Stopwatch, SystemClock},
    config::Config,
    drops::Drops,
    engine::{AGENT_ACTOR, Engine, Moving, Rehearsal},
    kernel::{self, Before, FilterMaps, Keeper, Loaded, Pins, Samples},
    ledger::{Entry, Ledger},
    lock,
};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/sekisho/agent.toml")]
    config: PathBuf,
    /// Replace the running program although it judges some packets differently than this version;
    /// say so once, after reading what they are
    #[arg(long)]
    accept_differences: bool,
}

/// How often every interface is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often what has ended is swept.
const SWEEP: Duration = Duration::from_secs(1);
/// Holders that go before the ledger's log is folded in.
const FOLD_AFTER: u64 = 20_000;
/// After each transaction that only tidies up.
const PAUSE: Duration = Duration::from_millis(20);
/// How often idle grants are looked for, and the time is noted in the ledger.
const IDLE_SWEEP: Duration = Duration::from_secs(30);
/// How often the agent tells the kernel that it is alive, and how long that is believed.
const HEARTBEAT: Duration = Duration::from_secs(3);
const BELIEVED: Duration = Duration::from_secs(15);
/// How often samples of dropped packets are read: the ring holds some thousands.
const SAMPLES: Duration = Duration::from_millis(100);
/// Of packets that two versions judge differently.
const DIFFERENCES_SHOWN: usize = 20;
/// How often map and ledger are compared.
const RECONCILE: Duration = Duration::from_secs(300);

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(&self.config)?;
        tracing_subscriber::fmt()
            .with_env_filter(
                EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
            )
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(run(config, self.config, self.accept_differences))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn run(config: Config, path: PathBuf, accept_differences: bool) -> anyhow::Result<()> {
    kernel::require()?;
    // Before Linux 5.6 there is no such file, and no such namespace.
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    anyhow::ensure!(
        !clock::is_shifted(&offsets),
        "this time namespace shows another boot clock than the kernel's, by which grants end; \
         start the agent in the machine's own time namespace"
    );
    let lock = single(&config)?;
    let group = config.portal.as_ref().map(|portal| portal.gid);
    let listener = api::listen(&config.socket, group)?;
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("reading the id of this boot")?;
    let pins = Pins::prepare(&config.filter.bpffs)?;
    let (ledger, loaded) = tokio::join!(
        Ledger::open(&config.ledger, boot_id.trim(), SystemClock.now()),
        load(&config, &pins),
    );
    let ledger = ledger?;
    let (mut loaded, maps) = loaded?;
    loaded.check(&config.filter.interfaces, config.filter.xdp_mode)?;
    let engine = Engine::new(
        Arc::new(maps),
        ledger,
        Arc::new(SystemClock),
        config.clone(),
        path,
    )
    .await?;
    let engine = Arc::new(engine);
    let rehearsed = match prepare(&engine, &config, &loaded, accept_differences).await {
        Ok(rehearsed) => rehearsed,
        Err(error) => {
            loaded.abandon();
            return Err(error);
        }
    };
    // Once this has begun, the maps may be in use on one interface even if it fails on the next.
    let attached = loaded.attach(&config.filter.interfaces, config.filter.xdp_mode)?;
    let took_over = attached.iter().any(|interface| interface.took_over);
    for interface in &attached {
        tracing::info!(
            interface = interface.name,
            mode = interface.mode.name(),
            program = interface.program_id,
            took_over = interface.took_over,
            "the filter is in force"
        );
    }
    let view = |name: &String| Interface {
        name: name.clone(),
        index: attached
            .iter()
            .find(|a| a.name == *name)
            .map_or(0, |a| a.index),
        xdp_mode: config.filter.xdp_mode,
        program_id: loaded.program_id(),
        attached: false,
    };
    engine.attached(
        config.filter.interfaces.iter().map(view).collect(),
        took_over,
    );
    let mut reason = match took_over {
        true => String::from("took over a running filter"),
        false => String::from("attached the filter"),
    };
    for rehearsal in rehearsed {
        reason += &format!(" of another make: {rehearsal}");
    }
    engine
        .note(Entry {
            reason: Some(reason),
            ..Entry::ok(AuditKind::Start, AGENT_ACTOR)
        })
        .await?;
    if config.filter.debug_log {
        match loaded.follow_log() {
            Ok(follow) => drop(tokio::spawn(follow)),
            Err(error) => tracing::warn!(%error, "the program's log cannot be read"),
        }
    }
    let ended = live(engine, listener, pins, Keeper::new(loaded)).await;
    drop(lock);
    ended
}

/// Has the kernel prove the program while the ledger is checked: with very many grants each takes a
/// good part of the start.
async fn load(config: &Config, pins: &Pins) -> anyhow::Result<(Loaded, FilterMaps)> {
    let (pins, filter) = (pins.clone(), config.filter.clone());
    let loaded =
        tokio::task::spawn_blocking(move || Loaded::load(pins, filter.capacity, filter.debug_log));
    Ok(loaded.await??)
}

/// Puts grants, denials and services into the maps, before the program sees a packet with them.
/// The inner error: grants or denials are missing, which the agent goes on trying.
async fn fill(engine: &Engine) -> anyhow::Result<anyhow::Result<()>> {
    let watch = Stopwatch::start();
    let mut missing = Ok(());
    engine.heartbeat(BELIEVED)?;
    // The services come first: without grants they are shut, which is the safe state to attach in.
    let closed = engine.start().await?;
    let mended = match engine.reconcile(Moving::Still).await {
        Ok(mended) => {
            engine.note_agreement().await;
            mended
        }
        Err(error) => {
            tracing::error!(%error, "not all grants could be restored; it is tried again");
            missing = Err(anyhow::Error::new(error).context("not all grants could be restored"));
            Default::default()
        }
    };
    if let Err(error) = engine.restore_denies().await {
        tracing::error!(%error, "the deny prefixes could not be restored; it is tried again");
        missing = Err(anyhow::Error::new(error).context("the denials could not be restored"));
    }
    if missing.is_ok() {
        tracing::info!(
            removed = mended.removed,
            written = mended.written,
            closed,
            elapsed_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the map says what the ledger says"
        );
    }
    Ok(missing)
}

/// Fills the maps and compares the program with what runs, which goes on as it did.
async fn prepare(
    engine: &Engine,
    config: &Config,
    loaded: &Loaded,
    accept_differences: bool,
) -> anyhow::Result<Vec<Rehearsal>> {
    let filled = fill(engine).await?;
    let before = loaded.before(&config.filter.interfaces)?;
    if let (Err(error), true, true) = (filled, before.is_filtered, loaded.is_new()) {
        return Err(error.context(
            "the new tables do not hold everything, so the running filter stays in force",
        ));
    }
    let rehearsed = rehearse(engine, &before)?;
    for rehearsal in &rehearsed {
        judge(rehearsal, accept_differences)?;
    }
    Ok(rehearsed)
}

/// Lets every other program that runs and ours judge the same packets.
fn rehearse(engine: &Engine, before: &Before) -> anyhow::Result<Vec<Rehearsal>> {
    if before.mute {
        tracing::warn!(
            "the running program is of a version that cannot be asked: whether this one judges alike was not compared"
        );
    }
    let mut rehearsed = Vec::new();
    for running in &before.others {
        let watch = Stopwatch::start();
        let rehearsal = engine.rehearse(running)?;
        tracing::info!(
            packets = rehearsal.packets,
            grants = rehearsal.grants,
            reasons = rehearsal.reasons,
            differences = rehearsal.differences.len(),
            elapsed_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the running program and this one judged the same packets"
        );
        rehearsed.push(rehearsal);
    }
    Ok(rehearsed)
}

/// Differences that nobody has accepted leave the running program where it is.
fn judge(rehearsal: &Rehearsal, accept: bool) -> anyhow::Result<()> {
    for difference in rehearsal.differences.iter().take(DIFFERENCES_SHOWN) {
        tracing::warn!("{difference}");
    }
    let first = match rehearsal.differences.first() {
        Some(first) if !accept => first,
        _ => return Ok(()),
    };
    anyhow::bail!(
        "{} of {} packets are judged differently than by the running filter, which stays in force; the first: {first}. \
         If the configuration was changed together with the version, start this version with the earlier one first. \
         If the differences are what you want, run `sekisho run --accept-differences` once, end it, and start the service again",
        rehearsal.differences.len(),
        rehearsal.packets,
    )
}

/// Serves and sweeps until a signal or a detach, or until the disk fails.
async fn live(
    engine: Arc<Engine>,
    listener: tokio::net::UnixListener,
    pins: Pins,
    keeper: Keeper,
) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let drops = Arc::new(Drops::default());
    match Samples::open(&pins) {
        Ok(samples) => {
            tokio::spawn(sample(
                samples,
                Arc::clone(&drops),
                Arc::clone(&engine),
                stopping.clone(),
            ));
        }
        Err(error) => tracing::error!(%error, "dropped packets cannot be shown"),
    }
    let shared = Shared {
        drops,
        engine: Arc::clone(&engine),
        pins: Some(pins),
        keeper: Some(keeper.clone()),
        detached: stop.clone(),
    };
    let served = tokio::spawn(api::serve(listener, api::router(shared), stopping.clone()));
    let guard = tokio::spawn(guard(Arc::clone(&engine), keeper, stopping.clone()));
    let chores = tokio::spawn(chores(Arc::clone(&engine), stopping.clone()));
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!(%error, "no service manager listens");
    }
    tracing::info!("ready");
    let ended = end::wait(&engine, stopping.clone()).await;
    let detached = *stopping.borrow();
    stop.send_replace(true);
    // Requests and chores under way are finished; one that hangs does not keep the agent.
    let finished = async {
        let _ = served.await;
        let _ = chores.await;
        let _ = guard.await;
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), finished).await;
    if let Err(error) = engine.record_unrecorded().await {
        tracing::error!(%error, "closed holders are not in the ledger and return at the next start");
    }
    end::finish_closings(&engine).await;
    let reason = if detached {
        "the filter was detached"
    } else {
        "the filter stays in force"
    };
    let entry = Entry {
        reason: Some(reason.into()),
        ..Entry::ok(AuditKind::Stop, AGENT_ACTOR)
    };
    if let Err(error) = engine.note(entry).await {
        tracing::error!(%error, "the stop could not be written to the audit");
    }
    engine.ledger().close().await;
    tracing::info!(reason, "stopped");
    ended
}

/// Looks after the interfaces, apart from the chores: a long one must not delay it.
async fn guard(engine: Arc<Engine>, keeper: Keeper, mut stopping: watch::Receiver<bool>) {
    let filter = engine.state().config.filter.clone();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = look.tick() => {}
        }
        let (keeper, interfaces) = (keeper.clone(), filter.interfaces.clone());
        let looked =
            tokio::task::spawn_blocking(move || keeper.look(&interfaces, filter.xdp_mode)).await;
        match looked {
            Ok(Some(watched)) => {
                if let Err(error) = engine.watched(watched).await {
                    tracing::error!(%error, "what the look at the interfaces found could not be written to the audit");
                }
            }
            Ok(None) => return,
            Err(error) => tracing::error!(%error, "the look at the interfaces failed"),
        }
    }
}

/// What must happen from time to time. A failure is logged and tried again at the next turn.
async fn chores(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut sweep = tokio::time::interval(SWEEP);
    let mut idle = tokio::time::interval(IDLE_SWEEP);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    let mut reconcile = tokio::time::interval(RECONCILE);
    reconcile.tick().await;
    loop {
        let failed = tokio::select! {
            _ = stopping.changed() => return,
            _ = heartbeat.tick() => engine.heartbeat(BELIEVED),
            _ = sweep.tick() => {
                // First, and whatever the ledger says to the rest: somebody may be locked out.
                let ended = engine.end_trial_when_due().await;
                sweep_once(&engine).await.and(ended)
            }
            _ = idle.tick() => {
                for text in engine.lost_interfaces().into_iter().chain(engine.mode_unproven()) {
                    tracing::error!("{text}");
                }
                let noted = engine.ledger().note_time(SystemClock.now()).await;
                match noted {
                    Ok(()) => engine.sweep_idle().await.map(drop),
                    Err(error) => Err(error.into()),
                }
            }
            _ = reconcile.tick() => match engine.reconcile(Moving::Running).await {
                Ok(_) => {
                    engine.note_agreement().await;
                    engine.restore_denies().await
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = failed {
            tracing::error!(%error, "a periodic chore failed; it is tried again");
        }
    }
}

/// Reads the samples of dropped packets, for as long as the agent runs.
async fn sample(
    mut samples: Samples,
    drops: Arc<Drops>,
    engine: Arc<Engine>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut poll = tokio::time::interval(SAMPLES);
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = poll.tick() => engine.note_drops(&drops, || samples.oldest()),
        }
    }
}

async fn sweep_once(engine: &Engine) -> Result<(), crate::engine::ProblemBox> {
    engine.record_unrecorded().await?;
    // What ends by the hundred thousand does not keep the other chores waiting: the rest is for the
    // next second.
    let watch = Stopwatch::start();
    let mut unfolded = 0;
    while watch.elapsed() < SWEEP {
        let drained = engine.drain().await?;
        let swept = engine.sweep().await?;
        if drained + swept == 0 {
            break;
        }
        if drained > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        unfolded += drained + swept;
        if unfolded >= FOLD_AFTER {
            engine.ledger().fold().await?;
            unfolded = 0;
        }
    }
    engine.ledger().fold().await?;
    engine.sweep_denies().await?;
    engine.flush_folded().await
}

/// One agent for a ledger: two would each undo the other's work.
fn single(config: &Config) -> anyhow::Result<nix::fcntl::Flock<std::fs::File>> {
    let mut path = config.ledger.clone().into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("creating {}", directory.display()))?;
    }
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    lock::take(file).map_err(|errno| {
        anyhow::anyhow!(
            "another agent uses the ledger {} ({errno}): one machine has one agent; stop it first",
            config.ledger.display()
        )
    })
}
