//! CSV of people (RFC 4180). The first line names the columns; others than `user`, `group` and
//! `note` are left alone.

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::{Entry, Wish};

/// Where the columns stand.
struct Columns {
    count: usize,
    user: usize,
    group: Option<usize>,
    note: Option<usize>,
}

/// Err: the file has no usable first line.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes);
    let mut record = ByteRecord::new();
    if !reader
        .read_byte_record(&mut record)
        .map_err(|e| e.to_string())?
    {
        return Err(
            "it is empty; its first line must name the columns, e.g. user,group,note".into(),
        );
    }
    let columns = columns(&record)?;
    let mut entries = Vec::new();
    let mut lines = Lines {
        bytes,
        at: 0,
        line: 1,
    };
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => return Err(e.to_string()),
        }
        let start = record.position().map_or(0, csv::Position::byte);
        entries.push(Entry {
            line: lines.of(usize::try_from(start).unwrap_or(usize::MAX)),
            read: wish(&record, &columns),
        });
    }
    Ok(entries)
}

/// Tells lines by bytes. The reader's own count is one behind where lines end in CR LF, because a
/// record begins with the LF of the line before for it.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the first thing at or behind `start`, which never goes back.
    fn of(&mut self, start: usize) -> usize {
        while let Some(byte) = self.bytes.get(self.at) {
            if self.at >= start && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += usize::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

fn columns(head: &ByteRecord) -> Result<Columns, String> {
    let find = |name: &str| {
        head.iter()
            .position(|field| field.eq_ignore_ascii_case(name.as_bytes()))
    };
    Ok(Columns {
        count: head.len(),
        user: find("user").ok_or("its first line must name a column \"user\"")?,
        group: find("group"),
        note: find("note"),
    })
}

fn wish(record: &ByteRecord, columns: &Columns) -> Result<Wish, String> {
    if record.len() != columns.count {
        return Err(format!(
            "{} fields instead of {}; quote fields that hold a comma",
            record.len(),
            columns.count
        ));
    }
    let text = |index: usize| {
        let field = record.get(index).unwrap_or_default();
        std::str::from_utf8(field).map_err(|_| "it is not UTF-8".to_owned())
    };
    let some = |index: Option<usize>| -> Result<Option<String>, String> {
        let text = index.map(text).transpose()?;
        Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
    };
    Ok(Wish {
        user: text(columns.user)?.to_owned(),
        group: some(columns.group)?,
        note: some(columns.note)?,
    })
}
