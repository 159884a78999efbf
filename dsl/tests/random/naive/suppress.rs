//! Tables that hold updates back.
use std::collections::BTreeMap;

use super::{super::plan::Text, Message, World};

/// Updates that wait.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Whether results of windows wait until these have closed.
    windows: bool,
    /// How long after its time an update is due.
    wait: i64,
    most: Option<u64>,
    now: i64,
    /// By the time of the first update of the key, then by key.
    waiting: BTreeMap<(i64, Vec<u8>), Update>,
}

#[derive(Debug)]
struct Update {
    message: Message,
    /// The row from before the first update.
    prior: Text,
}

/// The row of a key, as far as the buffer knows.
pub(super) enum Prior {
    /// No update waits.
    Unknown,
    Row(Text),
}

impl Buffer {
    pub(super) fn new(windows: bool, wait: i64, most: Option<u64>) -> Self {
        Self {
            windows,
            wait,
            most,
            ..Self::default()
        }
    }
    fn order(m: &Message) -> Vec<u8> {
        match &m.place {
            Some(place) => place.order(),
            None => m.key.clone().unwrap_or_default().into_bytes(),
        }
    }
    fn put(&mut self, m: &Message) {
        let order = Self::order(m);
        let due = m
            .place
            .as_ref()
            .filter(|_| self.windows)
            .map_or(m.time, |place| place.end);
        let known = self.waiting.keys().find(|(_, other)| *other == order).cloned();
        let mut prior = m.old.clone();
        let slot = known.unwrap_or((due, order));
        if let Some(before) = self.waiting.remove(&slot) {
            prior = before.prior;
        }
        let message = m.clone();
        self.waiting.insert(slot, Update { message, prior });
    }
    /// What leaves next, if something does.
    fn leaving(&self) -> Option<(i64, Vec<u8>)> {
        let (slot, _) = self.waiting.first_key_value()?;
        let is_due = slot.0 <= self.now - self.wait;
        let are_too_many = self.most.is_some_and(|most| self.waiting.len() as u64 > most);
        (is_due || are_too_many).then(|| slot.clone())
    }
    pub(super) fn prior(&self, key: &Text) -> Prior {
        let found = self.waiting.values().find(|update| update.message.key == *key);
        found.map_or(Prior::Unknown, |update| Prior::Row(update.prior.clone()))
    }
}

impl World {
    pub(super) fn suppress(&mut self, node: usize, buffer: usize, m: &Message) {
        let this = &mut self.buffers[buffer];
        this.now = this.now.max(m.time);
        this.put(m);
        while let Some(slot) = self.buffers[buffer].leaving() {
            let this = &self.buffers[buffer];
            let message = this.waiting[&slot].message.clone();
            // Nobody has heard of a window before it closes, so it need not be deleted.
            if !this.windows || message.new.is_some() {
                self.forward(node, &message);
            }
            // While it is on its way, readers still see the row from before it.
            self.buffers[buffer].waiting.remove(&slot);
        }
    }
}
