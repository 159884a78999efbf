//! How often is a database asked? For tests of what is kept in memory.
use std::cell::Cell;

use super::memory::MemoryDatabase;
use super::{BatchWriter, Database, KeyRange, Mark, RawRow};
use crate::Result;

/// Counts reads.
pub(crate) struct Counting {
    pub(crate) rows: MemoryDatabase,
    pub(crate) reads: Cell<usize>,
    pub(crate) pages: Cell<usize>,
}

impl Counting {
    pub(crate) fn new() -> Self {
        Self {
            rows: MemoryDatabase::new(1),
            reads: Cell::new(0),
            pages: Cell::new(0),
        }
    }
}

impl Database for Counting {
    fn get(&self, family: usize, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.reads.set(self.reads.get() + 1);
        self.rows.get(family, key, out)
    }
    fn page(&self, family: usize, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<RawRow>> {
        self.pages.set(self.pages.get() + 1);
        self.rows.page(family, range, reverse, max_rows)
    }
    fn approximate_count(&self, family: usize) -> Result<u64> {
        self.rows.approximate_count(family)
    }
    fn mark(&self, family: usize) -> Mark {
        self.rows.mark(family)
    }
    fn apply(&mut self, fill: &mut dyn FnMut(&mut dyn BatchWriter) -> Result<()>) -> Result<()> {
        self.rows.apply(fill)
    }
    fn wipe(&mut self, family: usize) -> Result<()> {
        self.rows.wipe(family)
    }
    fn flush(&mut self) -> Result<()> {
        self.rows.flush()
    }
}
