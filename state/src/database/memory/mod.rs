//! Rows in this process; nothing survives.
mod family;
mod grouped;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::family::Family;
use super::{BatchWriter, Database, KeyRange, MakeReader, Mark, RawRow, is_sound};
use crate::packed::{Key, Value};
use crate::segments::suffix_bytes;
use crate::{Result, StoreSpec};

/// Families of rows.
#[derive(Clone)]
pub(crate) struct MemoryDatabase {
    families: Vec<Family>,
}

impl MemoryDatabase {
    /// Without windows and sessions, or without knowing of them: nothing but their speed depends on it.
    pub(crate) fn new(families: usize) -> Self {
        Self {
            families: vec![Family::new(0); families],
        }
    }

    /// A family for each store.
    pub(crate) fn of(specs: &[StoreSpec]) -> Self {
        let families = specs.iter().map(|spec| Family::new(suffix_bytes(&spec.kind)));
        Self {
            families: families.collect(),
        }
    }

    /// Carries out what a batch collected.
    pub(crate) fn replay(&mut self, changes: Changes) {
        for change in changes.0 {
            let index = match &change {
                Change::Put(f, ..) | Change::Delete(f, _) | Change::DeleteBelow(f, _) | Change::Mark(f, _) => *f,
            };
            let Some(family) = self.families.get_mut(index) else {
                continue;
            };
            match change {
                Change::Put(_, key, value) => family.put(key, value),
                Change::Delete(_, key) => family.delete(&key),
                Change::DeleteBelow(_, end) => family.delete_below(&end),
                Change::Mark(_, mark) => family.mark = mark,
            }
        }
    }
}

#[derive(Clone)]
enum Change {
    Put(usize, Key, Value),
    Delete(usize, Key),
    DeleteBelow(usize, Key),
    Mark(usize, Mark),
}

/// Collects first, so that a batch that fails half-way changes nothing.
#[derive(Clone, Default)]
pub(crate) struct Changes(Vec<Change>);

impl BatchWriter for Changes {
    fn put(&mut self, family: usize, key: &[u8], prefix: &[u8], value: &[u8]) {
        self.0
            .push(Change::Put(family, key.into(), Value::of_both(prefix, value)));
    }
    fn delete(&mut self, family: usize, key: &[u8]) {
        self.0.push(Change::Delete(family, key.into()));
    }
    fn delete_below(&mut self, family: usize, end: &[u8]) {
        self.0.push(Change::DeleteBelow(family, end.into()));
    }
    fn mark(&mut self, family: usize, mark: Mark) {
        self.0.push(Change::Mark(family, mark));
    }
}

impl Database for MemoryDatabase {
    fn get(&self, family: usize, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        let value = self.families.get(family).and_then(|f| f.get(key));
        if let Some(value) = value {
            out.extend_from_slice(value);
        }
        Ok(value.is_some())
    }

    fn page(&self, family: usize, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<RawRow>> {
        let Some(family) = self.families.get(family).filter(|_| is_sound(range)) else {
            return Ok(Vec::new());
        };
        Ok(family.page(range, reverse, max_rows))
    }

    fn page_of_group(
        &self,
        family: usize,
        group: (&[u8], usize),
        range: KeyRange<'_>,
        max_rows: usize,
    ) -> Result<Vec<RawRow>> {
        let family = self.families.get(family).filter(|_| is_sound(range));
        Ok(family.map_or_else(Vec::new, |family| family.page_of_group(group, range, max_rows)))
    }

    fn approximate_count(&self, family: usize) -> Result<u64> {
        Ok(self.families.get(family).map_or(0, |f| f.len() as u64))
    }

    fn mark(&self, family: usize) -> Mark {
        self.families.get(family).map_or(Mark::default(), |f| f.mark)
    }

    fn apply(&mut self, fill: &mut dyn FnMut(&mut dyn BatchWriter) -> Result<()>) -> Result<()> {
        let mut changes = Changes::default();
        fill(&mut changes)?;
        self.replay(changes);
        Ok(())
    }

    fn wipe(&mut self, family: usize) -> Result<()> {
        if let Some(family) = self.families.get_mut(family) {
            family.wipe();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Rows that one thread writes and others read: a batch is seen as a whole or not at all.
#[derive(Clone)]
pub(crate) struct SharedMemory(Arc<RwLock<MemoryDatabase>>);

impl SharedMemory {
    pub(crate) fn new(families: usize) -> Self {
        Self(Arc::new(RwLock::new(MemoryDatabase::new(families))))
    }

    fn read(&self) -> RwLockReadGuard<'_, MemoryDatabase> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, MemoryDatabase> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database for SharedMemory {
    fn get(&self, family: usize, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.read().get(family, key, out)
    }

    fn page(&self, family: usize, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<RawRow>> {
        self.read().page(family, range, reverse, max_rows)
    }

    fn approximate_count(&self, family: usize) -> Result<u64> {
        self.read().approximate_count(family)
    }

    fn mark(&self, family: usize) -> Mark {
        self.read().mark(family)
    }

    fn apply(&mut self, fill: &mut dyn FnMut(&mut dyn BatchWriter) -> Result<()>) -> Result<()> {
        let mut changes = Changes::default();
        fill(&mut changes)?;
        self.write().replay(changes);
        Ok(())
    }

    fn wipe(&mut self, family: usize) -> Result<()> {
        self.write().wipe(family)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn share(&self) -> Option<MakeReader> {
        let shared = self.clone();
        Some(Arc::new(move || Box::new(shared.clone())))
    }
}
