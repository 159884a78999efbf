//! Stores whose rows are not in a [`Table`](crate::table::Table): what they hold is used in one way only.
use crate::appended::Appended;
use crate::database::{BatchWriter, Database, KeyRange};
use crate::passing::Passing;
use crate::table::Found;
use crate::{Result, StoreSpec};

/// Rows with a structure of their own.
pub(crate) enum Special {
    Appended(Appended),
    Passing(Passing),
}

impl Special {
    /// `None`: such a store has a table.
    pub(crate) fn new(spec: &StoreSpec, family: usize, clean_budget_bytes: usize) -> Option<Self> {
        if let Some(rows) = Appended::new(spec, family, clean_budget_bytes) {
            return Some(Self::Appended(rows));
        }
        Passing::suits(&spec.kind).then(|| Self::Passing(Passing::new(family, clean_budget_bytes)))
    }

    /// Whether such a store has a record cache, if that is wanted. (Duplicates have none in Kafka Streams.)
    pub(crate) fn may_be_cached(&self) -> bool {
        matches!(self, Self::Passing(_))
    }

    pub(crate) fn appended(&mut self) -> Option<&mut Appended> {
        match self {
            Self::Appended(rows) => Some(rows),
            Self::Passing(_) => None,
        }
    }

    pub(crate) fn passing(&mut self) -> Option<&mut Passing> {
        match self {
            Self::Appended(_) => None,
            Self::Passing(rows) => Some(rows),
        }
    }

    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        match (self, value) {
            (Self::Appended(rows), Some(value)) => rows.put(key, value),
            // Nobody looks for one such row.
            (Self::Appended(_), None) => {}
            (Self::Passing(rows), value) => rows.put(key, value),
        }
    }

    pub(crate) fn get(&mut self, database: &dyn Database, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        match self {
            Self::Appended(rows) => rows.get(database, key, out),
            Self::Passing(rows) => rows.get(database, key, out),
        }
    }

    pub(crate) fn page(
        &mut self,
        database: &dyn Database,
        range: KeyRange<'_>,
        reverse: bool,
        max_rows: usize,
    ) -> Result<Vec<Found>> {
        match self {
            Self::Appended(rows) => rows.page(database, range, reverse, max_rows),
            Self::Passing(rows) => rows.page(database, range, reverse, max_rows),
        }
    }

    pub(crate) fn write(&mut self, batch: &mut dyn BatchWriter, expired: Option<&[u8]>) {
        match self {
            Self::Appended(rows) => rows.write(batch, expired),
            // They have no retention.
            Self::Passing(rows) => rows.write(batch),
        }
    }

    pub(crate) fn committed(&mut self, expired: Option<&[u8]>) {
        match self {
            Self::Appended(rows) => rows.committed(expired),
            Self::Passing(rows) => rows.committed(),
        }
    }

    pub(crate) fn forget(&mut self) {
        match self {
            Self::Appended(rows) => rows.forget(),
            Self::Passing(rows) => rows.forget(),
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        match self {
            Self::Appended(rows) => rows.is_dirty(),
            Self::Passing(rows) => rows.is_dirty(),
        }
    }

    pub(crate) fn set_clean_budget(&mut self, bytes: usize) {
        match self {
            Self::Appended(rows) => rows.set_clean_budget(bytes),
            Self::Passing(rows) => rows.set_clean_budget(bytes),
        }
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        match self {
            Self::Appended(rows) => rows.dirty_bytes(),
            Self::Passing(rows) => rows.dirty_bytes(),
        }
    }
}
