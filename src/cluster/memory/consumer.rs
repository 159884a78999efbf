//! The reading client: positions of assigned partitions, fetched when asked.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    super::{Consumer, ErrorClass, Fetched, Isolation, RecordBatch, Result, StartOffset, TopicPartition, Waker},
    broker::Broker,
    dispatch::{MemoryCluster, Request, RequestKind},
    errors::Code,
    log::Read,
};

pub(super) struct MemoryConsumer {
    cluster: MemoryCluster,
    number: u64,
    isolation: Isolation,
    waker: Arc<dyn Waker>,
    assigned: FxHashMap<TopicPartition, Position>,
}

struct Position {
    next: StartOffset,
    /// The end that the last read came to.
    met_end: Option<i64>,
    /// The end that was reported last: it is reported once, like PARTITION_EOF.
    reported_end: Option<i64>,
}

impl Position {
    fn new(next: StartOffset) -> Self {
        Self {
            next,
            met_end: None,
            reported_end: None,
        }
    }

    /// The end that the last read came to and nobody has heard of.
    fn unreported_end(&self) -> Option<i64> {
        self.met_end.filter(|end| self.reported_end != Some(*end))
    }
}

impl MemoryConsumer {
    pub(super) fn new(cluster: MemoryCluster, isolation: Isolation, waker: Arc<dyn Waker>) -> Self {
        MemoryConsumer {
            number: cluster.client_number(),
            cluster,
            isolation,
            waker,
            assigned: FxHashMap::default(),
        }
    }
}

struct Watch<'a> {
    consumer: &'a MemoryConsumer,
    partition: &'a TopicPartition,
}

impl Request for Watch<'_> {
    type Answer = ();
    const KIND: RequestKind = RequestKind::Fetch;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<()> {
        let Watch { consumer, partition } = self;
        broker.watch(consumer.number, partition, consumer.isolation, &consumer.waker);
        Ok(())
    }
}

struct Unwatch<'a> {
    number: u64,
    partitions: Vec<&'a TopicPartition>,
}

impl Request for Unwatch<'_> {
    type Answer = ();
    const KIND: RequestKind = RequestKind::Fetch;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<()> {
        for partition in self.partitions {
            broker.unwatch(self.number, partition);
        }
        Ok(())
    }
}

struct Fetch<'a> {
    number: u64,
    isolation: Isolation,
    partition: &'a TopicPartition,
    from: StartOffset,
    max_records: usize,
}

impl Request for Fetch<'_> {
    type Answer = Read;
    const KIND: RequestKind = RequestKind::Fetch;

    fn apply(self, broker: &mut Broker, _now_ms: i64) -> Result<Read> {
        let log = broker.topics.log(self.partition)?;
        let from = match self.from {
            StartOffset::At(offset) => offset,
            StartOffset::Earliest => log.start_offset(),
            StartOffset::Latest => log.end_offset(self.isolation),
        };
        let read = log.read(from, self.max_records, self.isolation).map_err(|mut error| {
            error.message = format!(
                "{}-{}: {}",
                self.partition.topic, self.partition.partition, error.message
            );
            error.partition = Some(self.partition.clone());
            error
        })?;
        if read.at_end {
            broker.wait_for_growth(self.number, self.partition);
        }
        Ok(read)
    }
}

impl Consumer for MemoryConsumer {
    fn assign(&mut self, partition: &TopicPartition, start: StartOffset) -> Result<()> {
        // Who watches what is a matter of this process: it does not travel.
        self.cluster.apply(Watch {
            consumer: self,
            partition,
        })?;
        self.assigned.insert(partition.clone(), Position::new(start));
        // What is there already arrives now: a caller that sleeps until it is woken must not miss it.
        self.waker.wake();
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) {
        if self.assigned.remove(partition).is_some() {
            // Taking a watcher off cannot fail.
            let _never = self.cluster.apply(Unwatch {
                number: self.number,
                partitions: vec![partition],
            });
        }
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let Some(position) = self.assigned.get_mut(partition) else {
            return Err(not_assigned(partition));
        };
        *position = Position::new(StartOffset::At(offset));
        self.waker.wake();
        Ok(())
    }

    fn fetch(&mut self, partition: &TopicPartition, max_records: usize) -> Result<Fetched> {
        let Some(position) = self.assigned.get_mut(partition) else {
            return Ok(Fetched::Nothing);
        };
        let max_records = self
            .cluster
            .network()
            .map_or(max_records, |network| network.fetch_limit(max_records));
        let read = match self.cluster.dispatch(Fetch {
            number: self.number,
            isolation: self.isolation,
            partition,
            from: position.next,
            max_records: max_records.max(1),
        }) {
            // A fetch that got no answer is made again.
            Err(e) if e.class == ErrorClass::Retry => return Ok(Fetched::Nothing),
            other => other?,
        };
        if let Some(end) = position.unreported_end().filter(|end| *end < read.position)
            && self
                .cluster
                .network()
                .is_some_and(|network| network.fetches_former_end())
        {
            position.reported_end = Some(end);
            // The records arrive in a moment.
            self.waker.wake();
            return Ok(Fetched::End { position: end });
        }
        position.next = StartOffset::At(read.position);
        position.met_end = read.at_end.then_some(read.position);
        if !read.records.is_empty() {
            return Ok(Fetched::Records(Box::new(read.records)));
        }
        if read.at_end && position.reported_end != Some(read.position) {
            position.reported_end = Some(read.position);
            return Ok(Fetched::End {
                position: read.position,
            });
        }
        Ok(Fetched::Nothing)
    }

    fn serve(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        let partitions = self.assigned.keys().collect();
        let _never = self.cluster.apply(Unwatch {
            number: self.number,
            partitions,
        });
    }
}

fn not_assigned(partition: &TopicPartition) -> super::super::ClusterError {
    Code::InvalidRequest.on(
        partition,
        format!(
            "{}-{} is not assigned to this consumer",
            partition.topic, partition.partition
        ),
    )
}
