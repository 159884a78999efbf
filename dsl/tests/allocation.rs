//! A chain of stateless operators allocates nothing per record: counted by the allocator itself.
use std::{cell::Cell, error::Error, rc::Rc, sync::Arc};

use millstream_dsl::{
    engine::{
        Collector, CollectorError, OutgoingRecord, RawHeaders, RawRecord, SinkTopic, SourceIndex, TaskEnvironment,
    },
    prelude::*,
};
use millstream_state::{ChangeLogger, StateEngine, StoreIndex, TaskState};

#[derive(Default)]
struct Counter(Cell<u64>);
impl Collector for Counter {
    fn send(&self, _: OutgoingRecord<'_>) -> Result<(), CollectorError> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
    fn partition_count(&self, _: SinkTopic<'_>) -> Result<i32, CollectorError> {
        Ok(1)
    }
}
struct NoLog;
impl ChangeLogger for NoLog {
    fn log(
        &self,
        _: StoreIndex,
        _: &[u8],
        _: Option<&[u8]>,
        _: Option<i64>,
        _: Option<&Headers>,
    ) -> millstream_state::Result<()> {
        Ok(())
    }
}

fn allocations_per_thousand(topology: &Topology) -> Result<(u64, u64), Box<dyn Error>> {
    let collector = Rc::new(Counter::default());
    let database = StateEngine::in_memory().open_task("0_0", &[])?;
    let graph = topology.build_task(
        0,
        TaskEnvironment {
            application_id: "app".into(),
            task_id: "0_0".into(),
            partition: 0,
            collector: collector.clone(),
            state: TaskState::new(database, Rc::new(NoLog), 0),
            handlers: Arc::new(Handlers::default()),
            wall_clock_ms: 0,
        },
    )?;
    let one = |number: i64| {
        let (key, value) = (number.to_be_bytes(), number.to_be_bytes());
        let record = RawRecord {
            topic: None,
            key: Some(&key),
            value: Some(&value),
            timestamp: number,
            offset: number,
            headers: RawHeaders::None,
        };
        let time = graph.extract_timestamp(SourceIndex(0), &record, number - 1)?;
        graph.process(SourceIndex(0), record, time)
    };
    // The first records grow the reused buffers.
    (0..10).try_for_each(one)?;
    let mut result = Ok(());
    let allocated = allocation_counter::measure(|| result = (10..1_010).try_for_each(one));
    result?;
    Ok((allocated.count_total, collector.0.get()))
}

#[test]
fn filter_map_values_and_sink_allocate_nothing() -> Result<(), Box<dyn Error>> {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<i64, i64>("in");
    let kept = stream
        .filter(|_, v| v % 2 == 0)
        .map_values(|v| v * 3)
        .map(|k, v| (k + 1, *v));
    kept.peek(|_, _| ())
        .try_filter(|_, v| Ok::<_, BoxError>(*v >= 0))
        .to("out");
    kept.select_key(|_, v| *v).to("also");
    assert_eq!(allocations_per_thousand(&builder.build()?)?, (0, 1_010));
    Ok(())
}

#[test]
fn the_counter_counts() -> Result<(), Box<dyn Error>> {
    let builder = StreamsBuilder::new();
    builder.stream::<i64, i64>("in").map_values(|v| v.to_string()).to("out");
    let (allocations, sent) = allocations_per_thousand(&builder.build()?)?;
    assert_eq!(sent, 1_010);
    assert!(allocations >= 1_000, "{allocations}");
    Ok(())
}
