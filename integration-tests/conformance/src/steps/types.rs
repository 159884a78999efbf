//! What steps can do depends on the type of key and value; these traits say it for each type.
use millstream_dsl::{
    grouped::{CogroupedKStream, KGroupedStream, SessionWindowedKStream, TimeWindowedKStream},
    options::{BufferConfig, Materialized, Strict, Suppressed},
    stream::KStream,
    table::KTable,
    window::Windowed,
};

use super::{BuildFailure, Outcome, grouped::some, windows};
use crate::{
    arguments::Args,
    functions::Fold,
    like::Like,
    value::{Dyn, FunctionFailed},
};

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
    /// `reduce`, plain, in windows of time and in sessions.
    fn reduce<K: Key>(
        grouped: &KGroupedStream<K, Self>,
        fold: Fold,
        made: Materialized<K, Self::Row>,
    ) -> KTable<K, Self::Row>;
    fn reduce_in_windows(
        windowed: &TimeWindowedKStream<Dyn, Self>,
        fold: Fold,
        made: Materialized<Dyn, Self::Row>,
    ) -> KTable<Windowed<Dyn>, Self::Row>;
    fn reduce_in_sessions(
        windowed: &SessionWindowedKStream<Dyn, Self>,
        fold: Fold,
        made: Materialized<Dyn, Self::Row>,
    ) -> KTable<Windowed<Dyn>, Self::Row>;
    /// A table of such values as an outcome.
    fn table<K: Key>(table: KTable<K, Self>) -> Result<Outcome, BuildFailure>;
}

/// A type that rows of tables have: never null.
pub(crate) trait Row: Value {}

impl Row for Dyn {}
impl Row for i64 {}

fn reduced<T: Like>(fold: &Fold, agg: &T, next: &T) -> Result<Option<T>, FunctionFailed> {
    some(fold.apply(&agg.to_dyn(), &next.to_dyn())?)
}
fn reduced_opt<T: Like>(fold: &Fold, agg: &T, next: Option<&T>) -> Result<Option<T>, FunctionFailed> {
    some(fold.apply(&agg.to_dyn(), &next.map_or(Dyn::Null, T::to_dyn))?)
}

macro_rules! rows {
    ($($row:ty),*) => {$(
        impl Value for $row {
            type Row = $row;
            fn to_table<K: Key>(stream: &KStream<K, Self>, materialized: Materialized<K, Self>) -> KTable<K, Self> {
                stream.to_table_with(materialized)
            }
            fn reduce<K: Key>(grouped: &KGroupedStream<K, Self>, fold: Fold, made: Materialized<K, Self>) -> KTable<K, Self> {
                grouped.try_reduce_with(move |agg: Self, v: &Self| reduced(&fold, &agg, v), made)
            }
            fn reduce_in_windows(windowed: &TimeWindowedKStream<Dyn, Self>, fold: Fold, made: Materialized<Dyn, Self>) -> KTable<Windowed<Dyn>, Self> {
                windowed.try_reduce_with(move |agg: Self, v: &Self| reduced(&fold, &agg, v), made)
            }
            fn reduce_in_sessions(windowed: &SessionWindowedKStream<Dyn, Self>, fold: Fold, made: Materialized<Dyn, Self>) -> KTable<Windowed<Dyn>, Self> {
                windowed.try_reduce_with(move |agg: Self, v: &Self| reduced(&fold, &agg, v), made)
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
    fn reduce<K: Key>(grouped: &KGroupedStream<K, Self>, fold: Fold, made: Materialized<K, T>) -> KTable<K, T> {
        grouped.try_reduce_opt_with(move |agg: T, v: &T| reduced(&fold, &agg, v), made)
    }
    fn reduce_in_windows(
        windowed: &TimeWindowedKStream<Dyn, Self>,
        fold: Fold,
        made: Materialized<Dyn, T>,
    ) -> KTable<Windowed<Dyn>, T> {
        windowed.try_reduce_opt_with(move |agg: T, v: Option<&T>| reduced_opt(&fold, &agg, v), made)
    }
    fn reduce_in_sessions(
        windowed: &SessionWindowedKStream<Dyn, Self>,
        fold: Fold,
        made: Materialized<Dyn, T>,
    ) -> KTable<Windowed<Dyn>, T> {
        windowed.try_reduce_opt_with(move |agg: T, v: Option<&T>| reduced_opt(&fold, &agg, v), made)
    }
    fn table<K: Key>(_: KTable<K, Self>) -> Result<Outcome, BuildFailure> {
        Err(BuildFailure::Unsupported("a table of optional values".into()))
    }
}
