//! The same changes to rows in memory and to a map that has all of them.
use std::collections::BTreeMap;

use super::*;
use crate::database::memory::MemoryDatabase;
use crate::keys::Suffix;
use crate::segments::Segments;
use crate::{StoreBackend, StoreKind, StoreSpec};

/// Rows that are committed now and then, beside all there should be.
struct Both {
    rows: Appended,
    database: MemoryDatabase,
    segments: Segments,
    spec: StoreSpec,
    model: BTreeMap<Vec<u8>, Vec<u8>>,
    committed: BTreeMap<Vec<u8>, Vec<u8>>,
    observed: i64,
}

fn spec(interval_ms: i64, logging: bool) -> StoreSpec {
    StoreSpec {
        name: "rows".into(),
        kind: StoreKind::Window {
            timestamped: false,
            window_size_ms: 10,
            retention_ms: 3 * interval_ms,
            segment_interval_ms: interval_ms,
            retain_duplicates: true,
        },
        backend: StoreBackend::InMemory,
        caching: false,
        logging,
        logged_headers: crate::LoggedHeaders::Never,
    }
}

impl Both {
    fn new(spec: &StoreSpec, clean_budget_bytes: usize) -> Self {
        Self {
            rows: Appended::new(spec, 0, clean_budget_bytes).unwrap(),
            database: MemoryDatabase::of(std::slice::from_ref(spec)),
            segments: Segments::of(&spec.kind).unwrap(),
            spec: spec.clone(),
            model: BTreeMap::new(),
            committed: BTreeMap::new(),
            observed: -1,
        }
    }

    fn put(&mut self, key: &str, time: i64, number: u32, value: &str) {
        self.observed = self.observed.max(time);
        let row = row_key(&self.segments.row_key(key.as_bytes(), time), At::of(&end(time, number)));
        self.rows.put(&row, value.as_bytes());
        self.model.insert(row, value.into());
    }

    fn commit(&mut self) {
        let expired = self.segments.first_alive(self.observed).to_be_bytes();
        let rows = &mut self.rows;
        let mut fill = |batch: &mut dyn BatchWriter| {
            batch.delete_below(0, &expired);
            rows.write(batch, Some(&expired));
            Ok(())
        };
        self.database.apply(&mut fill).unwrap();
        self.rows.committed(Some(&expired));
        self.rows.set_new_from(self.segments.id(self.observed) + 1);
        self.model = self.model.split_off(&expired[..]);
        self.committed = self.model.clone();
        assert!(!self.rows.is_dirty() && self.rows.dirty_bytes() == 0);
        assert!(self.rows.bytes <= self.rows.clean_budget_bytes);
        let rows = unpacked(&self.spec, self.written()).unwrap().into_iter();
        let rows = rows.map(|(key, value)| (key.to_vec(), value.to_vec()));
        assert!(rows.eq(self.model.clone()));
        let bytes = self.rows.bytes;
        self.rows.count_bytes();
        assert_eq!(self.rows.bytes, bytes);
    }

    /// Rows and chunks of them.
    fn written(&self) -> Vec<RawRow> {
        let everything = (Bound::Unbounded, Bound::Unbounded);
        self.database.page(0, everything, false, usize::MAX).unwrap()
    }

    fn discard(&mut self) {
        self.rows.forget();
        self.model = self.committed.clone();
    }

    fn check_key(&mut self, key: &str, from: i64, to: i64, reverse: bool) {
        for segment in self.segments.id(from)..=self.segments.id(to) {
            let group = [&segment.to_be_bytes()[..], key.as_bytes()].concat();
            let times = (Suffix::from_time(from), Suffix::to_time(to));
            let last = Suffix::to_time(self.segments.last_time(segment));
            let found = self
                .rows
                .of_group(&self.database, (segment, key.as_bytes()), last, &times, reverse)
                .unwrap();
            let range = row_key(&group, times.0.into())..=row_key(&group, times.1.into());
            let rows = self
                .model
                .range(range)
                .filter(|(row, _)| row.len() == group.len() + SUFFIX_BYTES);
            let mut expected: Vec<_> = rows.map(|(row, value)| (row.clone(), value.clone())).collect();
            if reverse {
                expected.reverse();
            }
            let found = found
                .unwrap()
                .into_iter()
                .map(|row| (row.key.to_vec(), row.value.to_vec()));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{key}, {from}..={to}");
        }
    }

    /// Of rows between two keys; `None`: of all.
    fn check_scan(&mut self, reverse: bool, between: Option<[Vec<u8>; 2]>) {
        let [mut lo, mut hi] = between.map_or([Bound::Unbounded, Bound::Unbounded], |keys| keys.map(Bound::Included));
        let expected = self
            .model
            .range((lo.clone(), hi.clone()))
            .map(|(key, value)| (key.clone(), value.clone()));
        let expected: Vec<_> = expected.collect();
        let mut found = Vec::new();
        loop {
            let range = (lo.as_ref().map(Vec::as_slice), hi.as_ref().map(Vec::as_slice));
            let page = self.rows.page(&self.database, range, reverse, 3).unwrap();
            let Some(last) = page.last() else { break };
            let passed = Bound::Excluded(last.key.to_vec());
            if reverse {
                hi = passed;
            } else {
                lo = passed;
            }
            found.extend(page.into_iter().map(|row| (row.key.to_vec(), row.value.to_vec())));
        }
        if reverse {
            found.reverse();
        }
        // What has expired stays in the database until the next commit.
        assert!(found == expected);
    }

    /// A row that is there, or not far from one.
    fn some_row(&self, dice: &mut Dice) -> Vec<u8> {
        let rows = self.model.len().max(1) as u64;
        let row = self.model.keys().nth(usize::try_from(dice.below(rows)).unwrap());
        let mut row = row.cloned().unwrap_or_default();
        let at = usize::try_from(dice.below(row.len().max(1) as u64)).unwrap();
        match (dice.below(4), row.get_mut(at)) {
            (0, Some(byte)) => *byte = byte.wrapping_add(1),
            (1, Some(byte)) => *byte = byte.wrapping_sub(1),
            (2, _) => row.truncate(at),
            _ => {}
        }
        row
    }
}

fn end(time: i64, number: u32) -> Vec<u8> {
    [&time.to_be_bytes()[..], &number.to_be_bytes()].concat()
}

/// Numbers in an order without order.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Keys between whose rows others lie, one that looks like the times of others, and one that is too long to lie inside of what
/// holds it.
const KEYS: [&str; 8] = [
    "a",
    "ab",
    "a\0",
    "a\0\0\0",
    "",
    "\0\0\0\0\0\0\x02",
    "b",
    "a key that is too long to lie inside of what holds it",
];

fn check(spec: &StoreSpec, seed: u64, budget: usize) -> Both {
    let (mut both, mut dice, mut now) = (Both::new(spec, budget), Dice(seed), 0);
    for step in 0..3_000_u32 {
        now += i64::try_from(dice.below(5)).unwrap();
        let key = KEYS[dice.below(KEYS.len() as u64) as usize];
        let late = i64::try_from(dice.below(60)).unwrap();
        let time = (now - late).max(0);
        match dice.below(20) {
            0 => both.commit(),
            1 if dice.below(4) == 0 => {
                both.discard();
                both.observed = now;
            }
            2 if dice.below(2) == 0 => both.check_scan(dice.below(2) == 0, None),
            2 => {
                let mut rows = [both.some_row(&mut dice), both.some_row(&mut dice)];
                rows.sort();
                both.check_scan(dice.below(2) == 0, Some(rows));
            }
            3..=8 => both.check_key(key, time, time + 30, dice.below(2) == 0),
            // Numbers of a changelog do not come again.
            9 if !spec.logging => both.put(key, time, 7, "number seven, which comes again"),
            _ => both.put(key, time, 10 + step, &step.to_string().repeat(dice.below(12) as usize)),
        }
    }
    both.commit();
    both.check_scan(false, None);
    both
}

#[test]
fn reads_have_the_rows_of_a_sorted_map_whatever_was_committed_dropped_and_forgotten() {
    for (seed, budget, interval_ms) in [
        (1, 0, 1_000),
        (2, 2_000, 100),
        (3, 1 << 20, 1_000),
        (4, 2_000, 100_000),
        (5, 600, 1_000),
    ] {
        let both = check(&spec(interval_ms, true), seed, budget);
        assert!(interval_ms == 100 || both.written().len() < both.model.len() * 9 / 10);
    }
    for (seed, budget) in [(6, 0), (7, 2_000)] {
        let both = check(&spec(100, false), seed, budget);
        assert_eq!(both.written().len(), both.model.len(), "a row for each");
    }
}

#[test]
fn a_new_segment_and_a_key_that_it_lacks_are_not_read_from_the_database() {
    let mut both = Both::new(&spec(100, true), 1 << 20);
    both.rows.set_new_from(0);
    both.put("a", 10, 1, "1");
    both.commit();
    both.put("c", 30, 2, "2");
    both.commit();
    assert!(both.rows.segments.values_mut().all(Segment::forget_half));
    // What the database had would be found.
    both.database = MemoryDatabase::of(&[]);
    let mut rows = |key: &str, from: i64| {
        let times = (Suffix::from_time(from), Suffix::to_time(50));
        let found = both
            .rows
            .of_group(&both.database, (0, key.as_bytes()), times.1, &times, false);
        (
            found.unwrap().unwrap().len(),
            both.rows.segments[&0].group(key.as_bytes()).is_some(),
        )
    };
    assert_eq!(rows("b", 0), (0, false), "it never had a row");
    assert_eq!(rows("a", 31), (0, false), "no row of that time has been forgotten");
    assert_eq!(rows("a", 30), (0, true), "was looked up");
}
