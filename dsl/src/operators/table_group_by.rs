//! Rows of a table under other keys, on their way to an aggregation: `group_by` of a table.
//!
//! An update becomes "take this out of its old group" and "put that into its new group": one record when the group is
//! the same, two otherwise, the old one first. A null key or value of the selector makes no record.
use std::{cell::RefCell, sync::Arc};

use crate::{
    engine::{
        BoxError, Change, Children, NodeFactory, ProcessError, ProcessResult, Record, TableReceiver, TaskContext,
        table_port,
    },
    serde::{GroupedChange, SharedSerde},
    stream::factory,
    table::faults,
};

use super::key_pair::KeyPair;

pub(crate) type Selector<K, V, K2, V2> = Arc<dyn Fn(&K, &V) -> Result<(K2, V2), BoxError> + Send + Sync>;

struct TableGroupBy<K, V, K2, V2> {
    node: Arc<str>,
    selector: Selector<K, V, K2, V2>,
    key: SharedSerde<K2>,
    value: SharedSerde<V2>,
    /// Whether old and new value of one group travel in one record. Older versions do not understand that.
    combined: bool,
    versioned: bool,
    children: Children<K2, GroupedChange<V2>>,
    keys: RefCell<KeyPair>,
}

/// A group, and what changes in it.
type Regrouped<K2, V2> = (K2, GroupedChange<V2>);

pub(crate) fn table_group_by<K: 'static, V: 'static, K2: 'static, V2: 'static>(
    selector: Selector<K, V, K2, V2>,
    key: SharedSerde<K2>,
    value: SharedSerde<V2>,
    combined: bool,
    versioned: bool,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        Ok(table_port(TableGroupBy {
            node: scope.name().clone(),
            selector: selector.clone(),
            key: key.clone(),
            value: value.clone(),
            combined,
            versioned,
            children: scope.children()?,
            keys: RefCell::default(),
        }))
    })
}

impl<K, V, K2, V2> TableGroupBy<K, V, K2, V2> {
    fn select(&self, cx: &TaskContext, key: &K, value: Option<&V>) -> Result<Option<(K2, V2)>, Box<ProcessError>> {
        let Some(value) = value else { return Ok(None) };
        let selected = cx.try_call(&self.node, || (self.selector)(key, value))?;
        let null = self.key.is_null(&selected.0) || self.value.is_null(&selected.1);
        Ok((!null).then_some(selected))
    }
    /// Up to two records: what leaves a group or stays in it, and what comes into another one.
    fn records(
        &self,
        cx: &TaskContext,
        change: &Change<'_, K, V>,
        keys: &mut KeyPair,
    ) -> Result<[Option<Regrouped<K2, V2>>; 2], Box<ProcessError>> {
        let new = self.select(cx, change.key, change.new)?;
        let old = self.select(cx, change.key, change.old)?;
        keys.clear();
        let (new, old) = match (new, old) {
            (Some((key, new)), Some((old_key, old))) if self.combined => {
                let same = keys.same(&*self.key, &old_key, &key);
                if same.map_err(|e| faults::write("key", &self.node, e))? {
                    return Ok([Some((key, GroupedChange::of(Some(new), Some(old)))), None]);
                }
                (Some((key, new)), Some((old_key, old)))
            }
            both => both,
        };
        Ok([
            old.map(|(key, old)| (key, GroupedChange::of(None, Some(old)))),
            new.map(|(key, new)| (key, GroupedChange::of(Some(new), None))),
        ])
    }
}

impl<K, V, K2, V2> TableReceiver<K, V> for TableGroupBy<K, V, K2, V2> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        if self.versioned && !change.is_latest {
            // History: the groups know the newest row already. Not counted, as in Kafka Streams.
            return Ok(());
        }
        let mut keys = self.keys.take();
        let result = match self.records(cx, &change, &mut keys) {
            Err(error) => faults::handle(cx, error, change.timestamp, change.headers),
            Ok(records) => records.iter().zip(keys.bytes()).try_for_each(|(record, key_bytes)| {
                let Some((key, value)) = record else { return Ok(()) };
                let record = Record {
                    key,
                    value,
                    timestamp: change.timestamp,
                    headers: change.headers,
                    key_bytes,
                    is_copy: true,
                };
                self.children.forward(cx, record)
            }),
        };
        self.keys.replace(keys);
        result
    }
}
