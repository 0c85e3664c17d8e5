//! What is wrong with a configuration, and where.

use std::{fmt, io, path::PathBuf};

/// The file cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    Unreadable {
        path: PathBuf,
        source: io::Error,
    },
    Invalid {
        path: PathBuf,
        complaints: Vec<Complaint>,
    },
}

/// One thing that is wrong. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl Complaint {
    /// A complaint about the byte at `offset` of the text.
    pub(crate) fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        Self {
            line,
            column,
            message,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(
                f,
                "{}: {source}; give the path of the configuration with --config",
                path.display()
            ),
            Self::Invalid { path, complaints } => {
                for (index, complaint) in complaints.iter().enumerate() {
                    let line = if index == 0 { "" } else { "\n" };
                    let Complaint {
                        line: at,
                        column,
                        message,
                    } = complaint;
                    write!(f, "{line}{}:{at}:{column}: {message}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}
