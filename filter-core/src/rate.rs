//! Rates: of a public service for each source, of ICMP errors for each destination.

use filter_abi::{GrantKey, Limit, Reason, Settings};

use crate::{Address, Tables};

/// Row 12.
#[inline(never)]
pub(crate) fn public<A: Address, P: Tables<A>>(
    source: A,
    service: u32,
    settings: &Settings,
    policy: &P,
) -> Reason {
    let key = GrantKey {
        source: source.customer(),
        service,
    };
    match policy.limit(settings.generation, service) {
        Some(limit) if conforms(key, limit, policy) => Reason::Public,
        _ => Reason::RateLimited,
    }
}

/// Row 11.
#[inline(never)]
pub(crate) fn icmp_error<A: Address, P: Tables<A>>(
    destination: A,
    settings: &Settings,
    policy: &P,
) -> Reason {
    if settings.icmp_interval_ns == 0 {
        return Reason::IcmpError;
    }
    let key = GrantKey {
        source: destination,
        service: GrantKey::<A>::ICMP_ERRORS,
    };
    let limit = Limit {
        interval_ns: u64::from(settings.icmp_interval_ns),
        tolerance_ns: settings.icmp_tolerance_ns,
    };
    match conforms(key, limit, policy) {
        true => Reason::IcmpError,
        false => Reason::RateLimited,
    }
}

/// Generic cell rate algorithm (ITU-T I.371): the whole state is when the next packet is due if
/// all came at the full rate. Two CPUs may take the same place at once; the loss is a place.
#[inline(always)]
fn conforms<A: Address, P: Tables<A>>(key: GrantKey<A>, limit: Limit, policy: &P) -> bool {
    let now = policy.now_ns();
    let base = policy.due_ns(key).max(now);
    if base - now > limit.tolerance_ns {
        return false;
    }
    policy.keep_due(key, base.saturating_add(limit.interval_ns));
    true
}
