//! The state of a whole instance: one directory, one memory budget, one identity.
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::database::Database;
use crate::database::disk::MemoryDisk;
use crate::database::memory::{MemoryDatabase, SharedMemory};
use crate::directory::{Directory, new_process_id};
use crate::{Result, StateError, StoreSpec, TaskDatabase};

#[cfg(feature = "rocksdb")]
use crate::database::rocksdb::{Budget, RocksDatabase};

/// Opens the databases of tasks. Shared by all threads of an instance; clones share it.
#[derive(Clone)]
pub struct StateEngine {
    inner: Arc<Inner>,
}

struct Inner {
    process_id: String,
    directory: Option<Directory>,
    disk: Option<MemoryDisk>,
    #[cfg(feature = "rocksdb")]
    budget: Option<Budget>,
    open: Arc<Mutex<HashSet<String>>>,
}

/// A task is open at most once.
pub(crate) struct TaskLock {
    open: Arc<Mutex<HashSet<String>>>,
    task: String,
}

impl Drop for TaskLock {
    fn drop(&mut self) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.task);
    }
}

impl StateEngine {
    /// RocksDB under `state_dir/application_id`, which is locked for this instance. `memory_bytes` bounds block cache
    /// and write buffers of all tasks together.
    ///
    /// # Errors
    /// [`StateError::Locked`], [`StateError::ReadOnly`], [`StateError::InvalidName`] or [`StateError::Io`].
    #[cfg(feature = "rocksdb")]
    pub fn rocksdb(state_dir: &Path, application_id: &str, memory_bytes: usize) -> Result<Self> {
        let directory = Directory::open(state_dir, application_id)?;
        let process_id = directory.process_id()?;
        let budget = Some(Budget::new(memory_bytes));
        Ok(Self {
            inner: Arc::new(Inner {
                process_id,
                directory: Some(directory),
                disk: None,
                budget,
                open: Arc::default(),
            }),
        })
    }

    /// Everything in memory; nothing survives. For the test driver, and where the `rocksdb` feature is off.
    pub fn in_memory() -> Self {
        let inner = Inner {
            process_id: new_process_id(),
            directory: None,
            disk: None,
            #[cfg(feature = "rocksdb")]
            budget: None,
            open: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Everything on a disk in memory, which outlives the engine.
    pub fn on_memory_disk(disk: &MemoryDisk) -> Self {
        let inner = Inner {
            process_id: disk.process_id().to_owned(),
            directory: None,
            disk: Some(disk.clone()),
            #[cfg(feature = "rocksdb")]
            budget: None,
            open: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// UUID of the instance, kept in the state directory. Kafka Streams: `kafka-streams-process-metadata`.
    pub fn process_id(&self) -> &str {
        &self.inner.process_id
    }

    /// Tasks (`0_1`) that have a directory.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn tasks_on_disk(&self) -> Result<Vec<String>> {
        self.inner
            .directory
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), Directory::tasks)
    }

    /// Opens the task's database with these stores.
    ///
    /// # Errors
    /// [`StateError::Locked`] when the task is open already; [`StateError::Damaged`] when its files are not
    /// readable: [`wipe_task`](Self::wipe_task) then makes it empty.
    pub fn open_task(&self, task: &str, specs: &[StoreSpec]) -> Result<TaskDatabase> {
        let lock = self.lock(task)?;
        let persistent: Box<dyn Database> = match self.on_disk(task, specs)? {
            Some(database) => database,
            None => Box::new(MemoryDatabase::of(specs)),
        };
        Ok(TaskDatabase::new(specs, persistent, lock))
    }

    /// As [`open_task`](Self::open_task), for a database that others read while one writes it.
    pub(crate) fn open_shared(&self, name: &str, specs: &[StoreSpec]) -> Result<TaskDatabase> {
        let lock = self.lock(name)?;
        let memory = Box::new(SharedMemory::new(specs.len()));
        let persistent: Box<dyn Database> = match self.on_disk(name, specs)? {
            Some(database) => database,
            None => Box::new(SharedMemory::new(specs.len())),
        };
        Ok(TaskDatabase::of_both(specs, persistent, memory, Some(lock)))
    }

    /// None: nothing is kept on disk.
    fn on_disk(&self, name: &str, specs: &[StoreSpec]) -> Result<Option<Box<dyn Database>>> {
        #[cfg(feature = "rocksdb")]
        if let (Some(directory), Some(budget)) = (&self.inner.directory, &self.inner.budget) {
            let database = RocksDatabase::open(&directory.task(name)?, specs, budget)?;
            return Ok(Some(Box::new(database)));
        }
        match &self.inner.disk {
            Some(disk) => Ok(Some(Box::new(disk.open(name, specs.len())?))),
            None => Ok(None),
        }
    }

    fn lock(&self, task: &str) -> Result<TaskLock> {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.insert(task.to_owned()) {
            let path = self.task_dir(task).unwrap_or_else(|| PathBuf::from(task));
            return Err(StateError::Locked { path });
        }
        Ok(TaskLock {
            open: Arc::clone(&self.inner.open),
            task: task.to_owned(),
        })
    }

    /// Deletes everything the task has on disk. It must not be open.
    ///
    /// # Errors
    /// [`StateError::Locked`] when it is open; [`StateError::Io`].
    pub fn wipe_task(&self, task: &str) -> Result<()> {
        let _lock = self.lock(task)?;
        if let Some(disk) = &self.inner.disk {
            disk.wipe(task);
        }
        self.inner
            .directory
            .as_ref()
            .map_or(Ok(()), |directory| directory.wipe(task))
    }

    /// Directory of a task, if state is kept on disk.
    pub fn task_dir(&self, task: &str) -> Option<PathBuf> {
        self.inner
            .directory
            .as_ref()
            .map(|directory| directory.path().join(task))
    }

    /// Directory of the application, if state is kept on disk.
    pub fn path(&self) -> Option<&Path> {
        self.inner.directory.as_ref().map(Directory::path)
    }
}
