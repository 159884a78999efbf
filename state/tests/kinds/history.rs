//! Versioned stores against maps that never forget.
use std::collections::BTreeMap;

use millstream_state::{StoreKind, StoreSpec, TaskState, VersionedRow};

use super::Kind;
use crate::support::{context, spec};

const HISTORY_MS: i64 = 100;

#[derive(Clone, Copy)]
pub(crate) struct Versioned;

#[derive(Clone)]
pub(crate) struct Model {
    versions: BTreeMap<Vec<u8>, BTreeMap<i64, Option<Vec<u8>>>>,
    observed: i64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            versions: BTreeMap::new(),
            observed: -1,
        }
    }
}

/// Value, valid from, valid to.
type Version = (Vec<u8>, i64, Option<i64>);

impl Model {
    fn oldest(&self) -> i64 {
        self.observed - HISTORY_MS
    }

    /// All versions of a key, oldest first.
    fn all(&self, key: &[u8]) -> Vec<(Option<Vec<u8>>, i64, Option<i64>)> {
        let empty = BTreeMap::new();
        let versions = self.versions.get(key).unwrap_or(&empty);
        let ends = versions.keys().skip(1).copied().map(Some).chain([None]);
        versions
            .iter()
            .zip(ends)
            .map(|((from, value), to)| (value.clone(), *from, to))
            .collect()
    }

    fn present(&self, key: &[u8]) -> Vec<Version> {
        let all = self.all(key).into_iter();
        all.filter_map(|(value, from, to)| Some((value?, from, to))).collect()
    }
}

fn owned(row: VersionedRow) -> Version {
    (row.value.to_vec(), row.valid_from, row.valid_to)
}

impl Kind for Versioned {
    type Model = Model;

    fn spec(&self) -> StoreSpec {
        let kind = StoreKind::Versioned {
            history_retention_ms: HISTORY_MS,
            segment_interval_ms: 30,
        };
        spec("versions", kind)
    }

    fn put(&self, state: &TaskState, model: &mut Model, key: &[u8], value: Option<&[u8]>, time: i64) {
        let store = state.versioned("versions").unwrap();
        let valid_to = store.put(key, value, time, &context(time)).unwrap();
        model.observed = model.observed.max(time);
        if time < model.oldest() {
            assert_eq!(valid_to, i64::MIN, "too old");
            return;
        }
        let versions = model.versions.entry(key.to_vec()).or_default();
        let mut newest_first = versions.iter().rev();
        let deletes_newest = value.is_none() && matches!(newest_first.next(), Some((at, Some(_))) if *at == time);
        if deletes_newest && !matches!(newest_first.next(), Some((_, Some(_)))) {
            // Kafka Streams knows of a deletion by the end of the value before it.
            versions.remove(&time);
            assert_eq!(valid_to, -1);
            return;
        }
        versions.insert(time, value.map(<[u8]>::to_vec));
        let version = model.all(key).into_iter().find(|(_, from, _)| *from == time).unwrap();
        assert_eq!(valid_to, version.2.unwrap_or(-1));
    }

    fn read(&self, state: &TaskState, model: &mut Model, key: &[u8], time: i64, reverse: bool) {
        let store = state.versioned("versions").unwrap();
        let present = model.present(key);
        let newest = present.iter().find(|(.., to)| to.is_none());
        assert_eq!(store.get(key).unwrap().map(owned).as_ref(), newest);
        let valid_at = |(_, from, to): &&Version| *from <= time && to.is_none_or(|to| time < to);
        let expected = if time < model.oldest() {
            newest.filter(valid_at)
        } else {
            present.iter().find(valid_at)
        };
        assert_eq!(store.get_as_of(key, time).unwrap().map(owned).as_ref(), expected);
        // Of times that are still answered for.
        let (from, to) = (time.max(model.oldest()), (time + 40).max(model.oldest()));
        let mut expected = present;
        expected.retain(|(_, begin, end)| *begin <= to && end.is_none_or(|end| end > from));
        if reverse {
            expected.reverse();
        }
        let history: Vec<_> = store
            .history(key, from, to, !reverse)
            .unwrap()
            .into_iter()
            .map(owned)
            .collect();
        assert_eq!(history, expected);
    }
}
