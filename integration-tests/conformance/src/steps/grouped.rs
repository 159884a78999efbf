//! Steps on grouped and windowed streams.
use std::any::Any;

use millstream_dsl::grouped::{KGroupedStream, KGroupedTable, SessionWindowedKStream, TimeWindowedKStream};

use super::{
    BuildFailure, Handle, Maker, Outcome,
    types::{Key, Value},
    unsupported,
};
use crate::{
    arguments::Args,
    functions::{Fold, initializer},
    like::Like,
    value::{Dyn, FunctionFailed},
};

pub(crate) const AGGREGATE: &str = "KSTREAM-AGGREGATE-";
pub(crate) const REDUCE: &str = "KSTREAM-REDUCE-";
const KNOWN: [&str; 11] = [
    "id",
    "op",
    "from",
    "store",
    "name",
    "agg",
    "init",
    "key_serde",
    "value_serde",
    "emit",
    "merger",
];

/// Null as the DSL sees it: none.
pub(crate) fn some<T: Like>(value: Dyn) -> Result<Option<T>, FunctionFailed> {
    if value.is_null() {
        return Ok(None);
    }
    T::from_dyn(value)
        .map(Some)
        .ok_or_else(|| FunctionFailed("a value of another type".into()))
}

/// The functions of an aggregation step.
pub(crate) struct Aggregation {
    pub(crate) initial: Dyn,
    pub(crate) fold: Fold,
}

pub(crate) fn aggregation(a: Args<'_>) -> Result<Aggregation, String> {
    Ok(Aggregation {
        initial: initializer(a.text_or("init", "empty"))?,
        fold: Fold::parse(a.text_or("agg", "concat"))?,
    })
}

impl<K: Key, V: Value> Handle for KGroupedStream<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
        let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
        match a.text_or("op", "") {
            "windowedBy" => K::windowed_by(self, a),
            "cogroup" => super::cogrouped::start(self, a),
            "count" => {
                a.only(&KNOWN)?;
                let made = maker.materialized::<K, i64>(a, AGGREGATE, key, "long")?;
                Ok(Outcome::one(self.count_with(made)))
            }
            "reduce" => {
                a.only(&KNOWN)?;
                let made = maker.materialized::<K, V::Row>(a, REDUCE, key, value)?;
                Ok(Outcome::one(V::reduce(self, Fold::parse(a.need("agg")?)?, made)))
            }
            "aggregate" => {
                a.only(&KNOWN)?;
                let made = maker.materialized::<K, Dyn>(a, AGGREGATE, key, value)?;
                let Aggregation { initial, fold } = aggregation(a)?;
                let f = move |_: &K, v: &V, agg: Dyn| some::<Dyn>(fold.apply(&agg, &v.to_dyn())?);
                Ok(Outcome::one(self.try_aggregate_with(move || initial.clone(), f, made)))
            }
            _ => Err(unsupported(a)),
        }
    }
}

impl<V: Value> Handle for TimeWindowedKStream<Dyn, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
        a.only(&KNOWN)?;
        let windowed = self.clone().emit(super::windows::strategy(a)?);
        let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
        match a.text_or("op", "") {
            "count" => {
                let made = maker.materialized::<Dyn, i64>(a, AGGREGATE, key, "long")?;
                Ok(Outcome::one(windowed.count_with(made)))
            }
            "reduce" => {
                let made = maker.materialized::<Dyn, V::Row>(a, REDUCE, key, value)?;
                Ok(Outcome::one(V::reduce_in_windows(
                    &windowed,
                    Fold::parse(a.need("agg")?)?,
                    made,
                )))
            }
            "aggregate" => {
                let made = maker.materialized::<Dyn, Dyn>(a, AGGREGATE, key, value)?;
                let Aggregation { initial, fold } = aggregation(a)?;
                let f = move |_: &Dyn, v: &V, agg: Dyn| some::<Dyn>(fold.apply(&agg, &v.to_dyn())?);
                Ok(Outcome::one(windowed.try_aggregate_with(
                    move || initial.clone(),
                    f,
                    made,
                )))
            }
            _ => Err(unsupported(a)),
        }
    }
}

impl<V: Value> Handle for SessionWindowedKStream<Dyn, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
        a.only(&KNOWN)?;
        let windowed = self.clone().emit(super::windows::strategy(a)?);
        let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
        match a.text_or("op", "") {
            "count" => {
                let made = maker.materialized::<Dyn, i64>(a, AGGREGATE, key, "long")?;
                Ok(Outcome::one(windowed.count_with(made)))
            }
            "reduce" => {
                let made = maker.materialized::<Dyn, V::Row>(a, REDUCE, key, value)?;
                Ok(Outcome::one(V::reduce_in_sessions(
                    &windowed,
                    Fold::parse(a.need("agg")?)?,
                    made,
                )))
            }
            "aggregate" => {
                let made = maker.materialized::<Dyn, Dyn>(a, AGGREGATE, key, value)?;
                let Aggregation { initial, fold } = aggregation(a)?;
                let merger = Fold::parse(a.text_or("merger", "and"))?;
                let f = move |_: &Dyn, v: &V, agg: Dyn| some::<Dyn>(fold.apply(&agg, &v.to_dyn())?);
                let merge = move |_: &Dyn, one: Dyn, two: Dyn| some::<Dyn>(merger.apply(&one, &two)?);
                let initial = move || initial.clone();
                Ok(Outcome::one(windowed.try_aggregate_with(initial, f, merge, made)))
            }
            _ => Err(unsupported(a)),
        }
    }
}

impl<K: Key, V: Value> Handle for KGroupedTable<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
        a.only(&[
            "id",
            "op",
            "from",
            "store",
            "name",
            "add",
            "sub",
            "init",
            "key_serde",
            "value_serde",
        ])?;
        let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
        let fold = |field: &str| a.need(field).and_then(Fold::parse);
        match a.text_or("op", "") {
            "count" => {
                let made = maker.materialized::<K, i64>(a, "KTABLE-AGGREGATE-", key, "long")?;
                Ok(Outcome::one(self.count_with(made)))
            }
            "reduce" => {
                let made = maker.materialized::<K, V>(a, "KTABLE-AGGREGATE-", key, value)?;
                let apply = |fold: Fold| move |agg: V, v: &V| some::<V>(fold.apply(&agg.to_dyn(), &v.to_dyn())?);
                V::table(self.try_reduce_with(apply(fold("add")?), apply(fold("sub")?), made))
            }
            "aggregate" => {
                let made = maker.materialized::<K, Dyn>(a, "KTABLE-AGGREGATE-", key, value)?;
                let initial = initializer(a.text_or("init", "empty"))?;
                let apply = |fold: Fold| move |_: &K, v: &V, agg: Dyn| some::<Dyn>(fold.apply(&agg, &v.to_dyn())?);
                let (add, sub) = (apply(fold("add")?), apply(fold("sub")?));
                Ok(Outcome::one(self.try_aggregate_with(
                    move || initial.clone(),
                    add,
                    sub,
                    made,
                )))
            }
            _ => Err(unsupported(a)),
        }
    }
}
