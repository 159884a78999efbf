//! What a run shows besides its records: calls of `peek` and `foreach`, branches, and the number of the event under way.
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use serde_json::{Map, Value as Json, json};

use crate::value::Dyn;

/// Shared with the functions of the topology, which must be `Send + Sync`.
#[derive(Debug)]
pub(crate) struct Recorder {
    at: AtomicI64,
    peeks: Mutex<Vec<Json>>,
    branches: Mutex<Map<String, Json>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            at: AtomicI64::new(-1),
            peeks: Mutex::default(),
            branches: Mutex::default(),
        }
    }
}

impl Recorder {
    pub(crate) fn at(&self) -> i64 {
        self.at.load(Ordering::Relaxed)
    }

    pub(crate) fn set_at(&self, event: i64) {
        self.at.store(event, Ordering::Relaxed);
    }

    pub(crate) fn peek(&self, id: Option<&str>, key: &Dyn, value: &Dyn) {
        let seen = json!({"at": self.at(), "id": id, "key": key.to_json(), "value": value.to_json()});
        self.peeks.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    /// Names of the branches of a split.
    pub(crate) fn note_branches(&self, split: &str, names: Json) {
        let mut branches = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        branches.insert(split.to_owned(), names);
    }

    pub(crate) fn branches(&self) -> Map<String, Json> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn take_peeks(&self) -> Vec<Json> {
        std::mem::take(&mut self.peeks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
