//! CSV by RFC 4180 that stays text: a field that a spreadsheet program would take for a formula gets
//! an apostrophe in front.

/// One record with its line end.
pub(crate) fn line(fields: &[&str]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    format!("{}\r\n", fields.join(","))
}

fn quoted(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let safe = if is_formula {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    // A lone quote or a line end would end the field.
    if safe.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}
