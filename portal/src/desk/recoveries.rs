//! The report `recoveries`: how long it took from a report to everything being stopped, to the
//! ticket, and to the person proving themselves again; at its end the medians.

use crate::{
    reports::{Cell, Report},
    store::{CaseRow, Store, StoreError},
};

/// Cases since then.
pub(crate) async fn recoveries(store: &Store, since: i64) -> Result<Report, StoreError> {
    Ok(report(&store.recoveries(since).await?))
}

fn report(cases: &[CaseRow]) -> Report {
    let lengths = |to: fn(&CaseRow) -> Option<i64>| {
        let all = cases
            .iter()
            .filter_map(move |row| Some(to(row)? - row.opened));
        median(all.collect())
    };
    let ticket = |row: &CaseRow| row.ticket.as_ref().and(row.carried_out);
    let mut rows: Vec<Vec<Cell>> = cases
        .iter()
        .map(|row| {
            let after =
                |at: Option<i64>| at.map_or(Cell::Nothing, |at| Cell::Number(at - row.opened));
            vec![
                row.id.as_str().into(),
                row.kind.as_str().into(),
                row.user_name.as_str().into(),
                row.opened_by.as_str().into(),
                row.evidence.as_str().into(),
                Cell::Time(row.opened),
                after(row.stopped),
                after(ticket(row)),
                after(row.enrolled),
            ]
        })
        .collect();
    let cell = |median: Option<i64>| median.map_or(Cell::Nothing, Cell::Number);
    rows.push(vec![
        "median".into(),
        Cell::Nothing,
        Cell::Nothing,
        Cell::Nothing,
        Cell::Nothing,
        Cell::Nothing,
        cell(lengths(|row| row.stopped)),
        cell(lengths(|row| row.ticket.as_ref().and(row.carried_out))),
        cell(lengths(|row| row.enrolled)),
    ]);
    let columns = &[
        "case",
        "kind",
        "user",
        "by",
        "evidence",
        "opened",
        "stopped_after_seconds",
        "ticket_after_seconds",
        "enrolled_after_seconds",
    ];
    Report { columns, rows }
}

/// The one in the middle, the lower of two.
fn median(mut lengths: Vec<i64>) -> Option<i64> {
    lengths.sort_unstable();
    lengths.get(lengths.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![5]), Some(5));
        assert_eq!(median(vec![9, 1, 5]), Some(5));
        assert_eq!(median(vec![9, 1, 5, 7]), Some(5));
    }
}
