//! How do rows in memory go before those of the database? Page by page: a range may be long, and whoever reads it may stop early.
use std::ops::Bound;

use crate::Result;
use crate::database::{KeyRange, RawRow, is_sound};
use crate::table::Found;

/// What the database has of a range, from one of its ends on.
pub(crate) struct Base {
    pub(crate) rows: Vec<RawRow>,
    /// How far that is, all included; `None`: to the other end.
    pub(crate) passed: Option<Box<[u8]>>,
}

impl Base {
    /// A page of at most so many rows.
    pub(crate) fn of(rows: Vec<RawRow>, max_rows: usize) -> Self {
        let last = rows.last().filter(|_| rows.len() == max_rows);
        let passed = last.map(|(key, _)| key.clone());
        Self { rows, passed }
    }
}

/// What a range is read from.
pub(crate) struct Sources<B, N, F, D> {
    /// About a page of the database.
    pub(crate) database: B,
    /// Rows in memory in the wanted direction, deleted ones too.
    pub(crate) newer: N,
    /// Such a row as a scan gives it; `None`: it is deleted.
    pub(crate) found: F,
    /// A row of the database as a scan gives it.
    pub(crate) decode: D,
}

/// At most about `max_rows` rows of a range, in order or in reverse; empty only at the end of the range.
pub(crate) fn page<'m, R, I: Iterator<Item = (&'m [u8], R)>>(
    range: KeyRange<'_>,
    reverse: bool,
    max_rows: usize,
    sources: &Sources<
        impl Fn(KeyRange<'_>) -> Result<Base>,
        impl Fn(KeyRange<'_>) -> I,
        impl Fn(R) -> Option<Found>,
        impl Fn(&[u8], &[u8]) -> Found,
    >,
) -> Result<Vec<Found>> {
    let mut lo: Bound<Box<[u8]>> = range.0.map(Into::into);
    let mut hi: Bound<Box<[u8]>> = range.1.map(Into::into);
    loop {
        let current = (lo.as_ref().map(|k| &**k), hi.as_ref().map(|k| &**k));
        if !is_sound(current) {
            return Ok(Vec::new());
        }
        let Base {
            rows: base,
            passed: last,
        } = (sources.database)(current)?;
        let max_rows = max_rows.max(base.len());
        let known = match (last.as_deref(), reverse) {
            (None, _) => current,
            (Some(last), false) => (current.0, Bound::Included(last)),
            (Some(last), true) => (Bound::Included(last), current.1),
        };
        let mut rows = Vec::with_capacity(base.len());
        let mut newer = (sources.newer)(known);
        let mut next = newer.next();
        let mut base = base.into_iter().peekable();
        while rows.len() < max_rows {
            let take_newer = match (base.peek(), &next) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some((b, _)), Some((k, _))) if **b == **k => {
                    base.next();
                    true
                }
                (Some((b, _)), Some((k, _))) => (**k < **b) != reverse,
            };
            if take_newer {
                rows.extend(next.and_then(|(_, row)| (sources.found)(row)));
                next = newer.next();
            } else if let Some((key, row)) = base.next() {
                rows.push((sources.decode)(&key, &row));
            }
        }
        match last {
            // Everything on the page is deleted in memory: go on behind it.
            Some(last) if rows.is_empty() && reverse => hi = Bound::Excluded(last),
            Some(last) if rows.is_empty() => lo = Bound::Excluded(last),
            _ => return Ok(rows),
        }
    }
}
