//! What may a partition forget? Old records under `delete`, overwritten keys under `compact`.
use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxBuildHasher;

use super::{
    super::Isolation,
    log::{Kind, PartitionLog},
    topics::TopicConfig,
};

/// Applies a topic's clean-up policy to one partition. Never touches what an open transaction or a read_committed
/// reader may still need: everything happens below the last stable offset.
pub(super) fn clean(log: &mut PartitionLog, config: &TopicConfig, now_ms: i64) {
    if config.compact {
        compact(log, config.delete_retention_ms, now_ms);
    }
    if config.delete {
        retain(log, config, now_ms);
    }
}

/// Drops whole batches from the front: too old, or too much.
fn retain(log: &mut PartitionLog, config: &TopicConfig, now_ms: i64) {
    let stable_end = log.end_offset(Isolation::ReadCommitted);
    let mut excess = match config.retention_bytes {
        -1 => 0,
        limit => (log.size_bytes() as i64).saturating_sub(limit),
    };
    let mut below = log.start_offset();
    for entry in log.entries.iter().take_while(|e| e.last_offset < stable_end) {
        // A marker has no age: it goes with what comes after it.
        if entry.kind == Kind::Marker {
            continue;
        }
        let too_old =
            config.retention_ms >= 0 && now_ms.saturating_sub(entry.batch.max_timestamp()) > config.retention_ms;
        let too_much = excess > 0 && excess >= entry.batch.size_bytes() as i64;
        if !(too_old || too_much) {
            break;
        }
        excess -= entry.batch.size_bytes() as i64;
        below = entry.last_offset + 1;
    }
    if below > log.start_offset() {
        // `below` is at most the end of the log, so this cannot be refused.
        let _in_range = log.delete_below(below);
    }
}

/// Keeps the last record of each key; aborted records go, tombstones and markers after the retention time.
fn compact(log: &mut PartitionLog, delete_retention_ms: i64, now_ms: i64) {
    let stable_end = log.end_offset(Isolation::ReadCommitted);
    let mut last: HashMap<Vec<u8>, i64, FxBuildHasher> = HashMap::default();
    for entry in log.entries.iter().take_while(|e| e.last_offset < stable_end) {
        if entry.kind == Kind::Stable {
            for index in 0..entry.batch.len() {
                if let Some(key) = entry.batch.key(index) {
                    last.insert(key.to_vec(), entry.base_offset + entry.batch.offset_delta(index));
                }
            }
        }
    }
    for entry in log.entries.iter_mut().take_while(|e| e.last_offset < stable_end) {
        let cleaned_at_ms = *entry.cleaned_at_ms.get_or_insert(now_ms);
        let expired = now_ms.saturating_sub(cleaned_at_ms) >= delete_retention_ms && cleaned_at_ms != now_ms;
        let (batch, base) = (&entry.batch, entry.base_offset);
        let keep = |index: usize| {
            entry.kind == Kind::Stable
                && (batch.has_value(index) || !expired)
                && batch.key(index).and_then(|k| last.get(k)) == Some(&(base + batch.offset_delta(index)))
        };
        if !(0..batch.len()).all(keep) {
            entry.batch = Arc::new(batch.retain(keep));
        }
    }
    log.entries.retain(|e| {
        let expired_marker = e.kind == Kind::Marker
            && e.cleaned_at_ms
                .is_some_and(|at| at != now_ms && now_ms.saturating_sub(at) >= delete_retention_ms);
        e.last_offset >= stable_end || (e.kind == Kind::Marker && !expired_marker) || e.batch.len() > 0
    });
    log.recount();
}
