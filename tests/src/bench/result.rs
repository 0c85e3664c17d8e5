//! What a measurement says: one value for each round, their median, and whether the target is
//! reached. Judges nothing beyond comparing numbers.

use serde::Serialize;

/// Where a value should lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub part: &'static str,
    /// The same in every run, whatever the sizes.
    pub id: String,
    pub name: String,
    pub unit: &'static str,
    /// One value a round, in order. Empty: not available here.
    pub rounds: Vec<f64>,
    pub median: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub target: Option<Target>,
    /// None: there is no target, or no value.
    pub reached: Option<bool>,
    /// Why there is no value, or what else is to be known.
    pub note: Option<String>,
}

impl Row {
    pub(super) fn new(
        part: &'static str,
        id: impl Into<String>,
        name: impl Into<String>,
        unit: &'static str,
        rounds: Vec<f64>,
    ) -> Self {
        Self {
            part,
            id: format!("{part}/{}", id.into()),
            name: name.into(),
            unit,
            median: median(&rounds),
            min: rounds.iter().copied().reduce(f64::min),
            max: rounds.iter().copied().reduce(f64::max),
            rounds,
            target: None,
            reached: None,
            note: None,
        }
    }

    /// A line whose value cannot be had on this machine.
    pub(super) fn unavailable(
        part: &'static str,
        id: impl Into<String>,
        name: impl Into<String>,
        unit: &'static str,
        reason: &str,
    ) -> Self {
        Self::new(part, id, name, unit, Vec::new()).noted(format!("not available: {reason}"))
    }

    pub(super) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.reached = self.median.map(|median| match target {
            Target::AtMost(most) => median <= most,
            Target::AtLeast(least) => median >= least,
        });
        self
    }

    pub(super) fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Counts as reached for another reason, which the note says.
    pub(super) fn reached_because(mut self, holds: bool, note: &str) -> Self {
        if holds && self.reached == Some(false) {
            self.reached = Some(true);
            self.note = Some(note.to_owned());
        }
        self
    }
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Linear between the two nearest values.
pub(super) fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = part * last as f64;
    let at = (0..=last).find(|&index| index as f64 >= place)?;
    let above = sorted.get(at)?;
    let below = sorted.get(at.saturating_sub(usize::from(place.fract() > 0.0)))?;
    Some(below + (above - below) * place.fract())
}

/// One against the other, round by round, so that what disturbs a round disturbs both.
pub(super) fn ratios(values: &[f64], others: &[f64]) -> Vec<f64> {
    values
        .iter()
        .zip(others)
        .map(|(value, other)| value / other)
        .collect()
}

/// One above the other, round by round.
pub(super) fn above(values: &[f64], others: &[f64]) -> Vec<f64> {
    values
        .iter()
        .zip(others)
        .map(|(value, other)| value - other)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(quantile(&[0.0, 10.0], 0.99), Some(9.9));
    }

    #[test]
    fn a_target_is_compared_with_the_median() {
        let row = || Row::new("p", "i", "n", "x", vec![0.9, 1.0, 5.0]);
        assert_eq!(row().target(Target::AtMost(1.0)).reached, Some(true));
        assert_eq!(row().target(Target::AtLeast(1.1)).reached, Some(false));
        let missing = Row::unavailable("p", "i", "n", "x", "no module");
        assert_eq!(missing.target(Target::AtLeast(1.0)).reached, None);
    }
}
