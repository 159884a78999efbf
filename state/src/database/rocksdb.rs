//! Rows in RocksDB: one database per task, a column family per store, one more for the marks.
//!
//! Every batch goes through the write-ahead log, without a sync: after `kill -9` the page cache still has it, so a
//! restarted instance finds everything that was committed and restores nothing but the transaction in flight. Without a
//! log, a crash would lose what the memtables held: with 16 MiB and rows of 80 bytes the last 200 000 updates.
//! Marks are in the same batch as the rows, so after a power cut, too, data and offsets agree.
mod heads;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, ErrorKind, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteBufferManager,
};

use super::{BatchWriter, Database, KeyRange, MakeReader, Mark, RawRow, is_sound};
use crate::layout::{Change, Layout};
use crate::segments::suffix_bytes;
use crate::{Result, StateError, StoreSpec, row_cache_bytes};

const MARKS: &str = "millstream-marks";
/// Begins the keys of layouts in the family of the marks; names of stores hold no zero byte.
const LAYOUT: &[u8] = b"\0layout ";
const MEMTABLE_BYTES: usize = 16 << 20;
const MAX_WAL_BYTES: u64 = 64 << 20;
const BLOCK_BYTES: usize = 4096;
const MARK_BYTES: usize = 17;

/// What all databases of the process share.
pub(crate) struct Budget {
    cache: Cache,
    write_buffers: WriteBufferManager,
    memtable_bytes: usize,
}

impl Budget {
    /// Of what the row caches leave, half is for write buffers, half for blocks, filters and indexes.
    pub(crate) fn new(memory_bytes: usize) -> Self {
        let memory_bytes = memory_bytes - row_cache_bytes(memory_bytes);
        let write_bytes = memory_bytes / 2;
        // A HyperClockCache does not split into shards that are smaller than a filter block.
        let cache = Cache::new_hyper_clock_cache(memory_bytes - write_bytes, 0);
        let write_buffers = WriteBufferManager::new_write_buffer_manager(write_bytes, false);
        Self {
            cache,
            write_buffers,
            memtable_bytes: MEMTABLE_BYTES.min((write_bytes / 4).max(1 << 20)),
        }
    }

    fn database_options(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_max_total_wal_size(MAX_WAL_BYTES);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(2);
        options.set_max_open_files(512);
        options
    }

    /// `heads`: filters know what rows begin with, for reads of groups.
    fn family_options(&self, heads: bool) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.cache);
        blocks.set_block_size(BLOCK_BYTES);
        blocks.set_bloom_filter(10.0, false);
        // Filters and indexes count against the budget like everything else.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_size(self.memtable_bytes);
        options.set_max_write_buffer_number(3);
        options.set_memtable_prefix_bloom_ratio(0.1);
        options.set_memtable_whole_key_filtering(true);
        if heads {
            options.set_prefix_extractor(heads::extractor());
        }
        options
    }
}

pub(crate) struct RocksDatabase {
    /// Shared with those who only read.
    database: Arc<DB>,
    path: PathBuf,
    families: Vec<String>,
    marks: Vec<Mark>,
    /// Of each family.
    family_options: Vec<Options>,
    poisoned: bool,
}

impl RocksDatabase {
    pub(crate) fn open(path: &Path, specs: &[StoreSpec], budget: &Budget) -> Result<Self> {
        let options = budget.database_options();
        let families: Vec<String> = specs.iter().map(|spec| format!("store-{}", spec.name)).collect();
        // RocksDB insists on opening every family there is, also those of stores that the topology has lost. They are kept
        // until the task is wiped: whoever takes a deployment back finds them, and restores no more than the rest.
        let existing = if path.join("CURRENT").exists() {
            DB::list_cf(&options, path).map_err(|error| open_error(path, &error))?
        } else {
            Vec::new()
        };
        let mut names: BTreeSet<&str> = families.iter().map(String::as_str).collect();
        names.extend(existing.iter().map(String::as_str));
        names.extend([MARKS, "default"]);
        let family_options: Vec<Options> = specs
            .iter()
            .map(|spec| budget.family_options(suffix_bytes(&spec.kind) > 0))
            .collect();
        let descriptors = names.iter().map(|name| {
            let family = families.iter().position(|family| family == name);
            let options = family.and_then(|family| family_options.get(family)).cloned();
            ColumnFamilyDescriptor::new(*name, options.unwrap_or_else(|| budget.family_options(false)))
        });
        let database =
            DB::open_cf_descriptors(&options, path, descriptors).map_err(|error| open_error(path, &error))?;
        let mut opened = Self {
            database: Arc::new(database),
            path: path.to_owned(),
            marks: vec![Mark::default(); families.len()],
            families,
            family_options,
            poisoned: false,
        };
        for (family, spec) in specs.iter().enumerate() {
            let mark = opened.read_mark(family)?;
            if let Some(known) = opened.marks.get_mut(family) {
                *known = mark;
            }
            opened.check_layout(family, spec)?;
        }
        Ok(opened)
    }

    /// The same rows for somebody who only reads them.
    fn reader(&self) -> Self {
        Self {
            database: Arc::clone(&self.database),
            path: self.path.clone(),
            marks: Vec::new(),
            families: self.families.clone(),
            family_options: self.family_options.clone(),
            poisoned: false,
        }
    }

    /// Rows that a changed topology would read wrongly are refused, or given up where the changelog has them.
    fn check_layout(&mut self, family: usize, spec: &StoreSpec) -> Result<()> {
        let wanted = Layout::of_store(spec);
        let row = [LAYOUT, spec.name.as_bytes()].concat();
        let found = self.database.get_pinned_cf(self.handle(MARKS)?, &row);
        let found = found
            .map_err(|error| self.error(&error))?
            .map(|bytes| Layout::read(&bytes));
        let change = found
            .as_ref()
            .map_or(Change::None, |found| wanted.differs_from(found, spec.logging));
        match change {
            Change::None => {}
            Change::Rows => {
                tracing::info!(
                    store = &*spec.name,
                    "rows are laid out anew: the store is restored from its changelog"
                );
                self.wipe(family)?;
            }
            Change::Kind if self.is_empty(family)? => {}
            Change::Kind => {
                return Err(StateError::Incompatible {
                    path: self.path.clone(),
                    store: spec.name.to_string(),
                    found: found.map(|layout| layout.to_string()).unwrap_or_default(),
                    wanted: wanted.to_string(),
                });
            }
        }
        if found.as_ref() != Some(&wanted) {
            let written = self.database.put_cf(self.handle(MARKS)?, &row, wanted.to_string());
            written.map_err(|error| self.error(&error))?;
        }
        Ok(())
    }

    fn handle(&self, name: &str) -> Result<&ColumnFamily> {
        self.database
            .cf_handle(name)
            .ok_or_else(|| StateError::Database(format!("no column family {name}")))
    }

    fn family(&self, family: usize) -> Result<&ColumnFamily> {
        let name = self
            .families
            .get(family)
            .ok_or_else(|| StateError::Database(format!("no family {family}")))?;
        self.handle(name)
    }

    fn read_mark(&self, family: usize) -> Result<Mark> {
        let name = self.families.get(family).map(String::as_str).unwrap_or_default();
        let bytes = self
            .database
            .get_pinned_cf(self.handle(MARKS)?, name)
            .map_err(|e| self.error(&e))?;
        bytes.map_or(Ok(Mark::default()), |bytes| {
            decode_mark(&bytes).ok_or_else(|| self.damaged("a mark is malformed"))
        })
    }

    fn is_empty(&self, family: usize) -> Result<bool> {
        Ok(self
            .page(family, (Bound::Unbounded, Bound::Unbounded), false, 1)?
            .is_empty())
    }

    fn damaged(&self, message: &str) -> StateError {
        StateError::Damaged {
            path: self.path.clone(),
            message: message.to_owned(),
        }
    }

    fn error(&self, error: &rocksdb::Error) -> StateError {
        match error.kind() {
            ErrorKind::Corruption => self.damaged(error.as_ref()),
            _ => StateError::Database(error.to_string()),
        }
    }
}

fn open_error(path: &Path, error: &rocksdb::Error) -> StateError {
    super::failure::opening(path, error.kind() == ErrorKind::IOError, error.as_ref())
}

fn encode_mark(mark: Mark) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[0] = u8::from(mark.offset.is_some());
    bytes[1..9].copy_from_slice(&mark.offset.unwrap_or(0).to_be_bytes());
    bytes[9..].copy_from_slice(&mark.observed.to_be_bytes());
    bytes
}

fn decode_mark(bytes: &[u8]) -> Option<Mark> {
    let (known, rest) = bytes.split_first()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let observed = i64::from_be_bytes(rest.try_into().ok()?);
    Some(Mark {
        offset: (*known == 1).then(|| i64::from_be_bytes(*offset)),
        observed,
    })
}

struct Batch<'a> {
    database: &'a RocksDatabase,
    batch: WriteBatch,
    marks: Vec<(usize, Mark)>,
    value: Vec<u8>,
    /// That of the last row: most rows are of the family of the row before them.
    handle: Option<(usize, &'a ColumnFamily)>,
    /// A family that does not exist: the batch must not be written.
    failed: Option<StateError>,
}

impl<'a> Batch<'a> {
    fn with(&mut self, family: usize, write: impl FnOnce(&mut WriteBatch, &ColumnFamily)) {
        if let Some((_, handle)) = self.handle.filter(|(last, _)| *last == family) {
            return write(&mut self.batch, handle);
        }
        match self.database.family(family) {
            Ok(handle) => {
                self.handle = Some((family, handle));
                write(&mut self.batch, handle);
            }
            Err(error) => self.failed = Some(error),
        }
    }
}

impl BatchWriter for Batch<'_> {
    fn put(&mut self, family: usize, key: &[u8], prefix: &[u8], value: &[u8]) {
        if prefix.is_empty() {
            self.with(family, |batch, handle| batch.put_cf(handle, key, value));
            return;
        }
        let mut row = std::mem::take(&mut self.value);
        row.clear();
        row.extend_from_slice(prefix);
        row.extend_from_slice(value);
        self.with(family, |batch, handle| batch.put_cf(handle, key, &row));
        self.value = row;
    }

    fn delete(&mut self, family: usize, key: &[u8]) {
        self.with(family, |batch, handle| batch.delete_cf(handle, key));
    }

    fn delete_below(&mut self, family: usize, end: &[u8]) {
        self.with(family, |batch, handle| batch.delete_range_cf(handle, &[][..], end));
    }

    fn mark(&mut self, family: usize, mark: Mark) {
        self.marks.push((family, mark));
    }

    fn wants_order(&self) -> bool {
        true
    }
}

impl Database for RocksDatabase {
    fn get(&self, family: usize, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        let value = self
            .database
            .get_pinned_cf(self.family(family)?, key)
            .map_err(|error| self.error(&error))?;
        if let Some(value) = &value {
            out.extend_from_slice(value);
        }
        Ok(value.is_some())
    }

    fn page(&self, family: usize, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<RawRow>> {
        if !is_sound(range) {
            return Ok(Vec::new());
        }
        let mut options = ReadOptions::default();
        options.set_total_order_seek(reverse || !heads::is_shared(range));
        match range.0 {
            Bound::Included(lo) => options.set_iterate_lower_bound(lo),
            // The smallest key behind `lo`.
            Bound::Excluded(lo) => options.set_iterate_lower_bound([lo, &[0]].concat()),
            Bound::Unbounded => {}
        }
        match range.1 {
            Bound::Included(hi) => options.set_iterate_upper_bound([hi, &[0]].concat()),
            Bound::Excluded(hi) => options.set_iterate_upper_bound(hi),
            Bound::Unbounded => {}
        }
        let mode = if reverse {
            IteratorMode::End
        } else {
            IteratorMode::Start
        };
        let rows = self.database.iterator_cf_opt(self.family(family)?, options, mode);
        rows.take(max_rows)
            .map(|row| row.map_err(|error| self.error(&error)))
            .collect()
    }

    fn approximate_count(&self, family: usize) -> Result<u64> {
        let count = self
            .database
            .property_int_value_cf(self.family(family)?, "rocksdb.estimate-num-keys");
        Ok(count.map_err(|error| self.error(&error))?.unwrap_or(0))
    }

    fn mark(&self, family: usize) -> Mark {
        self.marks.get(family).copied().unwrap_or_default()
    }

    fn apply(&mut self, fill: &mut dyn FnMut(&mut dyn BatchWriter) -> Result<()>) -> Result<()> {
        if self.poisoned {
            return Err(StateError::Poisoned);
        }
        let mut batch = Batch {
            database: self,
            batch: WriteBatch::default(),
            marks: Vec::new(),
            value: Vec::new(),
            handle: None,
            failed: None,
        };
        fill(&mut batch)?;
        if let Some(error) = batch.failed {
            return Err(error);
        }
        let (mut rows, marks) = (batch.batch, batch.marks);
        let handle = self.handle(MARKS)?;
        for (family, mark) in &marks {
            if let Some(name) = self.families.get(*family) {
                rows.put_cf(handle, name, encode_mark(*mark));
            }
        }
        if let Err(error) = self.database.write(rows) {
            // Whether a part of it is in the log is open: only opening it anew tells.
            self.poisoned = true;
            return Err(self.error(&error));
        }
        for (family, mark) in marks {
            if let Some(known) = self.marks.get_mut(family) {
                *known = mark;
            }
        }
        Ok(())
    }

    fn wipe(&mut self, family: usize) -> Result<()> {
        let (Some(name), Some(options)) = (self.families.get(family).cloned(), self.family_options.get(family)) else {
            return Ok(());
        };
        if self.marks.get(family) == Some(&Mark::default()) && self.is_empty(family)? {
            return Ok(());
        }
        // IMPORTANT: the mark goes first, and to the disk. A crash in between then leaves rows without an offset, which
        // restoring wipes again, and never a mark that stands for rows that are gone: dropping a family is written to
        // the manifest with a sync, so after a power cut it would outlive a deletion that was only in the log.
        self.database
            .delete_cf(self.handle(MARKS)?, &name)
            .and_then(|()| self.database.flush_wal(true))
            .map_err(|error| self.error(&error))?;
        if let Some(mark) = self.marks.get_mut(family) {
            *mark = Mark::default();
        }
        let Some(database) = Arc::get_mut(&mut self.database) else {
            return Err(StateError::Database(format!(
                "{name} cannot be emptied while it is read"
            )));
        };
        let anew = database
            .drop_cf(&name)
            .and_then(|()| database.create_cf(&name, options));
        anew.map_err(|error| self.error(&error))
    }

    fn flush(&mut self) -> Result<()> {
        if self.poisoned {
            return Err(StateError::Poisoned);
        }
        // A synced log holds everything: flushing memtables would only write small files.
        self.database.flush_wal(true).map_err(|error| {
            self.poisoned = true;
            self.error(&error)
        })
    }

    fn share(&self) -> Option<MakeReader> {
        let shared = self.reader();
        Some(Arc::new(move || Box::new(shared.reader())))
    }
}
