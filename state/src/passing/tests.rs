//! The same changes to rows in memory and to a map that has all of them; and what the database is asked and told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::database::counting::Counting;

const ALL: KeyRange<'static> = (Bound::Unbounded, Bound::Unbounded);

/// A time, and something behind it.
fn key(time: u64) -> Vec<u8> {
    [&time.to_be_bytes()[..], b"\x01key"].concat()
}

fn commit(rows: &mut Passing, database: &mut Counting) {
    let write = &mut |batch: &mut dyn BatchWriter| {
        rows.write(batch);
        Ok(())
    };
    database.apply(write).unwrap();
    rows.committed();
}

#[test]
fn rows_that_come_and_go_between_commits_are_not_looked_up_in_the_database_nor_deleted_there() {
    let mut database = Counting::new();
    let mut before = Passing::new(0, 1 << 20);
    before.put(&key(100), Some(b"before"));
    commit(&mut before, &mut database);
    let mut rows = Passing::new(0, 1 << 20);
    let mut out = Vec::new();
    for n in 101..1_000 {
        assert!(!rows.get(&database, &key(n), &mut out).unwrap());
        rows.put(&key(n), Some(b"row"));
        rows.put(&key(n), None);
    }
    assert_eq!((database.reads.get(), database.pages.get(), rows.bytes), (0, 1, 0));
    assert_eq!((rows.dirty_bytes(), rows.is_dirty()), (0, false));
    rows.put(&key(500), Some(b"row"));
    commit(&mut rows, &mut database);
    // What is known of the first row is that there may be one, of a row behind it that there is none but those in memory.
    for (n, reads, found) in [
        (99, 1, false),
        (100, 2, true),
        (499, 2, false),
        (500, 2, true),
        (501, 2, false),
    ] {
        assert_eq!(rows.get(&database, &key(n), &mut out).unwrap(), found, "{n}");
        assert_eq!(database.reads.get(), reads, "{n}");
    }
    let mut list = RowList::default();
    rows.list(&database, &key(101), 9, &mut list).unwrap();
    assert_eq!((list.len(), database.pages.get()), (1, 1), "all of it is in memory");
    rows.list(&database, &key(100), 9, &mut list).unwrap();
    assert_eq!((list.len(), database.pages.get()), (2, 2));
    rows.put(&key(500), None);
    rows.put(&key(100), None);
    commit(&mut rows, &mut database);
    assert_eq!(database.rows.page(0, ALL, false, 9).unwrap(), []);
    rows.forget();
    assert!(!rows.get(&database, &key(501), &mut out).unwrap());
    assert_eq!(database.pages.get(), 3, "nothing is known any more");
}

#[test]
fn a_full_budget_keeps_the_latest_rows() {
    let mut database = Counting::new();
    let budget = 100 * row_bytes(&key(0), Some(b"v"));
    let mut rows = Passing::new(0, budget);
    (0..150).for_each(|n| rows.put(&key(n), Some(b"v")));
    commit(&mut rows, &mut database);
    assert_eq!((rows.bytes, rows.rows.range(ALL, false).count()), (budget / 4 * 3, 75));
    let mut out = Vec::new();
    assert!((0..150).all(|n| rows.get(&database, &key(n), &mut out).unwrap()));
    assert_eq!(database.reads.get(), 75);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64, u8),
    Delete(u64),
    /// With so much memory for rows that stay.
    Commit(usize),
    Abort,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..40_u64, any::<u8>()).prop_map(|(time, value)| Step::Put(time, value)),
        5 => (0..40_u64).prop_map(Step::Delete),
        1 => (0..30 * ROW_BYTES).prop_map(Step::Commit),
        1 => Just(Step::Abort),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn it_is_a_map(steps in steps(), page_rows in 1..12_usize) {
        let mut database = Counting::new();
        let mut rows = Passing::new(0, 1 << 20);
        let mut model = BTreeMap::new();
        let mut committed = model.clone();
        let (mut out, mut list) = (Vec::new(), RowList::default());
        for step in steps {
            match step {
                Step::Put(time, value) => {
                    rows.put(&key(time), Some(&[value]));
                    model.insert(key(time), vec![value]);
                }
                Step::Delete(time) => {
                    rows.put(&key(time), None);
                    model.remove(&key(time));
                }
                Step::Commit(budget) => {
                    rows.set_clean_budget(budget);
                    commit(&mut rows, &mut database);
                    committed = model.clone();
                }
                Step::Abort => {
                    rows.forget();
                    model = committed.clone();
                }
            }
            for time in [0, 7, 20, 39] {
                let found = rows.get(&database, &key(time), &mut out).unwrap().then(|| out.clone());
                prop_assert_eq!(found.as_ref(), model.get(&key(time)));
            }
            let from = key(11);
            let mut next = from.clone();
            let mut listed = Vec::new();
            loop {
                rows.list(&database, &next, page_rows, &mut list).unwrap();
                let Some((last, _)) = list.iter().last() else { break };
                next = [last, b"\0"].concat();
                listed.extend(list.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
            }
            prop_assert!(listed.iter().map(|(key, value)| (key, value)).eq(model.range(from..)));
            let backwards = rows.page(&database, ALL, true, 1_000).unwrap();
            prop_assert!(backwards.iter().map(|row| &*row.key).eq(model.keys().rev().map(|key| &**key)));
            let bytes: usize = rows.rows.range(ALL, false).map(|(place, row)| row_bytes(place.key(), row.value.as_deref())).sum();
            prop_assert_eq!(rows.bytes, bytes);
            prop_assert_eq!(rows.is_dirty(), rows.rows.range(ALL, false).any(|(_, row)| row.dirty));
            let dirty = rows.rows.range(ALL, false).filter(|(_, row)| row.dirty);
            let bytes: usize = dirty.map(|(place, row)| dirty_row_bytes(place.key(), row.value.as_deref())).sum();
            prop_assert_eq!(rows.dirty_bytes(), bytes);
        }
        commit(&mut rows, &mut database);
        let kept = database.rows.page(0, ALL, false, 1_000).unwrap();
        prop_assert!(kept.iter().map(|(key, value)| (&**key, &**value)).eq(model.iter().map(|(k, v)| (&**k, &**v))));
    }
}
