//! When very many seem to have left at once, it is more likely that the directory, or what its
//! searcher may read, changed. Then nothing ends until a person has looked.

use super::look::Found;
use crate::config::Watch;

/// What is held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) leavers: bool,
    pub(super) strays: bool,
}

/// Nothing is.
pub(super) const NONE: Held = Held {
    leavers: false,
    strays: false,
};

pub(super) fn judge(found: &Found, watch: &Watch) -> Held {
    let everybody = found.people >= 2 && found.leavers.len() == found.people;
    Held {
        leavers: everybody || is_too_many(found.leavers.len(), found.people, watch),
        strays: is_too_many(found.strays.len(), found.holders, watch),
    }
}

fn is_too_many(going: usize, of: usize, watch: &Watch) -> bool {
    let number = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let share = of.saturating_mul(number(watch.share.value())) / 100;
    going > share.max(number(watch.least.value()))
}

#[cfg(test)]
mod tests {
    use super::is_too_many;
    use crate::config::Watch;

    #[test]
    fn a_third_or_ten_may_go_at_once() {
        let watch = Watch::default();
        for (going, of, held) in [
            (0, 0, false),
            (1, 1, false),
            (10, 12, false),
            (11, 12, true),
            (33, 100, false),
            (34, 100, true),
            (3_300, 10_000, false),
            (3_301, 10_000, true),
        ] {
            assert_eq!(is_too_many(going, of, &watch), held, "{going} of {of}");
        }
    }
}
