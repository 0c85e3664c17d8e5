//! Lengths of time as people write them: `90s`, `5m`, `8h`, `1d`.

/// Parses a length of at least one second.
pub fn parse_seconds(text: &str) -> Result<u64, String> {
    let advice =
        || format!("`{text}` is not a length of time; write for example 90s, 5m, 8h or 1d");
    let text_trimmed = text.trim();
    // A day is 24 hours here; jiff leaves days out of absolute durations because of time zones.
    if let Some(days) = text_trimmed.strip_suffix('d') {
        let days: u64 = days.trim().parse().map_err(|_| advice())?;
        return days
            .checked_mul(86_400)
            .filter(|&s| s > 0)
            .ok_or_else(advice);
    }
    let duration: jiff::SignedDuration = text_trimmed.parse().map_err(|_| advice())?;
    match u64::try_from(duration.as_secs()) {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        _ => Err(format!("`{text}` is too short; the least is 1s")),
    }
}

/// The shortest way to write a length that loses nothing people care about: `7h 59m`, `45s`.
pub fn seconds_text(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes, rest) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, 0) => format!("{m}m"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, 0, _) => format!("{h}h"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, 0, _, _) => format!("{d}d"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_people_write_are_understood() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("8h", 28_800), ("1d", 86_400)] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
        assert_eq!(parse_seconds("1h 30m"), Ok(5_400));
    }

    #[test]
    fn lengths_that_are_none_are_refused_with_an_example() {
        for text in ["", "8", "0s", "-5m", "soon", "99999999999999999999d", "0d"] {
            let error = parse_seconds(text).unwrap_err();
            assert!(
                error.contains("5m") || error.contains("1s"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn lengths_are_shown_short() {
        assert_eq!(seconds_text(45), "45s");
        assert_eq!(seconds_text(3_600), "1h");
        assert_eq!(seconds_text(28_799), "7h 59m");
        assert_eq!(seconds_text(90_000), "1d 1h");
    }
}
