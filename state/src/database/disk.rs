//! Which rows would a disk still have after a crash? Rows in memory behind a model of RocksDB's promises: a batch that was
//! applied survives the death of the process, and only flushed ones are sure to survive a power cut.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::{Changes, MemoryDatabase};
use super::{BatchWriter, Database, KeyRange, MakeReader, Mark, RawRow};
use crate::{Result, StateError};

/// A state directory in memory that outlives the engines opened on it. For simulations of crashes.
///
/// ```
/// use millstream_state::{MemoryDisk, StateEngine};
///
/// let disk = MemoryDisk::new("instance-1");
/// let engine = StateEngine::on_memory_disk(&disk);
/// assert_eq!(engine.process_id(), "instance-1");
/// ```
#[derive(Clone)]
pub struct MemoryDisk {
    process_id: Arc<str>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    tasks: BTreeMap<String, Files>,
    writes_to_fail: u32,
}

/// What a disk held at some time.
pub struct DiskCopy(BTreeMap<String, Files>);

#[derive(Clone)]
struct Files {
    /// Nothing can be read any more.
    damaged: bool,
    rows: MemoryDatabase,
    flushed: MemoryDatabase,
    /// Batches since the last flush, in order.
    log: Vec<Changes>,
}

impl MemoryDisk {
    /// An empty disk of the instance with this process id.
    pub fn new(process_id: impl Into<Arc<str>>) -> Self {
        Self {
            process_id: process_id.into(),
            inner: Arc::default(),
        }
    }

    pub(crate) fn process_id(&self) -> &str {
        &self.process_id
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power fails: of each task's batches that were not flushed only the first few are left, as many as `keep` says
    /// (it gets their number). No engine may be open. Gives how many batches were lost.
    pub fn cut_power(&self, mut keep: impl FnMut(usize) -> usize) -> usize {
        let mut lost = 0;
        for files in self.lock().tasks.values_mut() {
            let kept = keep(files.log.len()).min(files.log.len());
            lost += files.log.len() - kept;
            files.log.truncate(kept);
            files.rows = files.flushed.clone();
            for batch in &files.log {
                files.rows.replay(batch.clone());
            }
        }
        lost
    }

    /// A part of what was written reaches the disk for good, as databases flush in the background whenever they like: of each
    /// task's batches the first few, as many as `how_many` says (it gets their number). Engines may be open. Gives how many
    /// batches that were.
    pub fn flush_in_background(&self, mut how_many: impl FnMut(usize) -> usize) -> usize {
        let mut all = 0;
        for files in self.lock().tasks.values_mut() {
            let flushed = how_many(files.log.len()).min(files.log.len());
            for batch in files.log.drain(..flushed) {
                files.flushed.replay(batch);
            }
            all += flushed;
        }
        all
    }

    /// The files of one task become unreadable: `which` gets the number of tasks. Engines may be open; whoever reads or writes
    /// finds out. Gives whether there was one.
    pub fn damage(&self, which: impl FnOnce(usize) -> usize) -> bool {
        let mut inner = self.lock();
        let nth = which(inner.tasks.len());
        let files = inner.tasks.values_mut().nth(nth);
        files.map(|files| files.damaged = true).is_some()
    }

    /// Everything as it is now: what would be left after a kill.
    pub fn copy(&self) -> DiskCopy {
        DiskCopy(self.lock().tasks.clone())
    }

    /// The disk is what it was when the copy was made. No engine may be open.
    pub fn put_back(&self, copy: DiskCopy) {
        self.lock().tasks = copy.0;
    }

    /// The directory is deleted. No engine may be open.
    pub fn erase(&self) {
        self.lock().tasks.clear();
    }

    /// That many of the next batches fail, whatever task they are of.
    pub fn fail_writes(&self, count: u32) {
        self.lock().writes_to_fail = count;
    }

    /// Tasks that have a directory.
    pub fn tasks(&self) -> Vec<String> {
        self.lock().tasks.keys().cloned().collect()
    }

    pub(crate) fn wipe(&self, task: &str) {
        self.lock().tasks.remove(task);
    }

    pub(crate) fn open(&self, task: &str, families: usize) -> Result<DiskDatabase> {
        let mut inner = self.lock();
        let files = inner.tasks.entry(task.to_owned()).or_insert_with(|| Files {
            damaged: false,
            rows: MemoryDatabase::new(families),
            flushed: MemoryDatabase::new(families),
            log: Vec::new(),
        });
        if files.damaged {
            return Err(unreadable(task));
        }
        drop(inner);
        Ok(DiskDatabase {
            disk: self.clone(),
            task: task.to_owned(),
        })
    }
}

fn unreadable(task: &str) -> StateError {
    StateError::Damaged {
        path: task.into(),
        message: "injected: the files cannot be read".into(),
    }
}

/// The rows of one task on a [`MemoryDisk`].
#[derive(Clone)]
pub(crate) struct DiskDatabase {
    disk: MemoryDisk,
    task: String,
}

impl DiskDatabase {
    fn with<T>(&self, f: impl FnOnce(&mut Files) -> Result<T>) -> Result<T> {
        match self.disk.lock().tasks.get_mut(&self.task) {
            Some(files) if files.damaged => Err(unreadable(&self.task)),
            Some(files) => f(files),
            None => Err(StateError::Database("the directory is gone".into())),
        }
    }
}

impl Database for DiskDatabase {
    fn get(&self, family: usize, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.with(|files| files.rows.get(family, key, out))
    }

    fn page(&self, family: usize, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Result<Vec<RawRow>> {
        self.with(|files| files.rows.page(family, range, reverse, max_rows))
    }

    fn approximate_count(&self, family: usize) -> Result<u64> {
        self.with(|files| files.rows.approximate_count(family))
    }

    fn mark(&self, family: usize) -> Mark {
        // Known since the database was opened, damaged or not.
        let inner = self.disk.lock();
        let files = inner.tasks.get(&self.task);
        files.map_or(Mark::default(), |files| files.rows.mark(family))
    }

    fn apply(&mut self, fill: &mut dyn FnMut(&mut dyn BatchWriter) -> Result<()>) -> Result<()> {
        let mut changes = Changes::default();
        fill(&mut changes)?;
        let mut inner = self.disk.lock();
        if inner.writes_to_fail > 0 {
            inner.writes_to_fail -= 1;
            return Err(StateError::Database("injected: the write failed".into()));
        }
        drop(inner);
        self.with(|files| {
            files.log.push(changes.clone());
            files.rows.replay(changes);
            Ok(())
        })
    }

    fn wipe(&mut self, family: usize) -> Result<()> {
        self.with(|files| {
            files.rows.wipe(family)?;
            // Emptying a family is durable at once, like dropping a column family.
            files.flushed = files.rows.clone();
            files.log.clear();
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<()> {
        self.with(|files| {
            files.flushed = files.rows.clone();
            files.log.clear();
            Ok(())
        })
    }

    fn share(&self) -> Option<MakeReader> {
        let shared = self.clone();
        Some(Arc::new(move || Box::new(shared.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(database: &mut DiskDatabase, key: &[u8], offset: i64) {
        database
            .apply(&mut |batch| {
                batch.put(0, key, &[], b"v");
                let offset = Some(offset);
                batch.mark(0, Mark { offset, observed: 0 });
                Ok(())
            })
            .unwrap();
    }

    fn has(database: &DiskDatabase, key: &[u8]) -> bool {
        database.get(0, key, &mut Vec::new()).unwrap()
    }

    #[test]
    fn a_killed_process_finds_everything_and_a_power_cut_takes_the_latest_unflushed_batches() {
        let disk = MemoryDisk::new("p");
        let mut database = disk.open("0_0", 1).unwrap();
        put(&mut database, b"a", 1);
        database.flush().unwrap();
        put(&mut database, b"b", 2);
        put(&mut database, b"c", 3);
        drop(database);
        let after_kill = disk.open("0_0", 1).unwrap();
        assert!([b"a", b"b", b"c"].iter().all(|key| has(&after_kill, *key)));
        assert_eq!(disk.cut_power(|unflushed| unflushed - 1), 1);
        let after_cut = disk.open("0_0", 1).unwrap();
        assert_eq!([b"a", b"b", b"c"].map(|key| has(&after_cut, key)), [true, true, false]);
        assert_eq!(after_cut.mark(0).offset, Some(2), "rows and marks agree");
    }

    #[test]
    fn a_failed_write_changes_nothing() {
        let disk = MemoryDisk::new("p");
        let mut database = disk.open("0_0", 1).unwrap();
        disk.fail_writes(1);
        let failed = database.apply(&mut |batch| {
            batch.put(0, b"a", &[], b"v");
            Ok(())
        });
        assert!(failed.is_err());
        assert!(!has(&database, b"a"));
        put(&mut database, b"a", 1);
        assert!(has(&database, b"a"));
    }

    #[test]
    fn what_was_flushed_in_the_background_survives_a_power_cut() {
        let disk = MemoryDisk::new("p");
        let mut database = disk.open("0_0", 1).unwrap();
        put(&mut database, b"a", 1);
        put(&mut database, b"b", 2);
        assert_eq!(disk.flush_in_background(|_| 1), 1);
        put(&mut database, b"c", 3);
        assert_eq!(disk.cut_power(|_| 0), 2);
        let after = disk.open("0_0", 1).unwrap();
        assert_eq!([b"a", b"b", b"c"].map(|key| has(&after, key)), [true, false, false]);
        assert_eq!(after.mark(0).offset, Some(1), "rows and marks agree");
    }

    #[test]
    fn damaged_files_are_found_by_readers_writers_and_openers_until_they_are_wiped() {
        let disk = MemoryDisk::new("p");
        let mut database = disk.open("0_0", 1).unwrap();
        assert!(disk.damage(|tasks| tasks - 1));
        let damaged = |outcome: Result<bool>| outcome.is_err_and(|e| e.is_damage());
        assert!(damaged(database.get(0, b"a", &mut Vec::new())));
        assert!(damaged(database.apply(&mut |_| Ok(())).map(|()| true)));
        assert!(damaged(disk.open("0_0", 1).map(|_| true)));
        disk.wipe("0_0");
        assert!(disk.open("0_0", 1).is_ok());
        assert!(!MemoryDisk::new("q").damage(|_| 0), "nothing to damage");
    }

    #[test]
    fn an_old_copy_has_what_was_there_then() {
        let disk = MemoryDisk::new("p");
        let mut database = disk.open("0_0", 1).unwrap();
        put(&mut database, b"a", 1);
        let copy = disk.copy();
        put(&mut database, b"b", 2);
        disk.put_back(copy);
        let old = disk.open("0_0", 1).unwrap();
        assert_eq!([b"a", b"b"].map(|key| has(&old, key)), [true, false]);
    }
}
