//! `sekisho-portal`: the web portal and its admin verbs.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    portal::cli::main()
}
