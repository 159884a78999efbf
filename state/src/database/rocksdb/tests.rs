//! Reads of windows and sessions beside a sorted map, whatever filters there are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{LoggedHeaders, StoreBackend, StoreKind};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const SEGMENTS: [i64; 4] = [0, 1, 40_808, 40_809];
/// When the first segment begins, one that is far too early for its number, and those of 2025.
const TIMES: [i64; 4] = [0, 100_000, 1_762_905_600_000, 1_762_948_800_000];

/// Windows and sessions: 12 and 16 bytes behind the key.
fn specs() -> [StoreSpec; 2] {
    let window = StoreKind::Window {
        timestamped: true,
        window_size_ms: 10,
        retention_ms: 86_400_000,
        segment_interval_ms: 43_200_000,
        retain_duplicates: false,
    };
    let session = StoreKind::Session {
        retention_ms: 86_400_000,
        segment_interval_ms: 43_200_000,
    };
    [("windows", window), ("sessions", session)].map(|(name, kind)| StoreSpec {
        name: name.into(),
        kind,
        backend: StoreBackend::Persistent,
        caching: false,
        logging: true,
        logged_headers: LoggedHeaders::Never,
    })
}

/// Numbers without a pattern.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % n
    }

    /// A value that cannot be compressed.
    fn value(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.below(256) as u8).collect()
    }
}

/// Keys that are the starts of others, that look like times, and integers of several lengths.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = ["", "a", "ab", "\0", "\0\0\u{1}", "a\0\0\0", "a\0\0\u{1}"]
        .map(|key| key.as_bytes().to_vec())
        .to_vec();
    for time in TIMES {
        // Rows of such keys lie between those of "" and of "a".
        keys.push((time + 15).to_be_bytes().to_vec());
        keys.push([b"a", &(time + 15).to_be_bytes()[..]].concat());
        keys.push([b"a", &(time + 25).to_be_bytes()[..], b"more"].concat());
    }
    keys.extend([1_i64, 300, 70_000].map(|n| n.to_be_bytes().to_vec()));
    keys.extend([1_i32, 300, 70_000].map(|n| n.to_be_bytes().to_vec()));
    keys
}

fn group(segment: usize, key: &[u8]) -> Vec<u8> {
    [&SEGMENTS[segment].to_be_bytes()[..], key].concat()
}

fn row_key(family: usize, group: &[u8], time: i64) -> Vec<u8> {
    let behind = if family == 0 {
        vec![0; 4]
    } else {
        time.to_be_bytes().to_vec()
    };
    [group, &time.to_be_bytes(), &behind].concat()
}

/// A database, what it should hold, and where it is.
struct Both {
    database: Option<RocksDatabase>,
    models: [Model; 2],
    budget: Budget,
    dir: tempfile::TempDir,
}

impl Both {
    fn new() -> Self {
        let mut both = Self {
            database: None,
            models: Default::default(),
            budget: Budget::new(8 << 20),
            dir: tempfile::tempdir().unwrap(),
        };
        both.open(true);
        both
    }

    /// `heads`: as it is opened now; otherwise as versions before did.
    fn open(&mut self, heads: bool) {
        self.database = None;
        let mut database = RocksDatabase::open(self.dir.path(), &specs(), &self.budget).unwrap();
        if !heads {
            drop(database.database);
            let names = DB::list_cf(&Options::default(), self.dir.path()).unwrap();
            let names = names
                .into_iter()
                .map(|name| ColumnFamilyDescriptor::new(name, self.budget.family_options(false)));
            let options = self.budget.database_options();
            database.database = Arc::new(DB::open_cf_descriptors(&options, self.dir.path(), names).unwrap());
        }
        for family in 0..2 {
            // Many small tables in a level.
            let small = [("target_file_size_base", "2048"), ("max_compaction_bytes", "4096")];
            let handle = database.family(family).unwrap();
            database.database.set_options_cf(handle, &small).unwrap();
        }
        self.database = Some(database);
    }

    fn database(&self) -> &RocksDatabase {
        self.database.as_ref().unwrap()
    }

    fn put(&mut self, dice: &mut Dice, rows: usize) {
        let keys = keys();
        let (models, database) = (&mut self.models, self.database.as_mut().unwrap());
        let fill = &mut |batch: &mut dyn BatchWriter| {
            for _ in 0..rows {
                let (family, segment) = (dice.below(2), dice.below(SEGMENTS.len()));
                let time = TIMES[segment] + dice.below(40) as i64;
                let key = row_key(family, &group(segment, &keys[dice.below(keys.len())]), time);
                if dice.below(8) == 0 {
                    batch.delete(family, &key);
                    models[family].remove(&key);
                } else {
                    let bytes = dice.below(300);
                    let value = dice.value(bytes);
                    batch.put(family, &key, &[], &value);
                    models[family].insert(key, value);
                }
            }
            Ok(())
        };
        database.apply(fill).unwrap();
    }

    fn expire(&mut self, segment: i64) {
        let end = segment.to_be_bytes();
        let fill = &mut |batch: &mut dyn BatchWriter| {
            (0..2).for_each(|family| batch.delete_below(family, &end));
            Ok(())
        };
        self.database.as_mut().unwrap().apply(fill).unwrap();
        self.models = std::mem::take(&mut self.models).map(|mut rows| rows.split_off(&end[..]));
    }

    fn flush(&self, compact: bool) {
        for family in 0..2 {
            let handle = self.database().family(family).unwrap();
            self.database().database.flush_cf(handle).unwrap();
            if compact {
                let all: Option<&[u8]> = None;
                self.database().database.compact_range_cf(handle, all, all);
            }
        }
    }

    /// Whether every read has the rows of the model.
    fn check(&self) {
        for family in 0..2 {
            for (segment, first) in TIMES.into_iter().enumerate() {
                for key in keys() {
                    let group = group(segment, &key);
                    for (from, to) in [(0, 39), (10, 20), (30, 200)] {
                        let lo = row_key(family, &group, first + from);
                        let hi = row_key(family, &group, first + to);
                        self.check_range(family, (Bound::Included(&lo), Bound::Included(&hi)));
                    }
                    // From before the segment to behind it.
                    let ends = [0, i64::MAX].map(|time| row_key(family, &group, time));
                    self.check_range(family, (Bound::Included(&ends[0]), Bound::Excluded(&ends[1])));
                    self.check_range(family, (Bound::Included(&ends[0]), Bound::Included(&ends[1])));
                    self.check_range(family, (Bound::Excluded(&group), Bound::Unbounded));
                }
            }
            self.check_range(family, (Bound::Unbounded, Bound::Unbounded));
        }
    }

    fn check_range(&self, family: usize, range: KeyRange<'_>) {
        let expected = self.models[family].range::<[u8], KeyRange<'_>>(range);
        let expected: Vec<(&[u8], &[u8])> = expected.map(|(key, value)| (&key[..], &value[..])).collect();
        for reverse in [false, true] {
            let mut found = self.database().page(family, range, reverse, usize::MAX).unwrap();
            if reverse {
                found.reverse();
            }
            let found: Vec<(&[u8], &[u8])> = found.iter().map(|(key, value)| (&**key, &**value)).collect();
            assert!(found == expected, "{range:?}, reverse: {reverse}");
        }
    }
}

#[test]
fn reads_have_the_rows_of_a_sorted_map_whatever_tables_they_are_in() {
    for seed in 0..2 {
        let (mut both, mut dice) = (Both::new(), Dice(seed));
        for step in 0..12 {
            both.put(&mut dice, 150);
            match dice.below(6) {
                0 => both.open(dice.below(2) == 0),
                1 | 2 => both.flush(false),
                3 | 4 => both.flush(true),
                _ => {}
            }
            if step == 8 {
                both.expire(SEGMENTS[1 + dice.below(3)]);
            }
            both.check();
        }
        // Tables of before, and some that are new.
        both.open(false);
        both.put(&mut dice, 300);
        both.flush(true);
        both.open(true);
        both.check();
        both.put(&mut dice, 30);
        both.flush(false);
        both.check();
        both.open(false);
        both.check();
    }
}

/// The table in which the key's rows would begin has none of them, and the next one begins with a row of the longer key.
#[test]
fn a_row_behind_those_of_a_longer_key_is_found_in_a_later_table() {
    let (mut both, mut dice) = (Both::new(), Dice(7));
    let (time, segment) = (TIMES[2], group(2, b"a"));
    let longer = [&segment[..], &(time + 15).to_be_bytes()].concat();
    let mut keys: Vec<Vec<u8>> = (0..100).map(|n| row_key(0, &longer, time + n)).collect();
    keys.extend([row_key(0, b"before", time), row_key(0, &segment, time + 30)]);
    let fill = &mut |batch: &mut dyn BatchWriter| {
        keys.iter().for_each(|key| batch.put(0, key, &[], &dice.value(300)));
        Ok(())
    };
    // A single table would be moved as it is.
    for compact in [false, true] {
        both.database.as_mut().unwrap().apply(fill).unwrap();
        both.flush(compact);
    }
    let files = both.database().database.live_files().unwrap();
    let tables = files.iter().filter(|file| file.column_family_name == "store-windows");
    assert!(tables.count() > 3);
    let ends = [10, 39].map(|behind| row_key(0, &segment, time + behind));
    let range = (Bound::Included(&ends[0][..]), Bound::Included(&ends[1][..]));
    let found = both.database().page(0, range, false, usize::MAX).unwrap();
    assert_eq!(found.last().map(|(key, _)| &**key), keys.last().map(|key| &key[..]));
}

#[test]
fn a_wiped_family_has_the_filters_of_a_new_one() {
    let mut both = Both::new();
    let mut dice = Dice(5);
    both.put(&mut dice, 300);
    both.database.as_mut().unwrap().wipe(0).unwrap();
    both.models[0].clear();
    both.put(&mut dice, 300);
    both.flush(true);
    both.check();
}

/// Rows whose heads are alike lie side by side.
#[test]
fn no_row_lies_between_those_of_another_head() {
    let mut rows = BTreeSet::new();
    for segment in 0..SEGMENTS.len() {
        for key in keys() {
            for time in TIMES {
                rows.extend((0..40).map(|behind| row_key(0, &group(segment, &key), time + behind)));
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut last = None;
    for head in rows.iter().map(|row| heads::head(row)) {
        assert!(head == last || head.is_none() || seen.insert(head), "{head:?}");
        last = head;
    }
}
