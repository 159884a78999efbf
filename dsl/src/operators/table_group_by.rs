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
    serde::{GroupedChange, SharedSerde, write},
    stream::factory,
    table::faults,
};

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
    keys: RefCell<(Vec<u8>, Vec<u8>)>,
}

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
    /// Keys are the same when their bytes are, which is what decides where they go.
    fn same(&self, a: &K2, b: &K2) -> Result<bool, Box<ProcessError>> {
        let mut keys = self.keys.borrow_mut();
        let (first, second) = &mut *keys;
        let fault = |e| faults::write("key", &self.node, e);
        write(&*self.key, a, first).map_err(fault)?;
        write(&*self.key, b, second).map_err(fault)?;
        Ok(first == second)
    }
    #[expect(clippy::type_complexity, reason = "up to two records with their keys")]
    fn records(
        &self,
        cx: &TaskContext,
        change: &Change<'_, K, V>,
    ) -> Result<[Option<(K2, GroupedChange<V2>)>; 2], Box<ProcessError>> {
        let new = self.select(cx, change.key, change.new)?;
        let old = self.select(cx, change.key, change.old)?;
        Ok(match (new, old) {
            (Some((key, new)), Some((old_key, old))) => {
                if self.combined && self.same(&key, &old_key)? {
                    [
                        Some((
                            key,
                            GroupedChange {
                                new: Some(new),
                                old: Some(old),
                            },
                        )),
                        None,
                    ]
                } else {
                    let out = GroupedChange {
                        new: None,
                        old: Some(old),
                    };
                    [
                        Some((old_key, out)),
                        Some((
                            key,
                            GroupedChange {
                                new: Some(new),
                                old: None,
                            },
                        )),
                    ]
                }
            }
            (new, old) => [
                old.map(|(key, old)| {
                    (
                        key,
                        GroupedChange {
                            new: None,
                            old: Some(old),
                        },
                    )
                }),
                new.map(|(key, new)| {
                    (
                        key,
                        GroupedChange {
                            new: Some(new),
                            old: None,
                        },
                    )
                }),
            ],
        })
    }
}

impl<K, V, K2, V2> TableReceiver<K, V> for TableGroupBy<K, V, K2, V2> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        if self.versioned && !change.is_latest {
            // History: the groups know the newest row already. Not counted, as in Kafka Streams.
            return Ok(());
        }
        let records = match self.records(cx, &change) {
            Ok(records) => records,
            Err(error) => return faults::handle(cx, error, change.timestamp, change.headers),
        };
        records.iter().flatten().try_for_each(|(key, value)| {
            self.children.forward(
                cx,
                Record {
                    key,
                    value,
                    timestamp: change.timestamp,
                    headers: change.headers,
                    key_bytes: None,
                    is_copy: true,
                },
            )
        })
    }
}
