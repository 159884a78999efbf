//! Settings of a driver before it starts.
use std::{sync::Arc, time::Duration};

use millstream_state::StateEngine;

use super::{
    TopologyTestDriver,
    core::{Core, Settings},
    error::Result,
};
use crate::engine::{Handlers, Topology};

/// Builds a [`TopologyTestDriver`]; every setting has a default.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// builder.table_with::<String, i64>("in", Materialized::named("rows")).to_stream().to("out");
/// let topology = builder.build()?;
/// let driver = TopologyTestDriver::builder(&topology)
///     .application_id("shop")
///     .cache_bytes(1 << 20)
///     .initial_wall_clock_ms(1_000)
///     .max_task_idle(millis(100))
///     .emit_interval(seconds(1))
///     .handlers(Handlers::default())
///     .build()?;
/// driver.input("in", StringSerde, I64Serde)?.pipe("a", 1)?;
/// assert_eq!(driver.output("out", StringSerde, OptionSerde::new(I64Serde))?.read_values()?, [Some(1)]);
/// let changelog = driver.produced_to("shop-rows-changelog");
/// assert_eq!(changelog[0].timestamp, Some(1_000), "the wall clock");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct DriverBuilder<'t> {
    topology: &'t Topology,
    settings: Settings,
}

impl<'t> DriverBuilder<'t> {
    pub(super) fn new(topology: &'t Topology) -> Self {
        let settings = Settings {
            application_id: "app".to_owned(),
            cache_bytes: 0,
            wall_clock_ms: 0,
            max_task_idle_ms: 0,
            emit_interval_ms: 0,
            handlers: Arc::default(),
            state: StateEngine::in_memory(),
        };
        Self { topology, settings }
    }

    /// The first part of the names of internal topics. Default: `app`.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("rows"));
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).application_id("shop").build()?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(driver.produced()[0].topic.as_ref(), "shop-rows-changelog");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "application.id")]
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.settings.application_id = id.into();
        self
    }

    /// Size of the record cache in bytes. Default: 0, every update is forwarded at once. As each record is followed by
    /// a commit, a cache joins only the updates that come of one record.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let tens = |n: &i64| (0..*n).collect::<Vec<i64>>();
    /// let counts = builder.stream::<String, i64>("in").flat_map_values(tens).group_by_key().count();
    /// counts.to_stream().to("out");
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).cache_bytes(1 << 20).build()?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 3)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [3], "without a cache: 1, 2, 3");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "statestore.cache.max.bytes")]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.settings.cache_bytes = bytes;
        self
    }

    /// Milliseconds since the epoch that the wall clock shows at first: the time of records that are piped without one.
    /// Default: 0.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).initial_wall_clock_ms(1_700_000_000_000).build()?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(driver.stream_time_ms(), 1_700_000_000_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initial_wall_clock_ms(mut self, now_ms: i64) -> Self {
        self.settings.wall_clock_ms = now_ms;
        self
    }

    /// How long a topic without records holds the others back, by the wall clock; several one after the other, as in Kafka
    /// Streams, in no order that means anything. Default: zero, not at all.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").merge(&builder.stream("other")).to("out");
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).max_task_idle(millis(100)).build()?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// assert!(out.is_empty(), "a record of the other topic may be older");
    /// driver.advance_wall_clock(millis(100))?;
    /// assert_eq!(out.read_values()?, [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "max.task.idle.ms")]
    pub fn max_task_idle(mut self, idle: Duration) -> Self {
        self.settings.max_task_idle_ms = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// The least time, by the wall clock, between two emissions of windows that have closed and of results of outer
    /// joins without a match. Default: zero, so that they are seen at once; a running application takes one second.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let windows = TimeWindows::of(seconds(10));
    /// # let kept = Materialized::named("counts").retention(minutes(1));
    /// let per_window = builder.stream::<String, i64>("in").group_by_key().windowed_by(windows);
    /// let counts = per_window.emit(EmitStrategy::OnWindowClose);
    /// counts.count_with(kept).to_stream().map(|key, n| (key.key.clone(), *n)).to("out");
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).emit_interval(seconds(1)).build()?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// for time in [0, 10_000, 20_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// assert!(out.is_empty(), "two windows are closed, but the clock stands still");
    /// driver.advance_wall_clock(seconds(1))?;
    /// input.at_ms(20_001).pipe("a", 1)?;
    /// assert_eq!(out.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit_interval(mut self, interval: Duration) -> Self {
        self.settings.emit_interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// What happens with records that cannot be read, processed or sent. Default: the driver's call fails.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let topology = builder.build()?;
    /// let handlers = Handlers { deserialization: std::sync::Arc::new(LogAndContinue), ..Handlers::default() };
    /// let driver = TopologyTestDriver::builder(&topology).handlers(handlers).build()?;
    /// let text = driver.input("in", StringSerde, StringSerde)?;
    /// text.pipe("a", "no number")?; // an error with the default handlers
    /// assert_eq!(driver.dropped_records(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handlers(mut self, handlers: Handlers) -> Self {
        self.settings.handlers = Arc::new(handlers);
        self
    }

    /// Where stores live. Default: in memory.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_state::{MemoryDisk, StateEngine};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table_with::<String, i64>("in", Materialized::named("rows"));
    /// # let topology = builder.build()?;
    /// let disk = MemoryDisk::new("instance-1"); // outlives the drivers: what does a restart find?
    /// let start = || TopologyTestDriver::builder(&topology).state(StateEngine::on_memory_disk(&disk)).build();
    /// let driver = start()?;
    /// driver.input("in", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// driver.state()?; // commits
    /// driver.close()?;
    /// assert_eq!(start()?.key_value_store("rows", StringSerde, I64Serde)?.get(&"a".into())?, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn state(mut self, engine: StateEngine) -> Self {
        self.settings.state = engine;
        self
    }

    /// Starts the topology: opens stores, initializes processors.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").map_values(|n| n * 2).to("out");
    /// # let topology = builder.build()?;
    /// let driver = TopologyTestDriver::builder(&topology).build()?;
    /// driver.input("in", StringSerde, I64Serde)?.pipe("a", 21)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [42]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When a store cannot be opened or a processor refuses to start.
    pub fn build(self) -> Result<TopologyTestDriver> {
        Ok(TopologyTestDriver {
            core: Core::start(self.topology, self.settings)?.into(),
        })
    }
}
