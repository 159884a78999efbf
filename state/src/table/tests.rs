//! What the overlay costs: reads of the database and rows copied.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use std::ops::Bound;

use crate::database::Mark;
use crate::database::counting::Counting;
use crate::keys::Suffix;

const ALL: KeyRange<'static> = (Bound::Unbounded, Bound::Unbounded);

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

fn commit(table: &mut Table, database: &mut Counting) {
    database
        .apply(&mut |batch| {
            table.write(batch, None);
            Ok(())
        })
        .unwrap();
    table.committed(None);
}

fn reads(table: &mut Table, database: &Counting, keys: std::ops::Range<u32>) -> usize {
    let before = database.reads.get();
    for n in keys {
        table.get(database, &key(n), &mut Vec::new()).unwrap();
    }
    database.reads.get() - before
}

#[test]
fn a_scan_does_not_cost_the_rows_in_memory() {
    let mut database = Counting::new();
    let mut table = Table::new(0, false, 0, 1 << 20);
    (0..100).for_each(|n| table.put(&key(n), Some(b"v"), -1));
    assert_eq!(table.page(&database, ALL, false, 1_000).unwrap().len(), 100);
    commit(&mut table, &mut database);
    assert_eq!(reads(&mut table, &database, 0..100), 0, "committed rows stay");
    assert_eq!(reads(&mut table, &database, 100..101), 1);
    assert_eq!(reads(&mut table, &database, 100..101), 0, "what was read stays");
    assert_eq!(table.page(&database, ALL, true, 1_000).unwrap().len(), 100);
}

#[test]
fn a_full_budget_keeps_a_part_of_the_rows_that_are_in_use() {
    let mut database = Counting::new();
    let budget = 100 * row_bytes(&key(0), Some(b"v"));
    let mut table = Table::new(0, false, 0, budget);
    (0..150).for_each(|n| table.put(&key(n), Some(b"v"), -1));
    commit(&mut table, &mut database);
    assert!(table.bytes <= budget);
    let missed = reads(&mut table, &database, 0..150);
    assert!((50..=100).contains(&missed), "{missed} of 150 had to be read");
}

#[test]
fn rows_that_were_not_used_go_first() {
    let mut database = Counting::new();
    let budget = 100 * row_bytes(&key(0), Some(b"v"));
    let mut table = Table::new(0, false, 0, budget);
    (0..150).for_each(|n| table.put(&key(n), Some(b"v"), -1));
    commit(&mut table, &mut database);
    // Ten hot rows, and others that push.
    for round in 1..20 {
        (0..10).for_each(|n| table.put(&key(n), Some(b"w"), -1));
        (0..30).for_each(|n| table.put(&key(round * 1_000 + n), Some(b"v"), -1));
        reads(&mut table, &database, 0..10);
        commit(&mut table, &mut database);
    }
    assert!(table.bytes <= budget);
    assert!(
        reads(&mut table, &database, 19_000..19_030) <= 10,
        "the newest are there"
    );
}

#[test]
fn a_page_copies_no_more_rows_than_it_gives() {
    let mut database = Counting::new();
    let mut table = Table::new(0, false, 0, 1 << 20);
    (0..10).for_each(|n| table.put(&key(2 * n), Some(b"v"), -1));
    commit(&mut table, &mut database);
    (0..1_000).for_each(|n| table.put(&key(n), Some(b"w"), -1));
    for reverse in [false, true] {
        assert_eq!(table.page(&database, ALL, reverse, 16).unwrap().len(), 16);
    }
}

#[test]
fn pages_follow_each_other_without_gaps_whatever_was_deleted() {
    let mut database = Counting::new();
    let mut table = Table::new(0, false, 0, 1 << 20);
    (0..100).for_each(|n| table.put(&key(n), Some(b"v"), -1));
    commit(&mut table, &mut database);
    (10..60).for_each(|n| table.put(&key(n), None, -1));
    (90..120).for_each(|n| table.put(&key(n), Some(b"w"), -1));
    let expected: Vec<Vec<u8>> = (0..10).chain(60..120).map(|n| key(n).to_vec()).collect();
    for max_rows in [1, 3, 16, 200] {
        let mut found: Vec<Vec<u8>> = Vec::new();
        loop {
            let lo = found.last().cloned();
            let lo = lo.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = table.page(&database, (lo, Bound::Unbounded), false, max_rows).unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page.iter().map(|row| row.key.to_vec()));
        }
        assert_eq!(found, expected, "{max_rows} rows a page");
    }
}

#[test]
fn a_smaller_budget_holds_from_the_next_commit_on() {
    let mut database = Counting::new();
    let row = row_bytes(&key(0), Some(b"v"));
    let mut table = Table::new(0, false, 0, 1_000 * row);
    (0..100).for_each(|n| table.put(&key(n), Some(b"v"), -1));
    commit(&mut table, &mut database);
    table.set_clean_budget(10 * row);
    table.put(&key(0), Some(b"w"), -1);
    commit(&mut table, &mut database);
    assert!(table.bytes <= 10 * row, "{} bytes", table.bytes);
}

/// What a batch was told to write.
#[derive(Default)]
struct Written {
    puts: usize,
    deletes: usize,
}

impl BatchWriter for Written {
    fn put(&mut self, _: usize, _: &[u8], _: &[u8], _: &[u8]) {
        self.puts += 1;
    }
    fn delete(&mut self, _: usize, _: &[u8]) {
        self.deletes += 1;
    }
    fn delete_below(&mut self, _: usize, _: &[u8]) {}
    fn mark(&mut self, _: usize, _: Mark) {}
}

#[test]
fn a_session_that_grows_leaves_nothing_of_what_it_was_in_memory_or_in_the_batch() {
    let row = |end: u64| [&b"segment0key"[..], &end.to_be_bytes(), &[0; 8]].concat();
    let all = (Suffix::FIRST, Suffix::LAST);
    let mut database = Counting::new();
    let mut table = Table::new(0, false, 16, 1 << 20);
    for commits in 0..3 {
        for end in 1..=100 {
            let end = commits * 100 + end;
            let found = table.of_group(&database, b"segment0key", &all, all.1, false).unwrap();
            for session in found.unwrap() {
                table.put(&session.key, None, -1);
            }
            table.put(&row(end), Some(b"v"), -1);
        }
        let mut written = Written::default();
        table.write(&mut written, None);
        assert_eq!((written.puts, written.deletes), (1, usize::from(commits > 0)));
        let dirty = table.dirty_bytes();
        assert!(
            dirty <= 2 * (row_bytes(&row(0), Some(b"v")) + commit_bytes(&row(0), Some(b"v"))),
            "{dirty} bytes"
        );
        commit(&mut table, &mut database);
        assert_eq!(table.bytes, row_bytes(&row(0), Some(b"v")));
    }
    let mut value = Vec::new();
    assert_eq!(table.get(&database, &row(299), &mut value).unwrap(), None);
    assert_eq!(table.get(&database, &row(300), &mut value).unwrap(), Some(-1));
}

#[test]
fn a_row_that_the_database_never_had_is_not_deleted_there() {
    let mut database = Counting::new();
    let mut table = Table::new(0, false, 0, 1 << 20);
    let mut value = Vec::new();
    let deletes = |table: &mut Table| {
        let mut written = Written::default();
        table.write(&mut written, None);
        (written.puts, written.deletes)
    };
    assert_eq!(table.get(&database, &key(1), &mut value).unwrap(), None);
    table.put(&key(1), Some(b"v"), -1);
    table.put(&key(1), None, -1);
    table.put(&key(2), None, -1);
    assert_eq!(deletes(&mut table), (0, 1), "nobody has asked for the second");
    table.put(&key(1), Some(b"w"), -1);
    assert_eq!(deletes(&mut table), (1, 1));
    commit(&mut table, &mut database);
    table.put(&key(1), None, -1);
    table.put(&key(1), Some(b"w"), -1);
    table.put(&key(1), None, -1);
    assert_eq!(deletes(&mut table), (0, 1));
    commit(&mut table, &mut database);
    assert_eq!(table.get(&database, &key(1), &mut value).unwrap(), None);
    assert_eq!(database.reads.get(), 1);
}

#[test]
fn a_row_that_was_put_away_leaves_memory_with_the_commit() {
    let mut database = Counting::new();
    let mut table = Table::new(0, false, 0, 1 << 20);
    table.put(&key(1), Some(b"v"), -1);
    table.put_away(&key(2), b"w");
    let mut value = Vec::new();
    assert_eq!(table.get(&database, &key(2), &mut value).unwrap(), Some(-1));
    commit(&mut table, &mut database);
    assert_eq!(table.bytes, row_bytes(&key(1), Some(b"v")));
    assert_eq!(reads(&mut table, &database, 1..3), 1);
    assert_eq!(
        (table.get(&database, &key(2), &mut value).unwrap(), &*value),
        (Some(-1), &b"w"[..])
    );
}

#[test]
fn what_a_commit_will_take_counts_before_it() {
    let mut database = Counting::new();
    let mut table = Table::new(0, false, 0, 1 << 20);
    table.put(&key(0), Some(&[0; 100]), -1);
    let once = table.dirty_bytes();
    assert_eq!(
        once,
        row_bytes(&key(0), Some(&[0; 100])) + commit_bytes(&key(0), Some(&[0; 100]))
    );
    table.put(&key(0), Some(&[0; 50]), -1);
    assert!(table.dirty_bytes() < once, "the row has shrunk");
    commit(&mut table, &mut database);
    assert_eq!(table.dirty_bytes(), 0);
}

/// The times of the rows that are lent to somebody who may have enough before the last.
fn lent(
    table: &mut Table,
    database: &Counting,
    group: &[u8],
    times: &(Suffix, Suffix),
    reverse: bool,
    enough: usize,
) -> Vec<u64> {
    let mut lent = Vec::new();
    let mut take = |[time, _]: [i64; 2], value: &[u8], _| {
        assert_eq!(value, time.to_be_bytes());
        lent.push(time.cast_unsigned());
        lent.len() < enough
    };
    let all = table.lend_group(database, (group, Suffix::from_time(-1)), times, reverse, &mut take);
    assert!(all.unwrap());
    lent
}

/// Windows of four keys that are put, deleted, committed, evicted and read, beside a map.
#[test]
fn a_group_gives_the_rows_there_are_however_little_memory_there_is() {
    let row = |group: u8, time: u64| [&[0; 7][..], &[group], &time.to_be_bytes(), &[0; 4]].concat();
    let suffix = |time: u64| Suffix::from_time(time.cast_signed());
    for budget_rows in [0, 12, 1_000] {
        let mut database = Counting::new();
        let mut table = Table::new(0, false, 12, budget_rows * row_bytes(&row(0, 0), Some(b"v")));
        let mut model = BTreeMap::new();
        let mut random = 1_u64;
        let mut known = 0;
        for step in 0..20_000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (group, time) = ((random >> 60) as u8 % 4, step / 50 + (random >> 40) % 10);
            let key = row(group, time);
            match (random >> 33) % 16 {
                0..6 => {
                    table.put(&key, Some(&time.to_be_bytes()), -1);
                    model.insert(key, time);
                }
                6..8 => {
                    table.put(&key, None, -1);
                    model.remove(&key);
                }
                8 => commit(&mut table, &mut database),
                9 if step % 97 == 0 => {
                    let end = row(group, time.saturating_sub(40));
                    database
                        .apply(&mut |batch| {
                            batch.delete_below(0, &end);
                            table.write(batch, Some(&end));
                            Ok(())
                        })
                        .unwrap();
                    table.committed(Some(&end));
                    model = model.split_off(&end);
                }
                10 => drop(table.get(&database, &key, &mut Vec::new()).unwrap()),
                _ => {
                    let (lo, reverse) = (time.saturating_sub((random >> 20) % 30), random & 1 == 0);
                    let times = (suffix(lo), suffix(time));
                    let found = table
                        .of_group(&database, &row(group, 0)[..8], &times, suffix(u64::MAX), reverse)
                        .unwrap()
                        .unwrap();
                    let mut expected: Vec<_> = model.range(row(group, lo)..=key).collect();
                    if reverse {
                        expected.reverse();
                    }
                    assert!(
                        found
                            .iter()
                            .map(|row| &*row.key)
                            .eq(expected.iter().map(|(key, _)| &key[..]))
                    );
                    let enough = 1 + (random >> 25) as usize % 12;
                    let lent = lent(&mut table, &database, &row(group, 0)[..8], &times, reverse, enough);
                    assert!(lent.iter().eq(expected.iter().map(|(_, time)| *time).take(enough)));
                    known += usize::from(!found.is_empty());
                }
            }
        }
        assert!(known > 2_000, "{known} reads that tell something");
    }
}

/// Windows of many keys that come, go and are emitted in the order of time, beside a map.
#[test]
fn rows_by_time_are_those_of_a_scan_and_a_segment_is_scanned_once() {
    let row = |key: u64, time: u64| {
        let segment = time / 100;
        [
            &segment.to_be_bytes()[..],
            &key.to_be_bytes()[..2 + key as usize % 7],
            &time.to_be_bytes(),
            &[0; 4],
        ]
        .concat()
    };
    for budget_rows in [20, 10_000] {
        let mut database = Counting::new();
        let mut table = Table::new(0, false, 12, budget_rows * row_bytes(&row(0, 0), Some(b"v")));
        let (mut model, mut random, mut given) = (BTreeMap::new(), 1_u64, 0);
        let mut emitted = 0;
        for step in 0..20_000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let (key, time) = ((random >> 40) % 20, step / 20 + (random >> 50) % 30);
            let row_key = row(key, time);
            match (random >> 33) % 16 {
                0..10 => {
                    table.put(&row_key, Some(&time.to_be_bytes()), -1);
                    model.insert((time, row_key), ());
                }
                10..14 => {
                    table.put(&row_key, None, -1);
                    model.remove(&(time, row_key));
                }
                14 => commit(&mut table, &mut database),
                _ => {
                    let to = (step / 20).saturating_sub((random >> 20) % 3);
                    let mut found = Vec::new();
                    for segment in emitted / 100..=to / 100 {
                        let range = (emitted as i64, to as i64);
                        table
                            .rows_by_time(&database, segment as i64, range, &mut found)
                            .unwrap();
                    }
                    let mut found: Vec<Vec<u8>> = found.iter().map(|row| row.key.to_vec()).collect();
                    found.sort();
                    let expected = model.keys().filter(|(time, _)| (emitted..=to).contains(time));
                    let mut expected: Vec<Vec<u8>> = expected.map(|(_, key)| key.clone()).collect();
                    expected.sort();
                    assert_eq!(found, expected, "step {step}");
                    given += found.len();
                    emitted = emitted.max(to + 1);
                }
            }
        }
        assert!(given > 3_000, "{given} rows");
        if budget_rows > 20 {
            assert!(database.pages.get() <= 2 * 11, "{} pages", database.pages.get());
        }
    }
}
