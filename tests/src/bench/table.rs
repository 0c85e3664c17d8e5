//! The result as a table for people.

use std::fmt::Write as _;

use super::result::{Row, Target};

/// One block for each part, columns aligned.
pub(super) fn table(rows: &[Row]) -> String {
    let wide = |text: fn(&Row) -> String| rows.iter().map(|row| width(&text(row))).max();
    let name = wide(|row| row.name.clone()).unwrap_or_default();
    let mut text = String::new();
    let mut part = "";
    for row in rows {
        if row.part != part {
            part = row.part;
            let line = format!(
                "\n{part:<name$}  {:>9}  {:>21}  {:<6}  {:>8}  reached\n",
                "median", "(min, max)", "unit", "target"
            );
            text.push_str(&line);
        }
        text.push_str(&line(row, name));
    }
    text
}

fn line(row: &Row, name: usize) -> String {
    let padding = " ".repeat(name.saturating_sub(width(&row.name)));
    let mut line = format!("{}{padding}", row.name);
    let (Some(median), Some(min), Some(max)) = (row.median, row.min, row.max) else {
        let note = row.note.as_deref().unwrap_or("not available");
        return format!("{line}  {note}\n");
    };
    let range = format!("({}, {})", number(min), number(max));
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        "  {:>9}  {range:>21}  {:<6}",
        number(median),
        row.unit
    );
    if let Some(target) = row.target {
        let _ = write!(line, "  {:>8}  {}", shown(target), verdict(row));
    }
    if let Some(note) = &row.note {
        let _ = write!(line, "  ({note})");
    }
    line.push('\n');
    line
}

pub(super) fn shown(target: Target) -> String {
    match target {
        Target::AtMost(most) => format!("≤ {}", short(most)),
        Target::AtLeast(least) => format!("≥ {}", short(least)),
    }
}

fn verdict(row: &Row) -> &'static str {
    match row.reached {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "–",
    }
}

/// Three or four digits that matter.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn width(text: &str) -> usize {
    text.chars().count()
}
