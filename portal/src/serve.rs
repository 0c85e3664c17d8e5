//! Runs the portal: listeners with TLS, certificates read again when they change, and the small
//! jobs beside them. A mistake in addresses or certificates is told before anything is served.

mod proxy_v2;
mod self_signed;
mod tls;
mod with_peer;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum_server::{Handle, Server, tls_rustls::RustlsAcceptor};
use hyper_util::rt::TokioTimer;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{config::Config, desk, health, leavers, mail::Delivery, ntp, portal::Portal, web};
pub(crate) use tls::{check as check_certificate, install_crypto};

/// How often files are looked at and small jobs done.
const EVERY: Duration = Duration::from_secs(10);
/// How long running requests may go on after a stop.
const GRACE: Duration = Duration::from_secs(10);
/// A client that is slower with its request's head is cut off.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// Requests that one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 32;

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config) -> Result<()> {
    install_crypto();
    let certificates = tls::Certificates::open(&config)?;
    let delivery = Delivery::open(&config)?;
    let listeners = config
        .portal
        .listen
        .iter()
        .map(|address| Ok((*address, bind(*address)?)))
        .collect::<Result<Vec<_>>>()?;
    let portal = Arc::new(Portal::open(config).await?);
    announce(&portal).await?;

    let handle = Handle::new();
    let mut tasks = JoinSet::new();
    for (address, listener) in listeners {
        let server = server(listener, &portal, &certificates, &handle)?;
        let service = web::router(portal.clone()).into_make_service();
        tasks.spawn(async move {
            server
                .serve(service)
                .await
                .with_context(|| format!("serving {address} failed"))
        });
        tracing::info!(%address, "listening");
    }
    tokio::spawn(jobs(portal.clone(), certificates));
    if let Some(delivery) = delivery {
        tokio::spawn(delivery.run(portal.clone()));
    }
    tokio::spawn(leavers::watch(portal.clone()));
    tokio::spawn(ntp::watch(portal.clone()));
    tokio::spawn(desk::watch_approvals(portal.clone()));
    // Ready only counts with systemd; without it there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = tasks.join_next() => ended.map_or(Ok(()), |joined| joined.unwrap_or_else(|e| Err(e.into()))),
    };
    tracing::info!("stopping");
    handle.graceful_shutdown(Some(GRACE));
    while tasks.join_next().await.is_some() {}
    if let Err(failure) = portal.desk.counters.flush(&portal.store).await {
        tracing::warn!(%failure, "the last counts for the pictures are lost");
    }
    portal.store.close().await;
    ended
}

/// Says what the portal starts with: a clock that was set back, what is worth a second look, and which
/// items each policy asks.
async fn announce(portal: &Portal) -> Result<()> {
    let behind = health::check_clock(&portal.store, portal.now()).await?;
    portal.time.set_behind(behind);
    if let Some(behind) = behind {
        tracing::warn!(
            "the clock stands {behind} s before a time already seen; codes will fail until it is \
             right: check NTP"
        );
    }
    for caution in portal.config.cautions() {
        tracing::warn!("{caution}");
    }
    for access in &portal.config.access {
        let factors = access.factors.to_string();
        tracing::info!(service = access.service, factors, "access policy");
    }
    Ok(())
}

/// One listener's server, with its limits.
fn server(
    listener: TcpListener,
    portal: &Portal,
    certificates: &tls::Certificates,
    handle: &Handle<SocketAddr>,
) -> Result<Server<SocketAddr, RustlsAcceptor<proxy_v2::ProxyAcceptor>>> {
    let acceptor = proxy_v2::ProxyAcceptor::new(&portal.config.proxies.proxy_protocol);
    let acceptor = RustlsAcceptor::new(certificates.config()).acceptor(acceptor);
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle.clone());
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE);
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    Ok(server)
}

/// Binds, patiently where an IPv6 address is still being checked for duplicates.
fn bind(address: SocketAddr) -> Result<TcpListener> {
    let mut tries = 0;
    let listener = loop {
        match TcpListener::bind(address) {
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable && tries < 10 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(300));
            }
            result => break result,
        }
    }
    .with_context(|| format!("cannot listen on {address}; is it this machine's, and free?"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Certificates, outbox, and what has ended by itself.
async fn jobs(portal: Arc<Portal>, mut certificates: tls::Certificates) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut was_behind = false;
    loop {
        ticks.tick().await;
        certificates.look();
        match portal.audit.forward().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "audit records forwarded to the agent"),
            Err(failure) => tracing::error!(%failure, "the outbox cannot be forwarded"),
        }
        match health::check_clock(&portal.store, portal.now()).await {
            Ok(behind) => {
                if let (Some(seconds), false) = (behind, was_behind) {
                    tracing::warn!(seconds, "the clock was set back; check NTP");
                }
                was_behind = behind.is_some();
                portal.time.set_behind(behind);
            }
            Err(failure) => tracing::error!(%failure, "the database fails"),
        }
        if let Err(failure) = portal.codes.follow_rotation().await {
            tracing::error!(%failure, "the key was rotated, and the new one cannot be read");
        }
        if let Err(failure) = portal.look_after_exceptions().await {
            tracing::error!(%failure, "exceptions cannot be looked after");
        }
        if let Err(failure) = portal.look_after_review().await {
            tracing::error!(%failure, "the operators cannot be reminded to go through everything");
        }
        if let Err(failure) = tidy(&portal).await {
            tracing::error!(%failure, "old rows cannot be dropped");
        }
    }
}

async fn tidy(portal: &Portal) -> Result<(), crate::store::StoreError> {
    let (limits, now) = (&portal.config.limits, portal.now().as_second());
    let seen_before = now - limits.cookie_idle.seconds();
    portal
        .store
        .drop_old_cookies(seen_before, now - limits.cookie_max.seconds())
        .await?;
    portal.store.drop_expired_pending(now).await?;
    portal.store.drop_expired_crossings(now).await?;
    portal.store.drop_old_links(now).await?;
    portal.store.drop_old_networks(now - 91 * 24 * 3600).await?;
    let keep = i64::from(limits.failures_in_a_row.value());
    portal.store.drop_old_waits(now - 24 * 3600, keep).await?;
    portal.desk.counters.tidy(&portal.store, now).await
}
