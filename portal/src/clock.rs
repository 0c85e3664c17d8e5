//! The portal's only clock. Everything else takes the time as a parameter, or asks the `Clock` it
//! was given, so that tests can stand at any moment.

#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use governor::nanos::Nanos;
use jiff::Timestamp;

static BASE: LazyLock<Instant> = LazyLock::new(now_monotonic);

/// Tells the time: the machine's, or one that a test sets.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    #[cfg(test)]
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub(crate) fn system() -> Self {
        Self(Kind::System)
    }

    /// Waits. A fixed clock's time does not pass by waiting, so it does not wait.
    pub(crate) async fn sleep(&self, length: Duration) {
        match &self.0 {
            Kind::System => tokio::time::sleep(length).await,
            #[cfg(test)]
            Kind::Fixed(_) => {}
        }
    }

    /// A clock that stands still at `at` until [`Clock::advance`] moves it.
    #[cfg(test)]
    pub(crate) fn fixed(at: Timestamp) -> Self {
        Self(Kind::Fixed(Arc::new(AtomicI64::new(at.as_second()))))
    }

    /// Wall-clock time.
    pub(crate) fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System => wall(),
            #[cfg(test)]
            Kind::Fixed(seconds) => {
                Timestamp::from_second(seconds.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Time since some moment, which nobody can set.
    pub(crate) fn monotonic(&self) -> Duration {
        governor::clock::Clock::now(self).into()
    }

    /// Moves a fixed clock; the machine's stays as it is.
    #[cfg(test)]
    pub(crate) fn advance(&self, seconds: i64) {
        if let Kind::Fixed(at) = &self.0 {
            at.fetch_add(seconds, Ordering::SeqCst);
        }
    }
}

/// Rate limits count on the monotonic clock, so that setting the wall clock opens nothing.
impl governor::clock::Clock for Clock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match &self.0 {
            Kind::System => Nanos::from(now_monotonic().saturating_duration_since(*BASE)),
            #[cfg(test)]
            Kind::Fixed(at) => {
                let seconds = u64::try_from(at.load(Ordering::SeqCst)).unwrap_or(0);
                Nanos::from(Duration::from_secs(seconds))
            }
        }
    }
}

/// Measures how long something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn started() -> Self {
        Self(now_monotonic())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the portal's clock")]
fn wall() -> Timestamp {
    Timestamp::now()
}

#[expect(clippy::disallowed_methods, reason = "this file is the portal's clock")]
fn now_monotonic() -> Instant {
    Instant::now()
}
