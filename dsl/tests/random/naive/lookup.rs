//! Rows that a record of a stream finds: in a table, now or as of its time, and in a global table.
use std::collections::BTreeMap;

use super::{
    super::plan::{Key, Text, joined},
    Message, World,
};

/// Records that wait for the table to be complete up to their time.
#[derive(Debug)]
pub(super) struct Waiting {
    grace: i64,
    /// The latest time among them.
    now: i64,
    /// By time, then key, then arrival.
    records: BTreeMap<(i64, Text, usize), Message>,
    count: usize,
}
impl Waiting {
    pub(super) fn new(grace: i64) -> Self {
        Self {
            grace,
            now: -1,
            records: BTreeMap::new(),
            count: 0,
        }
    }
    /// The records that are joined now.
    fn pass(&mut self, m: &Message) -> Vec<Message> {
        if m.time < self.now - self.grace {
            return vec![m.clone()];
        }
        self.now = self.now.max(m.time);
        self.count += 1;
        self.records.insert((m.time, m.key.clone(), self.count), m.clone());
        let mut due = Vec::new();
        while let Some(first) = self.records.first_entry() {
            if first.key().0 > self.now - self.grace {
                break;
            }
            due.push(first.remove());
        }
        due
    }
}

impl World {
    pub(super) fn join_table(&mut self, node: usize, table: usize, left: bool, waiting: Option<usize>, m: &Message) {
        if m.new.is_none() || (m.key.is_none() && !left) {
            self.dropped += 1;
            return;
        }
        let records = match waiting {
            Some(waiting) => self.waiting[waiting].pass(m),
            None => vec![m.clone()],
        };
        for record in records {
            let row = record
                .key
                .as_ref()
                .and_then(|_| self.row_as_of(table, &record.key, record.time));
            self.answer(node, left, &record, row.map(|(value, _)| value));
        }
    }
    pub(super) fn join_global(&mut self, node: usize, global: usize, by: Key, left: bool, m: &Message) {
        let found = by.of(&m.key, &m.new);
        let always = left && m.key.is_none();
        if m.new.is_none() || (found.is_none() && !always) {
            self.dropped += 1;
            return;
        }
        let row = found.and_then(|key| self.globals[global].get(&Some(key)).cloned());
        self.answer(node, left, m, row);
    }
    fn answer(&mut self, node: usize, left: bool, m: &Message, row: Text) {
        if left || row.is_some() {
            self.forward(node, &m.with_value(Some(joined(m.new.as_deref(), row.as_deref()))));
        }
    }
    pub(super) fn set_global(&mut self, global: usize, m: &Message) {
        let rows = &mut self.globals[global];
        match (&m.key, &m.new) {
            (None, _) => self.dropped += 1,
            (key, Some(value)) => {
                rows.insert(key.clone(), value.clone());
            }
            (key, None) => {
                rows.remove(key);
            }
        }
    }
}
