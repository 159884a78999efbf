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
    #[doc(alias = "application.id")]
    pub fn application_id(mut self, id: impl Into<String>) -> Self {
        self.settings.application_id = id.into();
        self
    }

    /// Size of the record cache in bytes. Default: 0, every update is forwarded at once.
    #[doc(alias = "statestore.cache.max.bytes")]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.settings.cache_bytes = bytes;
        self
    }

    /// Milliseconds since the epoch that the wall clock shows at first. Default: 0.
    pub fn initial_wall_clock_ms(mut self, now_ms: i64) -> Self {
        self.settings.wall_clock_ms = now_ms;
        self
    }

    /// How long a topic without records holds the others back, by the wall clock; several one after the other, as in Kafka
    /// Streams, in no order that means anything. Default: zero, not at all.
    #[doc(alias = "max.task.idle.ms")]
    pub fn max_task_idle(mut self, idle: Duration) -> Self {
        self.settings.max_task_idle_ms = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// The least time, by the wall clock, between two emissions of windows that have closed and of results of outer
    /// joins without a match. Default: zero, so that they are seen at once; a running application takes one second.
    pub fn emit_interval(mut self, interval: Duration) -> Self {
        self.settings.emit_interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// What happens with records that cannot be read, processed or sent. Default: the driver's call fails.
    pub fn handlers(mut self, handlers: Handlers) -> Self {
        self.settings.handlers = Arc::new(handlers);
        self
    }

    /// Where stores live. Default: in memory.
    pub fn state(mut self, engine: StateEngine) -> Self {
        self.settings.state = engine;
        self
    }

    /// Starts the topology: opens stores, initializes processors.
    ///
    /// # Errors
    /// When a store cannot be opened or a processor refuses to start.
    pub fn build(self) -> Result<TopologyTestDriver> {
        Ok(TopologyTestDriver {
            core: Core::start(self.topology, self.settings)?.into(),
        })
    }
}
