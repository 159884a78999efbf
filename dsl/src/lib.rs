//! The DSL: builder, operators, windows, serdes, processor API and the immutable `Topology`.
//! Knows stores and the names of topics, but no broker.
pub mod driver;
pub mod engine;
pub mod grouped;
#[doc(hidden)]
pub mod mutants;
pub mod operators;
pub mod options;
pub mod processor;
pub mod serde;
pub mod store;
pub mod stream;
pub mod table;
#[doc(hidden)]
pub mod testing;
pub mod topology;
pub mod window;

/// What most topologies need.
pub mod prelude {
    pub use crate::{
        engine::{BoxError, Handlers, LogAndContinue, LogAndFail, OffsetReset, PunctuationType, Record},
        grouped::{CogroupedKStream, KGroupedStream, KGroupedTable, SessionWindowedKStream, TimeWindowedKStream},
        operators::{Branches, Processing},
        options::{BufferConfig, Grouped, Joined, Materialized, StreamJoined, Suppressed, TableJoined},
        processor::{
            FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor, ProcessorContext, Punctuation, Schedule,
            TransformContext, ValueTransformer,
        },
        serde::{BytesSerde, DefaultSerde, F64Serde, I32Serde, I64Serde, OptionSerde, Serde, StringSerde, json},
        store::{
            AggregationWithHeaders, KeyValueStore, SessionStore, SessionStoreWithHeaders, Store,
            TimestampedKeyValueStore, TimestampedKeyValueStoreWithHeaders, TimestampedWindowStore,
            TimestampedWindowStoreWithHeaders, ValueAndTimestamp, ValueTimestampHeaders, VersionedKeyValueStore,
            WindowStore,
        },
        stream::{Consumed, KStream, Named, Partitioner, Produced, Repartitioned, StreamsBuilder, TimestampExtractor},
        table::{GlobalKTable, KTable},
        topology::{BuildError, Optimizations, Topology, TopologyConfig},
        window::{
            EmitStrategy, JoinWindows, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, Window, Windowed,
            days, hours, millis, minutes, seconds,
        },
    };
    pub use millstream_state::Headers;
}
