//! A code as people type it.

use zeroize::Zeroizing;

/// RFC 4226 §5.3 wants at least six digits; nobody shows more than eight.
const DIGITS: std::ops::RangeInclusive<usize> = 6..=8;

/// Six to eight typed digits; its `Debug` shows nothing.
pub(crate) struct Code(Zeroizing<String>);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(…)")
    }
}

impl Code {
    /// Blanks and dashes are ignored and full-width digits (a Japanese keyboard) are read; anything
    /// else than six to eight digits is none.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let mut digits = Zeroizing::new(String::with_capacity(*DIGITS.end()));
        for letter in typed
            .chars()
            .filter(|c| !c.is_whitespace() && !"-‐ー".contains(*c))
        {
            let digit = match letter {
                '0'..='9' => letter,
                '０'..='９' => {
                    char::from_u32(u32::from(letter) - u32::from('０') + u32::from('0'))?
                }
                _ => return None,
            };
            if digits.len() == *DIGITS.end() {
                return None;
            }
            digits.push(digit);
        }
        DIGITS.contains(&digits.len()).then_some(Self(digits))
    }

    pub(super) fn digits(&self) -> &str {
        &self.0
    }
}
