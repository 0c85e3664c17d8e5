//! Distinguished names (RFC 4514), made comparable: case, blanks around the signs and the way a
//! character is escaped do not matter. What cannot be read is no name, and lies below nothing.

use std::fmt;

/// A name's parts, from the entry up to the root; each as `attribute=value`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dn(Vec<String>);

impl Dn {
    /// Reads one. The empty name is the root, above everything.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self(Vec::new()));
        }
        let parts = split(text, ',');
        parts.map(part).collect::<Option<Vec<_>>>().map(Self)
    }

    /// True: it says where something lies, not only what it is called.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() > 1
    }

    /// True: it is `base`, or lies below it.
    pub(crate) fn is_within(&self, base: &Self) -> bool {
        self.0.ends_with(&base.0)
    }
}

/// One spelling for all.
impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// One part: `cn=staff`, or several joined by `+`, whose order says nothing.
fn part(text: &str) -> Option<String> {
    let mut pairs = split(text, '+').map(pair).collect::<Option<Vec<_>>>()?;
    pairs.sort_unstable();
    Some(pairs.join("+"))
}

fn pair(text: &str) -> Option<String> {
    let (attribute, value) = text.split_once('=')?;
    let attribute = attribute.trim_matches(' ');
    let is_name = !attribute.is_empty()
        && attribute
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if !is_name {
        return None;
    }
    let value = plain(trimmed(value))?;
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return None;
    }
    // Escaped anew in one way, so that no value can look like a sign between parts.
    let mut out = format!("{}=", attribute.to_ascii_lowercase());
    for letter in words.join(" ").to_lowercase().chars() {
        if matches!(letter, ',' | '+' | '\\' | '=') {
            out.push('\\');
        }
        out.push(letter);
    }
    Some(out)
}

/// Blanks around a value mean nothing, but an escaped one at its end belongs to it.
fn trimmed(value: &str) -> &str {
    let value = value.trim_start_matches(' ');
    let end = value.trim_end_matches(' ');
    match end.ends_with('\\') && end.len() < value.len() {
        true => value,
        false => end,
    }
}

/// What a value's escapes stand for: `\,` for itself, `\2c` for a byte. None: an escape that is none.
fn plain(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let next = letters.next()?;
        match next.to_digit(16) {
            Some(high) => {
                let low = letters.next()?.to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            None => bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Splits at a sign that is not escaped.
fn split(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |letter: char| {
        let ends = letter == sign && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let (one, other) = (Dn::parse(one), Dn::parse(other));
        one.is_some() && one == other
    }

    #[test]
    fn spelling_does_not_matter() {
        for (one, other) in [
            ("cn=Staff,ou=Groups,dc=x", "CN = staff , OU=groups,DC=X"),
            ("cn=a\\,b,dc=x", "cn=a\\2cb,dc=x"),
            ("cn=caf\\c3\\a9,dc=x", "cn=CAFÉ,dc=x"),
            ("cn=a+ou=b,dc=x", "ou=b+cn=a,dc=x"),
            ("cn=a  b,dc=x", "cn=a b,dc=x"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("cn=a\\,ou=b,dc=x", "cn=a,ou=b,dc=x"),
            ("cn=a\\+ou=b,dc=x", "cn=a+ou=b,dc=x"),
            ("cn=a,dc=x", "uid=a,dc=x"),
            ("cn=a,dc=x", "cn=a"),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_name_lies_below_what_it_ends_with_and_nowhere_else() {
        let below = |name: &str, base: &str| {
            Dn::parse(name).is_some_and(|name| name.is_within(&Dn::parse(base).unwrap()))
        };
        let base = "ou=Groups,dc=x";
        for inside in ["cn=a,ou=groups,dc=x", "cn=a,ou=b,OU=Groups,DC=x", base] {
            assert!(below(inside, base), "{inside}");
        }
        for outside in [
            "cn=a,ou=people,dc=x",
            "cn=a,ou=moregroups,dc=x",
            "cn=a\\,ou=groups\\,dc=x",
            "cn=a\\,ou=groups,dc=x",
            "cn=a,ou=groups,dc=x,dc=y",
            "dc=x",
            "staff",
        ] {
            assert!(!below(outside, base), "{outside}");
        }
        assert!(below("cn=a,dc=x", ""), "everything is below the root");
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in [
            "staff",
            "cn=",
            "=a",
            "cn=a,",
            "cn=a,b",
            "cn=a\\",
            "cn=\\zz\\f",
            "c n=a",
            "cn=\\ff",
        ] {
            assert_eq!(Dn::parse(text), None, "{text}");
        }
    }
}
