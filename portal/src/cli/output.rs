//! How verbs answer: tables and sentences for people, JSON for programs. Warnings go to stderr.

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde::Serialize;

/// Where and how to answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// A list: rows for people by `row`, the whole for programs.
    pub(super) fn list<T: Serialize>(
        &self,
        items: &[T],
        head: &[&str],
        empty: &str,
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<()> {
        self.whole(&items, items, head, empty, row)
    }

    /// As [`Output::list`], with something else for programs.
    pub(super) fn whole<T>(
        &self,
        all: &impl Serialize,
        items: &[T],
        head: &[&str],
        empty: &str,
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<()> {
        if self.json {
            return json(all);
        }
        if items.is_empty() {
            println!("{empty}");
            return Ok(());
        }
        print!("{}", self.table(head, items, row));
        Ok(())
    }

    /// A table as text.
    pub(super) fn table<T>(
        &self,
        head: &[&str],
        items: &[T],
        row: impl Fn(&T) -> Vec<String>,
    ) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(head.to_vec());
        for item in items {
            table.add_row(row(item));
        }
        format!("{table}\n")
    }

    /// One thing: a sentence for people, the whole for programs.
    pub(super) fn say<T: Serialize>(&self, item: &T, sentence: &str) -> Result<()> {
        if self.json {
            return json(item);
        }
        println!("{sentence}");
        Ok(())
    }

    /// A sentence beside the answer, on stderr so that it is in nobody's way.
    pub(super) fn note(&self, sentence: &str) {
        eprintln!("{sentence}");
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn warn(&self, sentence: &str) {
        eprintln!("sekisho-portal: warning: {sentence}");
    }
}

fn json<T: Serialize>(item: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(item)?);
    Ok(())
}

/// A time for people, UTC.
pub(super) fn time(second: i64) -> String {
    Timestamp::from_second(second)
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// A time for programs.
pub(super) fn exact(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}
