//! Clients as scenarios use them: every polled step driven to its end, every wait with a limit.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use millstream::{
    cluster::{
        Admin, Cluster, ClusterError, Consumer, ConsumerConfig, ErrorClass, Fetched, GroupClient, GroupRequest,
        GroupResponse, Isolation, Producer, ProducerConfig, ProducerRecord, RecordBatch, Result, Sent, StartOffset,
        Step, TopicInfo, TopicPartition, Waker,
    },
    dsl::engine::RawHeaders,
};

/// Long enough for a loaded machine; a scenario that works never waits this long.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Counts how often it was woken.
#[derive(Default)]
pub(super) struct Wakes(AtomicU64);

impl Waker for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A time-out of the scenario itself.
pub(super) fn too_late(what: &str) -> ClusterError {
    ClusterError {
        class: ErrorClass::Fatal,
        code: -185,
        message: format!("{what}: not within {LIMIT:?}"),
        partition: None,
    }
}

/// Asks until there is an answer.
pub(super) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > LIMIT {
            return Err(too_late(what));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Drives a polled step to its end; `Retry` means what it says.
pub(super) fn finish<T>(what: &str, mut step: impl FnMut() -> Result<Step<T>>) -> Result<T> {
    eventually(what, || match step() {
        Ok(Step::Done(value)) => Ok(Some(value)),
        Ok(Step::Pending) => Ok(None),
        Err(error) if error.class == ErrorClass::Retry => Ok(None),
        Err(error) => Err(error),
    })
}

pub(super) fn admin(cluster: &dyn Cluster) -> Result<Box<dyn Admin>> {
    cluster.admin("behaviour")
}

/// Creates topics and waits until everybody can see them.
pub(super) fn create(cluster: &dyn Cluster, topics: &[(String, i32)]) -> Result<()> {
    let mut admin = admin(cluster)?;
    let info = |(name, partitions): &(String, i32)| TopicInfo {
        name: name.clone(),
        partitions: *partitions,
        replication_factor: -1,
        configs: Vec::new(),
    };
    admin.create_topics(&topics.iter().map(info).collect::<Vec<_>>(), LIMIT)?;
    let names: Vec<String> = topics.iter().map(|(name, _)| name.clone()).collect();
    eventually("topics to be created", || {
        let counts = admin.partition_counts(&names, LIMIT)?;
        Ok((counts.len() == names.len()).then_some(()))
    })
}

pub(super) fn producer(cluster: &dyn Cluster) -> Result<Box<dyn Producer>> {
    let config = ProducerConfig {
        client_id: "behaviour".into(),
        transactional_id: None,
        transaction_timeout: LIMIT,
    };
    cluster.producer(&config, Arc::new(Wakes::default()))
}

/// A transactional producer that has been initialised.
pub(super) fn transactional(cluster: &dyn Cluster, id: &str, timeout: Duration) -> Result<Box<dyn Producer>> {
    let config = ProducerConfig {
        client_id: "behaviour".into(),
        transactional_id: Some(id.into()),
        transaction_timeout: timeout,
    };
    let mut producer = cluster.producer(&config, Arc::new(Wakes::default()))?;
    finish("init_transactions", || producer.poll_init_transactions())?;
    Ok(producer)
}

/// Sends one record; does not wait for it.
pub(super) fn send(producer: &mut dyn Producer, to: &TopicPartition, key: &str, value: &str) -> Result<()> {
    let topic = producer.topic(&to.topic)?;
    let record = ProducerRecord {
        topic,
        partition: to.partition,
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        timestamp: Some(1),
        headers: None,
    };
    send_record(producer, &record)
}

pub(super) fn send_record(producer: &mut dyn Producer, record: &ProducerRecord<'_>) -> Result<()> {
    eventually("room in the producer", || match producer.send(record)? {
        Sent::Queued => Ok(Some(())),
        Sent::Full => producer.serve().map(|()| None),
    })
}

pub(super) fn flush(producer: &mut dyn Producer) -> Result<()> {
    finish("flush", || producer.poll_flush())
}

/// Sends values one by one, key = value, and waits until they are acknowledged.
pub(super) fn produce(cluster: &dyn Cluster, to: &TopicPartition, values: &[&str]) -> Result<()> {
    let mut producer = producer(cluster)?;
    for value in values {
        send(&mut *producer, to, value, value)?;
    }
    flush(&mut *producer)
}

pub(super) fn consumer(cluster: &dyn Cluster, isolation: Isolation) -> Result<Box<dyn Consumer>> {
    consumer_waking(cluster, isolation, Arc::new(Wakes::default()))
}

pub(super) fn consumer_waking(
    cluster: &dyn Cluster,
    isolation: Isolation,
    waker: Arc<Wakes>,
) -> Result<Box<dyn Consumer>> {
    let config = ConsumerConfig {
        client_id: "behaviour".into(),
        isolation,
    };
    cluster.consumer(&config, waker)
}

/// A record as it was read, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

fn copy(batch: &dyn RecordBatch, into: &mut Vec<Seen>) {
    for index in 0..batch.len() {
        let record = batch.get(index);
        let mut headers = Vec::new();
        if let RawHeaders::Lazy(source) = record.headers {
            let decoded = Default::default();
            source.read_into(&decoded);
            decoded.for_each(|key, value| headers.push((key.to_owned(), value.map(<[u8]>::to_vec))));
        }
        into.push(Seen {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers,
        });
    }
}

/// Everything from the position of an assigned partition to its end, and that end.
pub(super) fn drain(consumer: &mut dyn Consumer, partition: &TopicPartition) -> Result<(Vec<Seen>, i64)> {
    let mut seen = Vec::new();
    let end = eventually("the end of a partition", || {
        consumer.serve()?;
        loop {
            match consumer.fetch(partition, 1_000)? {
                Fetched::Records(batch) => copy(&*batch, &mut seen),
                Fetched::End { position } => return Ok(Some(position)),
                Fetched::Nothing => return Ok(None),
            }
        }
    })?;
    Ok((seen, end))
}

/// Everything an isolation level may see of a partition, and where that ends.
pub(super) fn read_all(
    cluster: &dyn Cluster,
    isolation: Isolation,
    partition: &TopicPartition,
) -> Result<(Vec<Seen>, i64)> {
    let mut consumer = consumer(cluster, isolation)?;
    consumer.assign(partition, StartOffset::Earliest)?;
    drain(&mut *consumer, partition)
}

pub(super) fn texts(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(Seen::text).collect()
}

/// Start and both ends of a partition: (first, last stable, high watermark).
pub(super) fn ends(cluster: &dyn Cluster, partition: &TopicPartition) -> Result<(i64, i64, i64)> {
    let mut admin = admin(cluster)?;
    let of = |admin: &mut dyn Admin, isolation| -> Result<(i64, i64)> {
        let answer = admin.offsets(std::slice::from_ref(partition), isolation, LIMIT)?;
        answer
            .first()
            .copied()
            .ok_or_else(|| too_late("an answer for the partition"))
    };
    let (start, stable) = of(&mut *admin, Isolation::ReadCommitted)?;
    let (_, end) = of(&mut *admin, Isolation::ReadUncommitted)?;
    Ok((start, stable, end))
}

/// Waits until the partition ends at `end` with no transaction open: markers are written after the answer.
pub(super) fn settled(cluster: &dyn Cluster, partition: &TopicPartition, end: i64) -> Result<()> {
    eventually(
        &format!("{}-{} to end at {end}", partition.topic, partition.partition),
        || {
            let (_, stable, high) = ends(cluster, partition)?;
            Ok((stable == end && high == end).then_some(()))
        },
    )
}

/// One request and its answer, whatever it is.
pub(super) fn ask_once(client: &mut dyn GroupClient, request: GroupRequest) -> Result<GroupResponse> {
    let id = client.send(request);
    eventually("an answer of the coordinator", || {
        Ok(client.poll().filter(|(answered, _)| *answered == id))
    })?
    .1
}

/// One request, repeated while the answer is `Retry` (the coordinator is being found, or is loading).
pub(super) fn ask(client: &mut dyn GroupClient, request: &GroupRequest) -> Result<GroupResponse> {
    eventually("an answer that is not Retry", || {
        match ask_once(client, request.clone()) {
            Err(error) if error.class == ErrorClass::Retry => Ok(None),
            other => other.map(Some),
        }
    })
}
