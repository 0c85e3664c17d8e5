//! Attributes with very many values, which Active Directory gives out by pieces (MS-ADTS
//! 3.1.1.3.1.3.3): `memberOf;range=0-1499`, and the last piece ends in `*`.

use ldap3::SearchEntry;

/// Values of one attribute; a person in more groups than this is no person.
const VALUES_MAX: usize = 20_000;

/// One piece of an attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    from: usize,
    /// None: this is the last one.
    to: Option<usize>,
    values: Vec<String>,
}

/// Takes the piece of `attribute` out of an entry, if it came by pieces.
pub(super) fn take(entry: &mut SearchEntry, attribute: &str) -> Option<Piece> {
    let key = entry
        .attrs
        .keys()
        .find(|key| bounds(key, attribute).is_some())?;
    let key = key.clone();
    let (from, to) = bounds(&key, attribute)?;
    let values = entry.attrs.remove(&key)?;
    Some(Piece { from, to, values })
}

/// `0` and `1499` of `memberOf;range=0-1499`.
fn bounds(key: &str, attribute: &str) -> Option<(usize, Option<usize>)> {
    let (name, option) = key.split_once(';')?;
    let range = option.to_ascii_lowercase();
    let (from, to) = range.strip_prefix("range=")?.split_once('-')?;
    if !name.eq_ignore_ascii_case(attribute) {
        return None;
    }
    let to = match to {
        "*" => None,
        number => Some(number.parse().ok()?),
    };
    Some((from.parse().ok()?, to))
}

/// The pieces so far.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<String>);

impl Pieces {
    /// Adds a piece. Ok: the attribute to ask for next, None when this was the last. Err: the
    /// pieces do not fit together, or do not end.
    pub(super) fn add(&mut self, attribute: &str, piece: Piece) -> Result<Option<String>, String> {
        let fits = piece.from == self.0.len()
            && piece
                .to
                .is_none_or(|to| to.checked_add(1) == Some(piece.from + piece.values.len()));
        if !fits || (piece.to.is_some() && piece.values.is_empty()) {
            return Err(format!(
                "the pieces of {attribute} do not fit together: {} values, then {}-{:?}",
                self.0.len(),
                piece.from,
                piece.to
            ));
        }
        self.0.extend(piece.values);
        if self.0.len() > VALUES_MAX {
            return Err(format!("{attribute} has more than {VALUES_MAX} values"));
        }
        Ok(piece
            .to
            .map(|_| format!("{attribute};range={}-*", self.0.len())))
    }

    pub(super) fn into_values(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn piece(from: usize, to: Option<usize>, count: usize) -> Piece {
        let values = (0..count).map(|n| format!("{from}+{n}")).collect();
        Piece { from, to, values }
    }

    #[test]
    fn a_piece_is_known_by_its_name() {
        let mut entry = SearchEntry {
            dn: "cn=a".into(),
            attrs: HashMap::from([
                ("memberOf".into(), vec![]),
                ("MemberOf;Range=0-1".into(), vec!["a".into(), "b".into()]),
            ]),
            bin_attrs: HashMap::new(),
        };
        let taken = take(&mut entry, "memberOf").unwrap();
        assert_eq!((taken.from, taken.to, taken.values.len()), (0, Some(1), 2));
        assert_eq!(take(&mut entry, "memberOf"), None);
        for key in [
            "memberOf",
            "memberOf;binary",
            "member;range=0-1",
            "memberOf;range=x-1",
        ] {
            assert_eq!(bounds(key, "memberOf"), None, "{key}");
        }
        assert_eq!(bounds("memberOf;range=5-*", "memberOf"), Some((5, None)));
    }

    #[test]
    fn pieces_are_put_together_to_the_end() {
        let mut pieces = Pieces::default();
        let next = pieces.add("m", piece(0, Some(2), 3)).unwrap();
        assert_eq!(next.as_deref(), Some("m;range=3-*"));
        assert_eq!(pieces.add("m", piece(3, None, 2)), Ok(None));
        assert_eq!(pieces.into_values().len(), 5);
    }

    #[test]
    fn pieces_that_lie_or_never_end_are_refused() {
        for (first, second) in [
            (piece(0, Some(2), 3), piece(0, Some(2), 3)),
            (piece(0, Some(2), 3), piece(4, None, 1)),
            (piece(0, Some(2), 3), piece(3, Some(3), 0)),
            (piece(0, Some(2), 3), piece(3, Some(usize::MAX), 1)),
        ] {
            let mut pieces = Pieces::default();
            pieces.add("m", first).unwrap();
            assert!(pieces.add("m", second).is_err());
        }
        let mut pieces = Pieces::default();
        let endless = (0..).find_map(|n| {
            pieces
                .add("m", piece(n * 500, Some(n * 500 + 499), 500))
                .err()
        });
        assert!(endless.unwrap().contains("more than"));
    }
}
