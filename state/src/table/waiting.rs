//! Updates that wait in the record cache: the record of the newest update of a row, and what the row was before.
use crate::RecordContext;

use super::overlay::Value;

/// An update that waits to be logged and forwarded.
pub(crate) struct Waiting {
    /// Position of its row in the overlay.
    pub(super) row: usize,
    /// Grows with every update: the flush goes by the last update of each row.
    turn: u64,
    /// Value and timestamp before the first update.
    old: Option<(Value, i64)>,
    pub(crate) context: RecordContext,
}

impl Waiting {
    pub(crate) fn old(&self) -> Option<(&[u8], i64)> {
        self.old
            .as_ref()
            .map(|(value, timestamp)| (value.as_slice(), *timestamp))
    }
}

#[derive(Default)]
pub(super) struct WaitingList {
    updates: Vec<Waiting>,
    turns: u64,
    bytes: usize,
}

impl WaitingList {
    /// Adds an update of a row that has none yet; gives its position.
    pub(super) fn add(&mut self, row: usize, old: Option<(Value, i64)>, context: &RecordContext) -> u32 {
        self.turns += 1;
        let position = u32::try_from(self.updates.len()).unwrap_or(u32::MAX);
        self.updates.push(Waiting {
            row,
            turn: self.turns,
            old,
            context: context.clone(),
        });
        position
    }

    /// The row was updated again.
    pub(super) fn renew(&mut self, position: u32, context: &RecordContext) {
        self.turns += 1;
        if let Some(update) = self.updates.get_mut(position as usize) {
            update.turn = self.turns;
            update.context.clone_from(context);
        }
    }

    /// All of them, in the order of the last update of each row.
    pub(super) fn take(&mut self) -> Vec<Waiting> {
        self.bytes = 0;
        let mut updates = std::mem::take(&mut self.updates);
        updates.sort_unstable_by_key(|update| update.turn);
        updates
    }

    pub(super) fn clear(&mut self) {
        self.updates.clear();
        self.bytes = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// Bytes the record cache holds, as Kafka Streams counts: key, value, and what an entry costs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn grow(&mut self, added: usize, removed: usize) {
        self.bytes = (self.bytes + added).saturating_sub(removed);
    }
}
