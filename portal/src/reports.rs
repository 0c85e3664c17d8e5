//! Reports: lists that somebody looks through now and then. Each is columns and rows, written as a
//! table, as CSV that no spreadsheet program takes for formulas, or as JSON with stable keys.

pub(crate) mod csv;
mod exceptions;
mod people;
mod tokens;

use serde_json::{Map, Value};

pub(crate) use exceptions::exceptions;
pub(crate) use people::{enrolment, no_second_factor, no_second_means};
pub(crate) use tokens::{failures, many_tokens, tokens, unused};

/// People in a directory at most.
pub(crate) const PEOPLE_MAX: usize = 100_000;

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    Number(i64),
    /// Seconds since 1970.
    Time(i64),
    /// 0 to 1.
    Share(f64),
    Nothing,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl Cell {
    pub(crate) fn time(second: Option<i64>) -> Self {
        second.map_or(Self::Nothing, Self::Time)
    }

    /// For people and CSV.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Time(second) => iso(*second),
            Self::Share(share) => format!("{:.1}%", share * 100.0),
            Self::Nothing => String::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Number(number) => (*number).into(),
            Self::Time(second) => iso(*second).into(),
            Self::Share(share) => ((share * 1000.0).round() / 1000.0).into(),
            Self::Nothing => Value::Null,
        }
    }
}

/// ISO 8601, UTC.
fn iso(second: i64) -> String {
    jiff::Timestamp::from_second(second)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

/// A report that was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// Keys in JSON, heads elsewhere.
    pub(crate) columns: &'static [&'static str],
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let pairs = self.columns.iter().zip(row);
            let map: Map<String, Value> = pairs
                .map(|(column, cell)| ((*column).to_owned(), cell.json()))
                .collect();
            Value::Object(map)
        };
        Value::Array(self.rows.iter().map(object).collect())
    }

    pub(crate) fn csv(&self) -> String {
        let mut text = csv::line(self.columns);
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(Cell::text).collect();
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            text.push_str(&csv::line(&cells));
        }
        text
    }
}

#[cfg(test)]
mod tests;
