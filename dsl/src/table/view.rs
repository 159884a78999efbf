//! What a table is while a topology is made: whether it has a store, whether it sends old values, how it is read.
//!
//! Operators further down may still change the first two: a join needs rows to look up, a grouping needs old values.
//! So they are cells, shared with the write function of the node, which reads them when the topology is written.
use std::{cell::Cell, rc::Rc, sync::Arc};

use crate::{options::Planned, serde::SharedSerde};

use super::{
    KTable,
    getter::{View, session_view, store_view, window_view},
    output::RowsPlan,
};

/// The table behind a handle.
pub(crate) trait TableView<K, V> {
    /// Asks for old values in updates. Without `force` a table that would have to be stored for that refuses.
    fn enable_old_values(&self, force: bool) -> bool;
    /// Whether updates may come out of order and say so: the rows have a history, here or further up.
    fn is_versioned(&self) -> bool {
        false
    }
    /// How to read the table. A source is stored from now on. None: serdes are missing, which has been noted.
    fn view(&self) -> Option<View<K, V>>;
}

/// A source table, stored only if somebody needs it.
pub(crate) struct SourceView<K, V> {
    pub(crate) store: Arc<str>,
    pub(crate) serdes: Option<(SharedSerde<K>, SharedSerde<V>)>,
    pub(crate) materialized: Cell<bool>,
    pub(crate) versioned: bool,
    pub(crate) send_old: Cell<bool>,
}
impl<K: 'static, V: 'static> TableView<K, V> for SourceView<K, V> {
    fn enable_old_values(&self, force: bool) -> bool {
        if !force && !self.materialized.get() {
            return false;
        }
        self.materialized.set(true);
        self.send_old.set(true);
        true
    }
    fn is_versioned(&self) -> bool {
        self.versioned
    }
    fn view(&self) -> Option<View<K, V>> {
        self.materialized.set(true);
        let (key, value) = self.serdes.clone()?;
        Some(store_view(self.store.clone(), key, value))
    }
}

/// A table that always has a store: an aggregation.
pub(crate) struct StoredView<K, V> {
    pub(crate) store: Arc<str>,
    pub(crate) serdes: Option<(SharedSerde<K>, SharedSerde<V>)>,
    pub(crate) send_old: Rc<Cell<bool>>,
    pub(crate) versioned: bool,
}
impl<K: 'static, V: 'static> TableView<K, V> for StoredView<K, V> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.send_old.set(true);
        true
    }
    fn is_versioned(&self) -> bool {
        self.versioned
    }
    fn view(&self) -> Option<View<K, V>> {
        let (key, value) = self.serdes.clone()?;
        Some(store_view(self.store.clone(), key, value))
    }
}

/// How the rows of a table are read through those of the table in front.
pub(crate) type Derive<K, V, V2> = Box<dyn Fn(View<K, V>) -> View<K, V2>>;

/// A table made of the rows of another one, with a store of its own or without.
pub(crate) struct DerivedView<K, V, V2> {
    parent: KTable<K, V>,
    derive: Derive<K, V, V2>,
    stored: Option<RowsPlan<K, V2>>,
    send_old: Cell<bool>,
}
impl<K, V, V2> DerivedView<K, V, V2> {
    pub(crate) fn new(
        parent: &KTable<K, V>,
        planned: Option<&Planned<RowsPlan<K, V2>>>,
        derive: Derive<K, V, V2>,
    ) -> Self {
        Self {
            parent: parent.clone(),
            derive,
            stored: planned.map(|planned| planned.plan.clone()),
            send_old: Cell::new(false),
        }
    }
    /// Whether its updates tell old values.
    pub(crate) fn sends_old(&self) -> bool {
        self.send_old.get()
    }
    /// Tells old values if that costs nothing.
    pub(crate) fn send_old_if_known(&self)
    where
        K: 'static,
        V: 'static,
    {
        self.send_old.set(self.parent.view.enable_old_values(false));
    }
}
impl<K: 'static, V: 'static, V2: 'static> TableView<K, V2> for DerivedView<K, V, V2> {
    fn enable_old_values(&self, force: bool) -> bool {
        if self.stored.is_some() || self.parent.view.enable_old_values(force) {
            self.send_old.set(true);
        }
        self.send_old.get()
    }
    fn is_versioned(&self) -> bool {
        match &self.stored {
            Some(stored) => stored.versioned,
            None => self.parent.view.is_versioned(),
        }
    }
    fn view(&self) -> Option<View<K, V2>> {
        match self.stored.clone() {
            Some(stored) => Some(store_view(stored.store, stored.key, stored.value)),
            None => self.parent.view.view().map(&self.derive),
        }
    }
}

/// A windowed aggregation; the key serde is that of the key inside the window.
pub(crate) struct WindowStoredView<K, V> {
    pub(crate) store: Arc<str>,
    pub(crate) serdes: Option<(SharedSerde<K>, SharedSerde<V>)>,
    /// The store holds sessions.
    pub(crate) sessions: bool,
    pub(crate) send_old: Rc<Cell<bool>>,
}
impl<K: 'static, V: 'static> TableView<crate::window::Windowed<K>, V> for WindowStoredView<K, V> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.send_old.set(true);
        true
    }
    fn view(&self) -> Option<View<crate::window::Windowed<K>, V>> {
        let read = if self.sessions { session_view } else { window_view };
        Some(read(self.store.clone(), self.serdes.clone()?))
    }
}
