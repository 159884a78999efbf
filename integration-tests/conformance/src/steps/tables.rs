//! Steps on tables, and joins of streams with tables.
use std::any::Any;

use millstream_dsl::{
    options::{Joined, TableJoined},
    stream::{KStream, Named},
    table::{GlobalKTable, KTable},
};

use super::{
    BuildFailure, Handle, Maker, Object, Outcome,
    grouped::some,
    named, serde,
    stores::millis,
    types::{Key, Row, Value},
    unsupported,
};
use crate::{
    arguments::Args,
    expression::Expr,
    functions::Joiner,
    like::{Like, nullable},
    value::{Dyn, FunctionFailed},
};

impl<K: Key, V: Row> Handle for KTable<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
        let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
        let given = a.has("store") || a.has("name");
        match a.text_or("op", "") {
            "filter" | "filterNot" => {
                a.only(&["id", "op", "from", "pred", "name", "store", "key_serde", "value_serde"])?;
                let pred = Expr::parse(a.need("pred")?)?;
                let wanted = a.text("op") == Some("filter");
                let test = move |k: &K, v: &V| pred.test(&k.to_dyn(), &v.to_dyn()).map(|yes| yes == wanted);
                let made = given
                    .then(|| maker.materialized(a, "KTABLE-FILTER-", key, value))
                    .transpose()?;
                Ok(Outcome::one(self.try_filter_with(test, made)))
            }
            "mapValues" => {
                a.only(&["id", "op", "from", "fn", "name", "store", "key_serde", "value_serde"])?;
                let expr = Expr::parse(a.need("fn")?)?;
                let f = move |k: &K, v: &V| some::<Dyn>(expr.apply(&k.to_dyn(), &v.to_dyn())?);
                let made = given
                    .then(|| maker.materialized(a, "KTABLE-MAPVALUES-", key, value))
                    .transpose()?;
                Ok(Outcome::one(self.try_map_values_with(f, made)))
            }
            "toStream" => {
                a.only(&["id", "op", "from", "key", "name"])?;
                let stream = self.to_stream_with(named(a));
                let Some(key) = a.text("key") else {
                    return Ok(Outcome::one(stream));
                };
                let key = Expr::parse(key)?;
                let f = move |k: &K, v: &Option<V>| key.apply(&k.to_dyn(), &v.to_dyn());
                // The name is that of the stream, as in Kafka Streams.
                Ok(Outcome::one(stream.try_select_key_with(f, Named::generated())))
            }
            "groupBy" => {
                a.only(&["id", "op", "from", "key", "value", "name", "key_serde", "value_serde"])?;
                let (key, value) = (Expr::parse(a.need("key")?)?, Expr::parse(a.text_or("value", "value"))?);
                let f = move |k: &K, v: &V| {
                    let (k, v) = (k.to_dyn(), v.to_dyn());
                    Ok::<_, FunctionFailed>((key.apply(&k, &v)?, value.apply(&k, &v)?))
                };
                Ok(Outcome::one(
                    self.try_group_by_with(f, super::options::grouped::<Dyn, Dyn>(a)?),
                ))
            }
            "suppress" => Ok(Outcome::one(self.suppress(super::options::suppressed::<K>(a)?))),
            "join" | "leftJoin" | "outerJoin" => join_any(self, a, maker),
            _ => Err(unsupported(a)),
        }
    }
}

/// A join with another table, by the same key or by a foreign one.
fn join_any<K: Key, V: Row>(left: &KTable<K, V>, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
    let other = a
        .list("from")
        .get(1)
        .copied()
        .ok_or_else(|| "a join with itself".to_owned())?;
    let other = maker.object(other)?;
    let other = other.as_any();
    if a.has("foreign_key") {
        if let Some(table) = other.downcast_ref::<KTable<Dyn, Dyn>>() {
            return join_on(left, table, a, maker);
        }
        return match other.downcast_ref::<KTable<Dyn, i64>>() {
            Some(table) => join_on(left, table, a, maker),
            None => Err(unsupported(a)),
        };
    }
    if let Some(table) = other.downcast_ref::<KTable<K, Dyn>>() {
        return join_tables(left, table, a, maker);
    }
    match other.downcast_ref::<KTable<K, i64>>() {
        Some(table) => join_tables(left, table, a, maker),
        None => Err(unsupported(a)),
    }
}

impl Maker<'_> {
    /// `table`.
    pub(crate) fn table(&mut self, a: Args<'_>) -> Result<Outcome, BuildFailure> {
        a.only(&["id", "op", "topic", "store", "extractor", "name"])?;
        let topic = a.need("topic")?;
        let (key, value) = (
            super::topic_serde(self.case, topic, "key"),
            super::topic_serde(self.case, topic, "value"),
        );
        let consumed = super::sources::consumed(self.case, a, true)?;
        let made = self.materialized::<Dyn, Dyn>(a, &format!("{topic}-"), key, value)?;
        Ok(Outcome::one(if a.has("store") {
            self.builder.table_with(consumed, made)
        } else {
            self.builder.table(consumed)
        }))
    }
}

impl Maker<'_> {
    /// `globalTable`.
    pub(crate) fn global_table(&mut self, a: Args<'_>) -> Result<Outcome, BuildFailure> {
        a.only(&["id", "op", "topic", "store", "extractor", "name"])?;
        let topic = a.need("topic")?;
        let (key, value) = (
            super::topic_serde(self.case, topic, "key"),
            super::topic_serde(self.case, topic, "value"),
        );
        let consumed = super::sources::consumed(self.case, a, true)?;
        let made = self.materialized::<Dyn, Dyn>(a, &format!("{topic}-"), key, value)?;
        let table = if a.has("store") {
            self.builder.global_table_with(consumed, made)
        } else {
            self.builder.global_table(consumed)
        };
        Ok(Outcome::one(table))
    }
}

impl Handle for GlobalKTable<Dyn, Dyn> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn step(&self, a: Args<'_>, _: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
        Err(unsupported(a))
    }
}

/// A join of a stream with a global table; none if the other side is none.
pub(crate) fn join_global<K: Key, V: Value>(
    stream: &KStream<K, V>,
    other: &Object,
    a: Args<'_>,
) -> Option<Result<Outcome, BuildFailure>> {
    let table = other.as_any().downcast_ref::<GlobalKTable<Dyn, Dyn>>()?;
    Some(join_all_rows(stream, table, a))
}

fn join_all_rows<K: Key, V: Value>(
    stream: &KStream<K, V>,
    table: &GlobalKTable<Dyn, Dyn>,
    a: Args<'_>,
) -> Result<Outcome, BuildFailure> {
    a.only(&["id", "op", "from", "joiner", "key", "name"])?;
    let joiner = Joiner::parse(a.text_or("joiner", "concat"))?;
    let expr = Expr::parse(a.text_or("key", "key"))?;
    let key = move |k: &K, v: &V| expr.apply(&k.to_dyn(), &v.to_dyn());
    Ok(Outcome::one(match a.text_or("op", "") {
        "join" => stream.try_join_global_with(
            table,
            key,
            move |k: &K, l: &V, r: &Dyn| joiner.apply(&k.to_dyn(), &l.to_dyn(), r).map(nullable),
            named(a),
        ),
        "leftJoin" => stream.try_left_join_global_with(
            table,
            key,
            move |k: &K, l: &V, r: Option<&Dyn>| {
                joiner
                    .apply(&k.to_dyn(), &l.to_dyn(), r.unwrap_or(&Dyn::Null))
                    .map(nullable)
            },
            named(a),
        ),
        _ => return Err(unsupported(a)),
    }))
}

/// A join of a stream with a table; none if the other side is no table of these keys.
pub(crate) fn join<K: Key, V: Value>(
    stream: &KStream<K, V>,
    other: &Object,
    a: Args<'_>,
) -> Option<Result<Outcome, BuildFailure>> {
    let other = other.as_any();
    if let Some(table) = other.downcast_ref::<KTable<K, Dyn>>() {
        return Some(join_rows(stream, table, a));
    }
    other
        .downcast_ref::<KTable<K, i64>>()
        .map(|table| join_rows(stream, table, a))
}

fn join_rows<K: Key, V: Value, R: Row>(
    stream: &KStream<K, V>,
    table: &KTable<K, R>,
    a: Args<'_>,
) -> Result<Outcome, BuildFailure> {
    a.only(&[
        "id",
        "op",
        "from",
        "joiner",
        "name",
        "key_serde",
        "value_serde",
        "other_serde",
        "grace_ms",
    ])?;
    let joiner = Joiner::parse(a.text_or("joiner", "concat"))?;
    let joined = a.text("name").map_or_else(Joined::new, Joined::named);
    let mut joined = joined.with(serde::<K>(a, "key_serde")?, serde::<V>(a, "value_serde")?);
    if let Some(grace) = a.long("grace_ms") {
        joined = joined.grace(millis(grace));
    }
    Ok(Outcome::one(match a.text_or("op", "") {
        "join" => stream.try_join_with(
            table,
            move |k: &K, l: &V, r: &R| joiner.apply(&k.to_dyn(), &l.to_dyn(), &r.to_dyn()).map(nullable),
            joined,
        ),
        "leftJoin" => stream.try_left_join_with(
            table,
            move |k: &K, l: &V, r: Option<&R>| {
                joiner
                    .apply(&k.to_dyn(), &l.to_dyn(), &r.map_or(Dyn::Null, R::to_dyn))
                    .map(nullable)
            },
            joined,
        ),
        _ => return Err(unsupported(a)),
    }))
}

/// A join of two tables by a foreign key.
fn join_on<K: Key, V: Row, O: Row>(
    left: &KTable<K, V>,
    right: &KTable<Dyn, O>,
    a: Args<'_>,
    maker: &mut Maker<'_>,
) -> Result<Outcome, BuildFailure> {
    a.only(&[
        "id",
        "op",
        "from",
        "joiner",
        "foreign_key",
        "name",
        "store",
        "key_serde",
        "value_serde",
    ])?;
    let joiner = Joiner::parse(a.text_or("joiner", "concat"))?;
    let expr = Expr::parse(a.need("foreign_key")?)?;
    let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
    let joined = a.text("name").map_or_else(TableJoined::new, TableJoined::named);
    let made = maker.materialized::<K, Dyn>(a, "KTABLE-FK-JOIN-OUTPUT-", key, value)?;
    let extract = move |k: &K, v: &V| expr.apply(&k.to_dyn(), &v.to_dyn());
    let apply = move |l: Dyn, r: Dyn| some::<Dyn>(joiner.apply(&Dyn::Null, &l, &r)?);
    Ok(Outcome::one(match a.text_or("op", "") {
        "join" => left.try_join_on_with(
            right,
            extract,
            move |l: &V, r: &O| apply(l.to_dyn(), r.to_dyn()),
            joined,
            made,
        ),
        _ => left.try_left_join_on_with(
            right,
            extract,
            move |l: &V, r: Option<&O>| apply(l.to_dyn(), r.map_or(Dyn::Null, O::to_dyn)),
            joined,
            made,
        ),
    }))
}

/// A join of two tables.
fn join_tables<K: Key, V: Row, O: Row>(
    left: &KTable<K, V>,
    right: &KTable<K, O>,
    a: Args<'_>,
    maker: &mut Maker<'_>,
) -> Result<Outcome, BuildFailure> {
    a.only(&[
        "id",
        "op",
        "from",
        "joiner",
        "name",
        "store",
        "key_serde",
        "value_serde",
    ])?;
    let joiner = Joiner::parse(a.text_or("joiner", "concat"))?;
    let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
    let given = a.has("store") || a.has("name");
    let made = given
        .then(|| maker.materialized::<K, Dyn>(a, "KTABLE-MERGE-", key, value))
        .transpose()?;
    let or_null = |side: Option<Dyn>| side.unwrap_or(Dyn::Null);
    let apply = move |l: Dyn, r: Dyn| some::<Dyn>(joiner.apply(&Dyn::Null, &l, &r)?);
    Ok(Outcome::one(match a.text_or("op", "") {
        "join" => left.try_join_with(right, move |l: &V, r: &O| apply(l.to_dyn(), r.to_dyn()), made),
        "leftJoin" => left.try_left_join_with(
            right,
            move |l: &V, r: Option<&O>| apply(l.to_dyn(), or_null(r.map(O::to_dyn))),
            made,
        ),
        _ => left.try_outer_join_with(
            right,
            move |l: Option<&V>, r: Option<&O>| apply(or_null(l.map(V::to_dyn)), or_null(r.map(O::to_dyn))),
            made,
        ),
    }))
}
