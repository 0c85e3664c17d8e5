//! The only place of this crate that reads a clock. Everything else takes a [`Moment`].

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// One instant on both clocks that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock, UTC. May be set back or forth by anybody with the right.
    pub wall: Timestamp,
    /// CLOCK_BOOTTIME in nanoseconds: what the kernel compares deadlines with. Runs on during
    /// suspend, cannot be set, starts anew at boot.
    pub boot_ns: u64,
}

impl Moment {
    /// The wall-clock time of a boot-time instant, as far as the wall clock is right now.
    pub fn wall_of(&self, boot_ns: u64) -> Timestamp {
        let ahead = i128::from(boot_ns) - i128::from(self.boot_ns);
        let millis = i64::try_from(ahead / 1_000_000).unwrap_or(i64::MAX / 2);
        Timestamp::from_millisecond(self.wall.as_millisecond().saturating_add(millis))
            .unwrap_or(Timestamp::MAX)
    }
}

/// Where a [`Moment`] comes from; tests bring their own.
pub trait Clock: Send + Sync {
    /// Both clocks, read one after the other.
    fn now(&self) -> Moment;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that reads clocks"
    )]
    fn now(&self) -> Moment {
        // clock_gettime fails only for a clock the kernel does not know; BOOTTIME is there since
        // Linux 2.6.39. Were it to fail, 0 would make every new deadline lie in the past.
        let boot_ns = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
            seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
        });
        Moment {
            wall: Timestamp::now(),
            boot_ns,
        }
    }
}

/// Whether a process with these `/proc/self/timens_offsets` sees another boot clock than the
/// kernel program, which knows no time namespaces (time_namespaces(7)): its deadlines would be
/// off by as much.
pub fn is_shifted(offsets: &str) -> bool {
    offsets.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("boottime") && words.any(|word| word != "0")
    })
}

/// A stop-watch for durations that are only reported.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that reads clocks"
    )]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_namespace_is_noticed_by_its_boot_clock() {
        assert!(!is_shifted(""));
        assert!(!is_shifted(
            "monotonic           0         0\nboottime            0         0\n"
        ));
        assert!(!is_shifted(
            "monotonic          60         0\nboottime            0         0\n"
        ));
        assert!(is_shifted(
            "monotonic           0         0\nboottime        86400         0\n"
        ));
        assert!(is_shifted(
            "monotonic           0         0\nboottime           -1         5\n"
        ));
    }
}
