//! Updates that wait in the record cache: the record of the newest update of a row, and what the row was before.
use crate::packed::Value;
use crate::{RecordContext, UpdateContext};

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
        self.old.as_ref().map(|(value, timestamp)| (&**value, *timestamp))
    }
}

#[derive(Default)]
pub(super) struct WaitingList {
    /// None: taken. Positions hold until the last one is taken.
    updates: Vec<Option<Waiting>>,
    waiting: usize,
    turns: u64,
    bytes: usize,
}

impl WaitingList {
    /// Adds an update of a row that has none yet; gives its position.
    pub(super) fn add(&mut self, row: usize, old: Option<(Value, i64)>, context: &dyn UpdateContext) -> u32 {
        self.turns += 1;
        self.waiting += 1;
        let position = u32::try_from(self.updates.len()).unwrap_or(u32::MAX);
        self.updates.push(Some(Waiting {
            row,
            turn: self.turns,
            old,
            context: context.to_record_context(),
        }));
        position
    }

    fn get(&mut self, position: u32) -> Option<&mut Waiting> {
        self.updates.get_mut(position as usize)?.as_mut()
    }

    /// The row was updated again.
    pub(super) fn renew(&mut self, position: u32, context: &dyn UpdateContext) {
        self.turns += 1;
        let turn = self.turns;
        if let Some(update) = self.get(position) {
            update.turn = turn;
            update.context = context.to_record_context();
        }
    }

    /// There was no value before the update.
    pub(super) fn forget_old(&mut self, position: u32) {
        if let Some(update) = self.get(position) {
            update.old = None;
        }
    }

    /// Positions, in the order of the last update of each row.
    pub(super) fn order(&self) -> Vec<u32> {
        let turn_of = |(position, update): (u32, &Option<Waiting>)| Some((update.as_ref()?.turn, position));
        let mut order: Vec<(u64, u32)> = (0..).zip(&self.updates).filter_map(turn_of).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, position)| position).collect()
    }

    pub(super) fn take(&mut self, position: u32) -> Option<Waiting> {
        let update = self.updates.get_mut(position as usize)?.take()?;
        self.waiting -= 1;
        if self.waiting == 0 {
            self.clear();
        }
        Some(update)
    }

    pub(super) fn clear(&mut self) {
        self.updates.clear();
        self.waiting = 0;
        self.bytes = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Bytes the record cache holds, as Kafka Streams counts: key, value, and what an entry costs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn grow(&mut self, added: usize, removed: usize) {
        self.bytes = (self.bytes + added).saturating_sub(removed);
    }
}
