//! Steps on several grouped streams.
use std::any::Any;

use millstream_dsl::grouped::{
    CogroupedKStream, KGroupedStream, SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream,
};

use super::{
    BuildFailure, Handle, Maker, Outcome,
    grouped::some,
    types::{Key, Value},
    unsupported,
};
use crate::{
    arguments::Args,
    functions::{Fold, initializer},
    like::Nullable,
    value::{Dyn, FunctionFailed},
};

const AGGREGATE: &str = "COGROUPKSTREAM-AGGREGATE-";
const KNOWN: [&str; 9] = [
    "id",
    "op",
    "from",
    "store",
    "name",
    "init",
    "key_serde",
    "value_serde",
    "merger",
];

type Made<T> = Result<T, BuildFailure>;

type Folded = Result<Option<Dyn>, FunctionFailed>;

fn aggregator<K: Key, V: Value>(a: Args<'_>) -> Made<impl Fn(&K, &V, Dyn) -> Folded + Send + Sync + 'static> {
    let fold = Fold::parse(a.text_or("agg", "concat"))?;
    Ok(move |_: &K, v: &V, agg: Dyn| some::<Dyn>(fold.apply(&agg, &v.to_dyn())?))
}

/// `cogroup` on the first stream.
pub(crate) fn start<K: Key, V: Value>(grouped: &KGroupedStream<K, V>, a: Args<'_>) -> Made<Outcome> {
    a.only(&["id", "op", "from", "agg"])?;
    Ok(Outcome::one(grouped.try_cogroup(aggregator(a)?)))
}

impl<K: Key> Handle for CogroupedKStream<K, Dyn> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Made<Outcome> {
        match a.text_or("op", "") {
            "cogroup" => {
                a.only(&["id", "op", "from", "agg", "with"])?;
                let other = maker.object(a.need("with")?)?;
                let other = other.as_any();
                if let Some(other) = other.downcast_ref::<KGroupedStream<K, Nullable>>() {
                    return Ok(Outcome::one(self.try_cogroup(other, aggregator(a)?)));
                }
                match other.downcast_ref::<KGroupedStream<K, i64>>() {
                    Some(other) => Ok(Outcome::one(self.try_cogroup(other, aggregator(a)?))),
                    None => Err(unsupported(a)),
                }
            }
            "windowedBy" => K::cogrouped_windowed_by(self, a),
            "aggregate" => {
                let (initial, made) = options::<K>(a, maker)?;
                Ok(Outcome::one(self.aggregate_with(move || initial.clone(), made)))
            }
            _ => Err(unsupported(a)),
        }
    }
}

fn options<K: Key>(a: Args<'_>, maker: &mut Maker<'_>) -> Made<(Dyn, millstream_dsl::options::Materialized<K, Dyn>)> {
    a.only(&KNOWN)?;
    let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
    let made = maker.materialized(a, AGGREGATE, key, value)?;
    Ok((initializer(a.text_or("init", "empty"))?, made))
}

impl Handle for TimeWindowedCogroupedKStream<Dyn, Dyn> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Made<Outcome> {
        if a.text("op") != Some("aggregate") {
            return Err(unsupported(a));
        }
        let (initial, made) = options::<Dyn>(a, maker)?;
        Ok(Outcome::one(self.aggregate_with(move || initial.clone(), made)))
    }
}

impl Handle for SessionWindowedCogroupedKStream<Dyn, Dyn> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Made<Outcome> {
        if a.text("op") != Some("aggregate") {
            return Err(unsupported(a));
        }
        let (initial, made) = options::<Dyn>(a, maker)?;
        let merger = Fold::parse(a.text_or("merger", "and"))?;
        let merge = move |_: &Dyn, one: Dyn, two: Dyn| some::<Dyn>(merger.apply(&one, &two)?);
        Ok(Outcome::one(self.try_aggregate_with(
            move || initial.clone(),
            merge,
            made,
        )))
    }
}
