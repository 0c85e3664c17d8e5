//! Lists of people from other systems, as CSV or LDIF. Reading decides nothing: each line or entry
//! becomes a name, or the reason why it is none, so that the good ones are known even if half of
//! the file is wrong.

mod csv;
mod ldif;

use std::{fs::File, io::Read as _, path::Path};

/// Bytes and lines of a file at most.
const BYTES_MAX: u64 = 10 * 1024 * 1024;
const LINES_MAX: usize = 100_000;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// RFC 4180 with a first line that names the columns, one of them `user`.
    Csv,
    /// RFC 2849; entries with `uid` or `sAMAccountName`.
    Ldif,
}

/// One person of a file, or why a line is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins; the first line is 1.
    pub(crate) line: usize,
    pub(crate) read: Result<Wish, String>,
}

/// What a line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) user: String,
    /// The person must be in it.
    pub(crate) group: Option<String>,
    pub(crate) note: Option<String>,
}

/// Why a whole file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BulkError {
    #[error("cannot read {path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("{path} has more than {BYTES_MAX} bytes; split it")]
    TooLarge { path: String },
    #[error("{path} has more than {LINES_MAX} lines; split it")]
    TooLong { path: String },
    #[error("{path}: {what}")]
    Head { path: String, what: String },
}

/// Reads a file. `format`: by the file's name if absent.
pub(crate) fn read(path: &Path, format: Option<Format>) -> Result<Vec<Entry>, BulkError> {
    let name = || path.display().to_string();
    let failed = |source| BulkError::Io {
        path: name(),
        source,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(BulkError::TooLarge { path: name() });
    }
    if bytes.iter().filter(|byte| **byte == b'\n').count() > LINES_MAX {
        return Err(BulkError::TooLong { path: name() });
    }
    let is_ldif = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("ldif"));
    let format = format.unwrap_or(if is_ldif { Format::Ldif } else { Format::Csv });
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match format {
        Format::Csv => csv::read(bytes),
        Format::Ldif => ldif::read(bytes),
    }
    .map_err(|what| BulkError::Head { path: name(), what })
}

#[cfg(test)]
mod tests;
