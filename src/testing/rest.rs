//! What must hold when a simulation has come to rest: nothing is open, what was seen is still there, state is what its
//! changelog says.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    check::{Check, Checker, at, read, text},
    copy::{self, Rivals},
    observation::Observation,
    report::{Records, SeenRecord},
    simulator::Plan,
    world::lock,
};
use crate::{
    cluster::{Isolation, TaskId, TopicPartition},
    dsl::engine::{InternalTopic, StoreDefinition, Subtopology},
    state::{ChangelogRecord, MemoryDisk, StateEngine, StoreBackend, StoreIndex, StoreKind, StoreSpec, TaskDatabase},
    task::task_name,
};

/// The directory of the global stores.
const GLOBAL_TASK: &str = "global";

type Changelogs = BTreeMap<TopicPartition, Vec<Logged>>;

/// A record of a changelog.
pub(super) struct Logged {
    pub(super) record: SeenRecord,
    /// Producer id.
    pub(super) writer: i64,
}

impl Checker {
    /// When everything has stopped. Gives the committed records of all topics, and how many rows of state were compared.
    /// `compacted`: changelogs do not hold what has been overwritten.
    pub(super) fn finish<'a>(
        &mut self,
        plan: &Plan,
        disks: impl Iterator<Item = (usize, &'a MemoryDisk)>,
        compacted: bool,
    ) -> Check<(Records, u64)> {
        self.look()?;
        if let Some(left) = self.left_over(plan, false)? {
            return Err(format!("after the last instance had stopped, {left}"));
        }
        self.nothing_hangs()?;
        let records = self.what_was_seen_is_there()?;
        let mut rows = 0;
        let changelogs = self.changelogs(plan)?;
        for (instance, disk) in disks {
            rows += self.state_is_its_changelog(plan, instance, disk, compacted, &changelogs)?;
        }
        Ok((records, rows))
    }

    fn nothing_hangs(&mut self) -> Check {
        for topic in self.cluster.topics() {
            for partition in self.partitions(&topic)? {
                let end = self.bounds(&partition, Isolation::ReadUncommitted)?.1;
                let stable = self.bounds(&partition, Isolation::ReadCommitted)?.1;
                let committed = self.committed.get(&partition).copied();
                let left = match committed {
                    Some(from) => read(&self.cluster, &partition, self.isolation, from)?.len() as u64,
                    None => 0,
                };
                let TopicPartition { topic, partition } = partition;
                if stable != end {
                    return Err(format!(
                        "{topic}-{partition} hangs: it ends at {end}, stable is only {stable}"
                    ));
                }
                lock(&self.world).observe(Observation::AtRest {
                    topic,
                    partition,
                    end,
                    stable,
                    committed,
                    left,
                });
            }
        }
        Ok(())
    }

    fn what_was_seen_is_there(&self) -> Check<Records> {
        let mut records = BTreeMap::new();
        for watched in &self.watched {
            let mut of_topic = Vec::new();
            for (partition, seen) in (0..).zip(&watched.seen) {
                let place = at(&watched.topic, partition);
                let found = read(&self.cluster, &place, Isolation::ReadCommitted, 0)?;
                if found != *seen {
                    return Err(format!(
                        "committed records of {}-{partition} are not those that were seen before",
                        watched.topic
                    ));
                }
                self.observe_found(&place, &found)?;
                of_topic.extend(found);
            }
            records.insert(watched.topic.clone(), of_topic);
        }
        Ok(records)
    }

    fn observe_found(&self, place: &TopicPartition, found: &[SeenRecord]) -> Check {
        let writers = self.cluster.writers(place).map_err(text)?;
        let mut world = lock(&self.world);
        for record in found {
            world.observe(Observation::Found {
                record: record.clone(),
                writer: writer_of(&writers, record.offset),
            });
        }
        Ok(())
    }

    /// Every key-value store on a disk equals its changelog up to the offset it claims to stand for. Gives the rows compared.
    fn state_is_its_changelog(
        &mut self,
        plan: &Plan,
        instance: usize,
        disk: &MemoryDisk,
        compacted: bool,
        changelogs: &Changelogs,
    ) -> Check<u64> {
        let engine = StateEngine::on_memory_disk(disk);
        let mut compared = 0;
        // Global stores have no changelog of their own.
        for task in disk.tasks().into_iter().filter(|task| task != GLOBAL_TASK) {
            let (subtopology, id) = known_task(plan, &task)?;
            let specs: Vec<StoreSpec> = subtopology.stores.iter().map(|s| s.spec.clone()).collect();
            let database = match engine.open_task(&task, &specs) {
                Ok(database) => database,
                // Damaged, and never asked for again.
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(text(error)),
            };
            let mut fresh = StateEngine::in_memory().open_task(&task, &specs).map_err(text)?;
            for (index, store) in (0..).map(StoreIndex).zip(&subtopology.stores) {
                let Some(changelog) = comparable(store) else { continue };
                let place = at(&changelog.full_name(&self.application_id).into(), id.partition);
                let log = changelogs.get(&place).map_or(&[][..], Vec::as_slice);
                let mark = database.offset(index).unwrap_or(0);
                if compacted && log.last().is_some_and(|last| last.record.offset >= mark) {
                    continue;
                }
                let below = &log[..log.partition_point(|l| l.record.offset < mark)];
                let records: Vec<ChangelogRecord<'_>> = below.iter().map(|l| change(&l.record)).collect();
                fresh.restore(index, &records, mark).map_err(text)?;
                let rows = database.rows(index).map_err(text)?;
                let expected = fresh.rows(index).map_err(text)?;
                let rivals = (self.isolation == Isolation::ReadUncommitted).then_some(Rivals { below, compacted });
                if let Some(what) = copy::difference(&rows, &expected, rivals.as_ref()) {
                    let of = format!("the store {} of task {task}", store.spec.name);
                    return Err(format!("{of} is not what its changelog says below {mark}: {what}"));
                }
                compared += rows.len() as u64;
                let end = self.bounds(&place, self.isolation)?.1;
                self.observe_rows(instance, &store.spec, id.partition, index, &database, end)?;
            }
        }
        Ok(compared)
    }

    /// Of all stores that are compared, also of those nobody has any more.
    fn changelogs(&mut self, plan: &Plan) -> Check<Changelogs> {
        let mut changelogs = Changelogs::new();
        let stores = plan.topology.subtopologies().iter().flat_map(|s| &s.stores);
        for (store, changelog) in stores.filter_map(|store| Some((store, comparable(store)?))) {
            for place in self.partitions(&changelog.full_name(&self.application_id))? {
                let log = self.changelog(&place)?;
                self.observe_changes(&store.spec.name, &log);
                changelogs.insert(place, log);
            }
        }
        Ok(changelogs)
    }

    fn changelog(&self, place: &TopicPartition) -> Check<Vec<Logged>> {
        let writers = self.cluster.writers(place).map_err(text)?;
        let log = read(&self.cluster, place, self.isolation, 0)?.into_iter();
        let written = log.map(|record| {
            let (writer, _) = writer_of(&writers, record.offset);
            Logged { record, writer }
        });
        Ok(written.collect())
    }

    fn observe_changes(&self, store: &Arc<str>, log: &[Logged]) {
        let mut world = lock(&self.world);
        for Logged { record, writer } in log {
            world.observe(Observation::Change {
                store: store.clone(),
                record: record.clone(),
                writer: *writer,
            });
        }
    }

    fn observe_rows(
        &self,
        instance: usize,
        spec: &StoreSpec,
        partition: i32,
        index: StoreIndex,
        database: &TaskDatabase,
        end: i64,
    ) -> Check {
        let mut world = lock(&self.world);
        let prefix = if spec.kind.is_timestamped() { 8 } else { 0 };
        for (key, value) in database.rows(index).map_err(text)? {
            world.observe(Observation::Row {
                instance,
                store: spec.name.clone(),
                partition,
                key: key.into(),
                value: value.get(prefix..).unwrap_or_default().to_vec(),
            });
        }
        world.observe(Observation::Mark {
            instance,
            store: spec.name.clone(),
            partition,
            offset: database.offset(index).unwrap_or(0),
            end,
        });
        Ok(())
    }
}

/// Producer id and epoch of the batch that has an offset, of all batches of a partition in order; -1: there is none.
fn writer_of(batches: &[(i64, i64, i16)], offset: i64) -> (i64, i16) {
    let batch = batches.partition_point(|(last, ..)| *last < offset);
    batches.get(batch).map_or((-1, -1), |(_, id, epoch)| (*id, *epoch))
}

/// The changelog of a store that must equal it row by row. Rows of other kinds expire on one side earlier than on the other.
fn comparable(store: &StoreDefinition) -> Option<&InternalTopic> {
    let on_disk = store.spec.backend == StoreBackend::Persistent;
    let is_plain = matches!(store.spec.kind, StoreKind::KeyValue { .. });
    store.changelog.as_ref().filter(|_| on_disk && is_plain)
}

fn known_task<'a>(plan: &'a Plan, task: &str) -> Check<(&'a Subtopology, TaskId)> {
    let found = plan.topology.subtopologies().iter().find_map(|s| {
        let partition = task.strip_prefix(&format!("{}_", s.id))?.parse().ok()?;
        let id = TaskId {
            subtopology: s.id,
            partition,
        };
        (task_name(id) == task).then_some((s, id))
    });
    found.ok_or_else(|| format!("the disk has a task {task} which the topology does not have"))
}

fn change(record: &SeenRecord) -> ChangelogRecord<'_> {
    ChangelogRecord {
        key: record.key.as_deref().unwrap_or_default(),
        value: record.value.as_deref(),
        timestamp: record.timestamp,
        offset: record.offset,
        headers: None,
    }
}
