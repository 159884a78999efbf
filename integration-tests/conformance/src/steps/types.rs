//! What steps can do depends on the type of key and value; these traits say it for each type.
use millstream_dsl::{
    grouped::{CogroupedKStream, KGroupedStream},
    options::{BufferConfig, Materialized, Strict, Suppressed},
    stream::KStream,
    table::KTable,
    window::Windowed,
};

use super::{BuildFailure, Outcome, windows};
use crate::{arguments::Args, like::Like, value::Dyn};

/// A type that keys have.
pub(crate) trait Key: Like {
    /// `windowedBy` on a grouped stream of such keys.
    fn windowed_by<V: Value>(grouped: &KGroupedStream<Self, V>, a: Args<'_>) -> Result<Outcome, BuildFailure>;
    /// `windowedBy` on several grouped streams of such keys.
    fn cogrouped_windowed_by(grouped: &CogroupedKStream<Self, Dyn>, a: Args<'_>) -> Result<Outcome, BuildFailure>;
    /// `until-window-closes`.
    fn until_window_closes(buffer: BufferConfig<Strict>) -> Result<Suppressed<Self>, BuildFailure>;
}

impl Key for Dyn {
    fn windowed_by<V: Value>(grouped: &KGroupedStream<Self, V>, a: Args<'_>) -> Result<Outcome, BuildFailure> {
        windows::cut!(grouped, a)
    }
    fn cogrouped_windowed_by(grouped: &CogroupedKStream<Self, Dyn>, a: Args<'_>) -> Result<Outcome, BuildFailure> {
        windows::cut!(grouped, a)
    }
    fn until_window_closes(_: BufferConfig<Strict>) -> Result<Suppressed<Self>, BuildFailure> {
        Err(BuildFailure::Refused {
            // It does not compile; a test of the DSL shows that.
            category: "invalid-topology",
            message: "windows close only for windowed keys".into(),
        })
    }
}

impl Key for Windowed<Dyn> {
    fn windowed_by<V: Value>(_: &KGroupedStream<Self, V>, _: Args<'_>) -> Result<Outcome, BuildFailure> {
        Err(BuildFailure::Unsupported("windows of windowed keys".into()))
    }
    fn cogrouped_windowed_by(_: &CogroupedKStream<Self, Dyn>, _: Args<'_>) -> Result<Outcome, BuildFailure> {
        Err(BuildFailure::Unsupported("windows of windowed keys".into()))
    }
    fn until_window_closes(buffer: BufferConfig<Strict>) -> Result<Suppressed<Self>, BuildFailure> {
        Ok(Suppressed::until_window_closes(buffer))
    }
}

/// A type that values have.
pub(crate) trait Value: Like {
    /// What a table of the stream's rows has as value.
    type Row: Row;
    /// `toTable`.
    fn to_table<K: Key>(stream: &KStream<K, Self>, materialized: Materialized<K, Self::Row>) -> KTable<K, Self::Row>;
    /// A table of such values as an outcome.
    fn table<K: Key>(table: KTable<K, Self>) -> Result<Outcome, BuildFailure>;
}

/// A type that rows of tables have: never null.
pub(crate) trait Row: Value {}

impl Row for Dyn {}
impl Row for i64 {}

macro_rules! rows {
    ($($row:ty),*) => {$(
        impl Value for $row {
            type Row = $row;
            fn to_table<K: Key>(stream: &KStream<K, Self>, materialized: Materialized<K, Self>) -> KTable<K, Self> {
                stream.to_table_with(materialized)
            }
            fn table<K: Key>(table: KTable<K, Self>) -> Result<Outcome, BuildFailure> {
                Ok(Outcome::one(table))
            }
        }
    )*};
}
rows!(Dyn, i64);

impl<T: Row> Value for Option<T> {
    type Row = T;
    fn to_table<K: Key>(stream: &KStream<K, Self>, materialized: Materialized<K, T>) -> KTable<K, T> {
        stream.to_table_opt_with(materialized)
    }
    fn table<K: Key>(_: KTable<K, Self>) -> Result<Outcome, BuildFailure> {
        Err(BuildFailure::Unsupported("a table of optional values".into()))
    }
}
