//! Where does the output of the topology go? Records sent to topics and written to changelogs, kept as bytes in the
//! order of production, and those that come back in as input.
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use millstream_state::{ChangeLogger, Headers, StoreIndex};

use super::{
    feeds::{Feed, Feeds},
    log::RecordLog,
    queues::QueuedRecord,
};
use crate::engine::{Collector, CollectorError, OutgoingRecord, SinkTopic, SourceIndex};

/// A record a topology produced, lent to a callback: see [`TopologyTestDriver::on_output`](super::TopologyTestDriver::on_output).
#[derive(Clone, Copy, Debug)]
pub struct ProducedRef<'a> {
    /// Full name of the topic, with the application id in front for internal topics.
    pub topic: &'a str,
    /// Serialized key.
    pub key: Option<&'a [u8]>,
    /// Serialized value.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the epoch; `None`: the broker would assign the time (changelogs of suppress buffers).
    pub timestamp: Option<i64>,
    /// The headers at the time of the send.
    pub headers: Option<&'a Headers>,
}

type Callback = Rc<RefCell<dyn FnMut(ProducedRef<'_>)>>;

/// What happens to the records of one topic.
#[derive(Clone)]
pub(super) enum Keep {
    All,
    Nothing,
    Call(Callback),
}

struct Topic {
    name: Rc<str>,
    keep: Keep,
    /// Its records are input as well.
    feeds: Option<Feed>,
    /// Positions in the log that no output handle has read.
    unread: VecDeque<usize>,
}

#[derive(Default)]
struct Topics {
    all: Vec<Topic>,
    by_name: HashMap<Rc<str>, usize>,
    /// For topics that are first seen when a record goes to them.
    feeds: Rc<Feeds>,
    keep_new: Option<Keep>,
}

impl Topics {
    fn index(&mut self, name: &str) -> usize {
        if let Some(&i) = self.by_name.get(name) {
            return i;
        }
        let name: Rc<str> = name.into();
        self.all.push(Topic {
            name: name.clone(),
            keep: self.keep_new.clone().unwrap_or(Keep::All),
            feeds: self.feeds.of(&name),
            unread: VecDeque::new(),
        });
        self.by_name.insert(name, self.all.len() - 1);
        self.all.len() - 1
    }
}

/// The driver's `Collector` and `ChangeLogger`.
pub(super) struct Capture {
    topics: RefCell<Topics>,
    sinks: Vec<usize>,
    changelogs: Vec<Option<usize>>,
    log: RefCell<RecordLog>,
    looped: RefCell<VecDeque<(SourceIndex, Box<QueuedRecord>)>>,
    /// One that is done with: the next one finds memory.
    done: Cell<Option<Box<QueuedRecord>>>,
    /// Length of the log at the last completed step: what a failed step wrote is cut off there.
    completed: Cell<usize>,
}

impl Capture {
    /// `sinks` and `changelogs`: full topic names by `SinkIndex` and `StoreIndex`.
    pub(super) fn new(sinks: &[String], changelogs: &[Option<String>]) -> Self {
        let mut topics = Topics::default();
        let sinks = sinks.iter().map(|name| topics.index(name)).collect();
        let changelogs = changelogs
            .iter()
            .map(|name| name.as_deref().map(|n| topics.index(n)))
            .collect();
        Self {
            topics: RefCell::new(topics),
            sinks,
            changelogs,
            log: RefCell::default(),
            looped: RefCell::default(),
            done: Cell::default(),
            completed: Cell::new(0),
        }
    }

    /// Names the topics whose records are input as well.
    pub(super) fn connect(&self, feeds: Rc<Feeds>) {
        let mut topics = self.topics.borrow_mut();
        for topic in &mut topics.all {
            topic.feeds = feeds.of(&topic.name);
        }
        topics.feeds = feeds;
    }

    fn record(&self, topic: usize, record: &OutgoingRecord<'_>, timestamp: Option<i64>, headers: Option<&Headers>) {
        let call = {
            let mut topics = self.topics.borrow_mut();
            let slot = &mut topics.all[topic];
            if let Some(feed) = &slot.feeds {
                let mut looped = self.done.take().unwrap_or_default();
                let headers = headers.cloned().unwrap_or_default();
                looped.set(feed, (record.key, record.value, record.timestamp), headers);
                self.looped.borrow_mut().push_back((feed.source, looped));
            }
            match &slot.keep {
                Keep::All => {
                    let at = self
                        .log
                        .borrow_mut()
                        .push(topic, record.key, record.value, timestamp, headers);
                    slot.unread.push_back(at);
                    return;
                }
                Keep::Nothing => return,
                // The callback may look at the driver, so nothing stays borrowed while it runs.
                Keep::Call(callback) => (callback.clone(), slot.name.clone()),
            }
        };
        if let Ok(mut callback) = call.0.try_borrow_mut() {
            callback(ProducedRef {
                topic: &call.1,
                key: record.key,
                value: record.value,
                timestamp,
                headers,
            });
        }
    }

    /// One step is done: its records stay.
    pub(super) fn complete(&self) {
        self.completed.set(self.log.borrow().len());
    }

    /// A step failed: as after an aborted transaction, nobody sees what it wrote.
    pub(super) fn abandon(&self) {
        let keep = self.completed.get();
        self.log.borrow_mut().truncate(keep);
        self.looped.borrow_mut().clear();
        for topic in &mut self.topics.borrow_mut().all {
            while topic.unread.back().is_some_and(|at| *at >= keep) {
                topic.unread.pop_back();
            }
        }
    }

    pub(super) fn next_looped(&self) -> Option<(SourceIndex, Box<QueuedRecord>)> {
        self.looped.borrow_mut().pop_front()
    }

    /// The record that comes back, if it is the only one: no other can have to go before it.
    pub(super) fn only_looped(&self) -> Option<(SourceIndex, Box<QueuedRecord>)> {
        let mut looped = self.looped.borrow_mut();
        if looped.len() == 1 { looped.pop_front() } else { None }
    }

    /// A record that came back is done with.
    pub(super) fn done(&self, record: Box<QueuedRecord>) {
        self.done.set(Some(record));
    }

    pub(super) fn keep(&self, topic: &str, keep: Keep) {
        let mut topics = self.topics.borrow_mut();
        let index = topics.index(topic);
        topics.all[index].keep = keep;
    }

    /// For every topic, also those that are seen later.
    pub(super) fn keep_all(&self, keep: &Keep) {
        let mut topics = self.topics.borrow_mut();
        topics.keep_new = Some(keep.clone());
        for topic in &mut topics.all {
            topic.keep = keep.clone();
        }
    }

    pub(super) fn knows(&self, topic: &str) -> bool {
        self.topics.borrow().by_name.contains_key(topic)
    }

    pub(super) fn topic_names(&self) -> Vec<Rc<str>> {
        self.topics.borrow().all.iter().map(|t| t.name.clone()).collect()
    }

    pub(super) fn topic_index(&self, topic: &str) -> usize {
        self.topics.borrow_mut().index(topic)
    }

    pub(super) fn unread(&self, topic: usize) -> usize {
        self.topics.borrow().all[topic].unread.len()
    }

    /// Lends the oldest unread record of a topic to `f`, and forgets it once read.
    pub(super) fn read<T>(&self, topic: usize, f: impl FnOnce(ProducedRef<'_>) -> T) -> Option<T> {
        let (at, name) = {
            let mut topics = self.topics.borrow_mut();
            let slot = &mut topics.all[topic];
            (slot.unread.pop_front()?, slot.name.clone())
        };
        Some(self.log.borrow().read(at, &name, f))
    }

    /// Every kept record in the order of production.
    pub(super) fn for_each(&self, mut f: impl FnMut(ProducedRef<'_>)) {
        let topics = self.topics.borrow();
        let log = self.log.borrow();
        for at in 0..log.len() {
            log.read(at, &topics.all[log.topic(at)].name, &mut f);
        }
    }

    /// Forgets every kept record.
    pub(super) fn clear(&self) {
        self.log.borrow_mut().truncate(0);
        self.completed.set(0);
        for topic in &mut self.topics.borrow_mut().all {
            topic.unread.clear();
        }
    }
}

impl Collector for Capture {
    fn send(&self, record: OutgoingRecord<'_>) -> Result<(), CollectorError> {
        let topic = match record.topic {
            SinkTopic::Static(index) => match self.sinks.get(index.0 as usize) {
                Some(topic) => *topic,
                None => {
                    return Err(CollectorError(
                        format!("sink {} is not of this topology", index.0).into(),
                    ));
                }
            },
            SinkTopic::Dynamic(name) => self.topics.borrow_mut().index(name),
        };
        self.record(topic, &record, Some(record.timestamp), Some(record.headers));
        Ok(())
    }

    fn partition_count(&self, _topic: SinkTopic<'_>) -> Result<i32, CollectorError> {
        Ok(1)
    }
}

impl ChangeLogger for Capture {
    fn log(
        &self,
        store: StoreIndex,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Option<i64>,
        headers: Option<&Headers>,
    ) -> millstream_state::Result<()> {
        let Some(Some(topic)) = self.changelogs.get(store.0 as usize).copied() else {
            return Ok(());
        };
        let mut topics = self.topics.borrow_mut();
        let slot = &mut topics.all[topic];
        match slot.keep.clone() {
            Keep::All => {
                let at = self.log.borrow_mut().push(topic, Some(key), value, timestamp, headers);
                slot.unread.push_back(at);
            }
            Keep::Nothing => {}
            Keep::Call(callback) => {
                let name = slot.name.clone();
                drop(topics);
                if let Ok(mut callback) = callback.try_borrow_mut() {
                    callback(ProducedRef {
                        topic: &name,
                        key: Some(key),
                        value,
                        timestamp,
                        headers,
                    });
                }
            }
        }
        Ok(())
    }
}
