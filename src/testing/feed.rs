//! The outside world: writes the input while the application runs, some of it in transactions that are aborted.

use std::sync::Arc;

use super::{random::Random, report::SeenRecord, simulator::Input};
use crate::{
    cluster::{Cluster, Producer, ProducerConfig, ProducerRecord, Result, Step, Waker, memory::MemoryCluster},
    task::partition_of,
};

/// Nobody sleeps, nobody is woken.
pub(super) struct Awake;

impl Waker for Awake {
    fn wake(&self) {}
}

pub(super) struct Feed {
    plain: Box<dyn Producer>,
    aborting: Box<dyn Producer>,
    /// Last first: when, and what.
    ahead: Vec<(u64, Input)>,
    aborts_per_mille: u32,
}

impl Feed {
    pub(super) fn new(
        cluster: &MemoryCluster,
        input: &[Input],
        lasting_us: u64,
        aborts_per_mille: u32,
        random: &mut Random,
    ) -> Result<Self> {
        let config = |transactional_id: Option<&str>| ProducerConfig {
            client_id: "feed".into(),
            transactional_id: transactional_id.map(str::to_owned),
            transaction_timeout: std::time::Duration::from_secs(60),
        };
        let mut aborting = cluster.producer(&config(Some("feed-aborting")), Arc::new(Awake))?;
        let _at_once: Step<()> = aborting.poll_init_transactions()?;
        let mut times: Vec<u64> = input.iter().map(|_| random.between(0, lasting_us)).collect();
        times.sort_unstable();
        let ahead = times.into_iter().zip(input.iter().cloned()).rev().collect();
        Ok(Self {
            plain: cluster.producer(&config(None), Arc::new(Awake))?,
            aborting,
            ahead,
            aborts_per_mille,
        })
    }

    pub(super) fn next_us(&self) -> u64 {
        self.ahead.last().map_or(u64::MAX, |(at, _)| *at)
    }

    /// Writes what is due; gives these records, and how many more were written and aborted.
    pub(super) fn write_due(&mut self, now_us: u64, random: &mut Random) -> Result<(Vec<SeenRecord>, u64)> {
        let (mut written, mut aborted) = (Vec::new(), 0);
        while self.next_us() <= now_us {
            let Some((_, input)) = self.ahead.pop() else { break };
            if random.chance(self.aborts_per_mille) {
                self.aborting.begin_transaction()?;
                send(self.aborting.as_mut(), &input)?;
                let _at_once: Step<()> = self.aborting.poll_flush()?;
                let _at_once: Step<()> = self.aborting.poll_abort()?;
                aborted += 1;
            }
            let partition = send(self.plain.as_mut(), &input)?;
            written.push(SeenRecord {
                topic: input.topic,
                partition,
                offset: -1,
                timestamp: input.timestamp.unwrap_or(-1),
                key: input.key,
                value: input.value,
            });
        }
        self.plain.serve()?;
        Ok((written, aborted))
    }
}

/// Gives the partition.
fn send(producer: &mut dyn Producer, input: &Input) -> Result<i32> {
    let topic = producer.topic(&input.topic)?;
    let partitions = producer.partition_count(topic)?;
    let partition = input.key.as_deref().map_or(0, |key| partition_of(key, partitions));
    producer.send(&ProducerRecord {
        topic,
        partition,
        key: input.key.as_deref(),
        value: input.value.as_deref(),
        timestamp: input.timestamp,
        headers: None,
    })?;
    Ok(partition)
}
