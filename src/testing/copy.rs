//! Is a store what its changelog says?
//!
//! Exactly once: row by row. At least once two instances may have a task for a while, one of which has not heard yet that it is not
//! its any more; both write to the changelog, and neither reads what the other writes. Kafka Streams does the same. Then a row may
//! be older than the changelog, if it was another producer that wrote last.

use std::collections::{BTreeMap, BTreeSet};

use super::rest::Logged;

type Row = (Box<[u8]>, Box<[u8]>);

/// Where other producers may have written meanwhile.
pub(super) struct Rivals<'a> {
    /// The changelog up to what the store stands for.
    pub(super) below: &'a [Logged],
    /// What was overwritten is not in the changelog any more.
    pub(super) compacted: bool,
}

/// The first row that is wrong, if one is.
pub(super) fn difference(rows: &[Row], expected: &[Row], rivals: Option<&Rivals<'_>>) -> Option<String> {
    let (found, wanted) = (by_key(rows), by_key(expected));
    let keys: BTreeSet<&[u8]> = found.keys().chain(wanted.keys()).copied().collect();
    let wrong = |key: &&[u8]| {
        let row = found.get(key).copied();
        row != wanted.get(key).copied() && !rivals.is_some_and(|r| r.explain(key, row))
    };
    let key = keys.into_iter().find(wrong)?;
    let what = match (found.get(key), wanted.get(key)) {
        (Some(_), Some(_)) => "another value",
        (Some(_), None) => "a row too many",
        (None, _) => "a row is missing",
    };
    let at = key.escape_ascii();
    Some(format!(
        "{what} at key {at} ({} rows, {} expected)",
        rows.len(),
        expected.len()
    ))
}

fn by_key(rows: &[Row]) -> BTreeMap<&[u8], &[u8]> {
    rows.iter().map(|(key, value)| (&**key, &**value)).collect()
}

impl Rivals<'_> {
    /// Whether the row is what it was before somebody else wrote.
    fn explain(&self, key: &[u8], row: Option<&[u8]>) -> bool {
        let owner = self.below.last().map(|l| l.writer);
        let mut of_key = self.below.iter().rev().filter(|l| l.record.key.as_deref() == Some(key));
        if of_key.next().is_none_or(|last| Some(last.writer) == owner) {
            return false;
        }
        // A row may begin with the time of its record.
        let is_row = |logged: &Logged| match (logged.record.value.as_deref(), row) {
            (Some(value), Some(row)) => row.ends_with(value),
            (None, None) => true,
            _ => false,
        };
        self.compacted || row.is_none() || of_key.any(is_row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeenRecord;

    fn logged(all: &[(&str, &str, i64)]) -> Vec<Logged> {
        let records = all.iter().zip(0..).map(|((key, value, writer), offset)| Logged {
            record: SeenRecord {
                topic: "app-store-changelog".into(),
                partition: 0,
                offset,
                timestamp: 0,
                key: Some(key.as_bytes().to_vec()),
                value: Some(value.as_bytes().to_vec()),
            },
            writer: *writer,
        });
        records.collect()
    }

    fn row(key: &str, value: &str) -> Row {
        (key.as_bytes().into(), value.as_bytes().into())
    }

    fn found(rows: &[Row], expected: &[Row], log: &[(&str, &str, i64)]) -> Option<String> {
        let below = logged(log);
        let rivals = Rivals {
            below: &below,
            compacted: false,
        };
        difference(rows, expected, Some(&rivals))
    }

    #[test]
    fn a_row_may_be_older_than_the_changelog_only_if_another_producer_wrote_last() {
        let (rows, expected) = ([row("a", "2"), row("b", "1")], [row("a", "1"), row("b", "1")]);
        let overtaken = [("a", "2", 8), ("a", "1", 5), ("b", "1", 8)];
        assert_eq!(found(&rows, &expected, &overtaken), None);
        assert!(difference(&rows, &expected, None).is_some_and(|what| what.starts_with("another value at key a")));

        let own = [("a", "2", 8), ("a", "1", 8), ("b", "1", 8)];
        assert!(found(&rows, &expected, &own).is_some(), "its own record is newer");
        let never = [("a", "3", 8), ("a", "1", 5), ("b", "1", 8)];
        assert!(found(&rows, &expected, &never).is_some(), "nobody wrote such a value");
    }

    #[test]
    fn what_is_missing_and_what_is_too_many_is_told() {
        let (one, none) = ([row("a", "1")], []);
        assert!(difference(&none, &one, None).is_some_and(|what| what.starts_with("a row is missing")));
        assert!(difference(&one, &none, None).is_some_and(|what| what.starts_with("a row too many")));
    }
}
