//! What the proxy has noticed by itself: requests of each kind, and which producers are inside a transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::{RequestHead, api};

#[derive(Debug, Default)]
pub(super) struct Spy {
    seen: BTreeMap<i16, u64>,
    open: BTreeSet<String>,
    held_back: BTreeMap<u64, u64>,
}

impl Spy {
    pub(super) fn request(&mut self, head: &RequestHead) {
        *self.seen.entry(head.api_key).or_default() += 1;
    }

    /// An answer that reaches the client. AddPartitionsToTxn opens a transaction; its end or a new epoch closes it.
    pub(super) fn answer(&mut self, head: &RequestHead) {
        match head.api_key {
            api::ADD_PARTITIONS_TO_TXN => {
                self.open.insert(head.client_id.clone());
            }
            api::END_TXN | api::INIT_PRODUCER_ID => {
                self.open.remove(&head.client_id);
            }
            _ => {}
        }
    }

    pub(super) fn seen(&self, api_key: i16) -> u64 {
        self.seen.get(&api_key).copied().unwrap_or_default()
    }

    pub(super) fn in_transaction(&self, client: &str) -> bool {
        self.open.iter().any(|c| c.starts_with(client))
    }

    pub(super) fn hold_back(&mut self, walls: impl Iterator<Item = u64>) {
        for wall in walls {
            *self.held_back.entry(wall).or_default() += 1;
        }
    }

    pub(super) fn held_back(&self, wall: u64) -> u64 {
        self.held_back.get(&wall).copied().unwrap_or_default()
    }
}
