//! Steps on streams.
use std::{any::Any, sync::Arc};

use millstream_dsl::{
    engine::BoxError,
    operators::Processing,
    stream::{KStream, Outgoing, Produced, Repartitioned},
};

use super::{
    BuildFailure, Handle, Maker, Outcome, joins, named, options, serde, serde_of,
    stock::Stock,
    stock_values::StockValues,
    tables,
    types::{Key, Value},
    unsupported,
};
use crate::{
    arguments::Args,
    expression::Expr,
    like::nullable,
    value::{Dyn, FunctionFailed},
};

impl<K: Key, V: Value> Handle for KStream<K, V> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure> {
        match a.text_or("op", "") {
            "filter" | "filterNot" => filter(self, a),
            "map" | "selectKey" | "mapValues" | "flatMap" | "flatMapValues" => map(self, a),
            "peek" | "foreach" => peek(self, a, maker),
            "split" => split(self, a, maker),
            "merge" => merge(self, a, maker),
            "repartition" => repartition(self, a),
            "to" => to(self, a, maker),
            "process" | "processValues" => process(self, a),
            "groupByKey" => {
                a.only(&["id", "op", "from", "name", "key_serde", "value_serde"])?;
                Ok(Outcome::one(self.group_by_key_with(options::grouped::<K, V>(a)?)))
            }
            "groupBy" => {
                a.only(&["id", "op", "from", "key", "name", "key_serde", "value_serde"])?;
                let key = Expr::parse(a.need("key")?)?;
                let f = move |k: &K, v: &V| key.apply(&k.to_dyn(), &v.to_dyn());
                Ok(Outcome::one(self.try_group_by_with(f, options::grouped::<Dyn, V>(a)?)))
            }
            "toTable" => {
                a.only(&["id", "op", "from", "name", "store", "key_serde", "value_serde"])?;
                let (key, value) = (a.text_or("key_serde", "string"), a.text_or("value_serde", "string"));
                let made = maker.materialized(a, "KSTREAM-TOTABLE-", key, value)?;
                Ok(Outcome::one(V::to_table(self, made)))
            }
            "join" | "leftJoin" | "outerJoin" => {
                let other = a
                    .list("from")
                    .get(1)
                    .copied()
                    .ok_or_else(|| "a join with itself".to_owned())?;
                let other = maker.object(other)?;
                tables::join(self, &other, a)
                    .or_else(|| tables::join_global(self, &other, a))
                    .or_else(|| joins::join(self, &other, a))
                    .unwrap_or_else(|| Err(unsupported(a)))
            }
            _ => Err(unsupported(a)),
        }
    }
}

fn filter<K: Key, V: Value>(stream: &KStream<K, V>, a: Args<'_>) -> Result<Outcome, BuildFailure> {
    a.only(&["id", "op", "from", "pred", "name"])?;
    let pred = Expr::parse(a.need("pred")?)?;
    let test = move |k: &K, v: &V| pred.test(&k.to_dyn(), &v.to_dyn());
    Ok(Outcome::one(if a.text("op") == Some("filter") {
        stream.try_filter_with(test, named(a))
    } else {
        stream.try_filter_not_with(test, named(a))
    }))
}

fn map<K: Key, V: Value>(stream: &KStream<K, V>, a: Args<'_>) -> Result<Outcome, BuildFailure> {
    a.only(&["id", "op", "from", "key", "value", "fn", "elements", "name"])?;
    let parse = |field: &str, default: &str| Expr::parse(a.text(field).unwrap_or(default));
    Ok(match a.text_or("op", "") {
        "map" => {
            let (key, value) = (parse("key", "key")?, parse("value", "value")?);
            let f = move |k: &K, v: &V| {
                let (k, v) = (k.to_dyn(), v.to_dyn());
                Ok::<_, FunctionFailed>((key.apply(&k, &v)?, nullable(value.apply(&k, &v)?)))
            };
            Outcome::one(stream.try_map_with(f, named(a)))
        }
        "selectKey" => {
            let key = Expr::parse(a.need("key")?)?;
            let f = move |k: &K, v: &V| key.apply(&k.to_dyn(), &v.to_dyn());
            Outcome::one(stream.try_select_key_with(f, named(a)))
        }
        "mapValues" => {
            let expr = Expr::parse(a.need("fn")?)?;
            let f = move |k: &K, v: &V| expr.apply(&k.to_dyn(), &v.to_dyn()).map(nullable);
            Outcome::one(stream.try_map_values_with_key_named(f, named(a)))
        }
        "flatMapValues" => {
            let expr = Expr::parse(a.need("fn")?)?;
            let f = move |k: &K, v: &V| {
                let list = expr.list(&k.to_dyn(), &v.to_dyn())?;
                Ok::<_, FunctionFailed>(list.into_iter().map(nullable))
            };
            Outcome::one(stream.try_flat_map_values_with_key_named(f, named(a)))
        }
        _ => {
            let elements = Expr::parse(a.need("elements")?)?;
            let (key, value) = (parse("key", "key")?, parse("value", "value")?);
            let f = move |k: &K, v: &V| {
                let (k, v) = (k.to_dyn(), v.to_dyn());
                let pair = |e: Dyn| Ok::<_, FunctionFailed>((key.apply(&k, &e)?, nullable(value.apply(&k, &e)?)));
                elements
                    .list(&k, &v)?
                    .into_iter()
                    .map(pair)
                    .collect::<Result<Vec<_>, _>>()
            };
            Outcome::one(stream.try_flat_map_with(f, named(a)))
        }
    })
}

fn peek<K: Key, V: Value>(stream: &KStream<K, V>, a: Args<'_>, maker: &Maker<'_>) -> Result<Outcome, BuildFailure> {
    a.only(&["id", "op", "from", "name"])?;
    let (recorder, id) = (maker.recorder.clone(), a.text("id").map(str::to_owned));
    let show = move |k: &K, v: &V| recorder.peek(id.as_deref(), &k.to_dyn(), &v.to_dyn());
    if a.text("op") == Some("foreach") {
        stream.for_each_with(show, named(a));
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::one(stream.peek_with(show, named(a))))
}

fn split<K: Key, V: Value>(
    stream: &KStream<K, V>,
    a: Args<'_>,
    maker: &mut Maker<'_>,
) -> Result<Outcome, BuildFailure> {
    a.only(&["id", "op", "from", "name", "branches", "default"])?;
    let mut branches = stream.split_with(named(a));
    let mut made: Vec<(Option<String>, KStream<K, V>)> = Vec::new();
    for branch in a.get("branches").and_then(|b| b.as_array()).into_iter().flatten() {
        let branch = Args(branch);
        branch.only(&["id", "pred", "name"])?;
        let pred = Expr::parse(branch.need("pred")?)?;
        let test = move |k: &K, v: &V| pred.test(&k.to_dyn(), &v.to_dyn());
        let stream = match branch.text("name") {
            Some(name) => branches.try_branch_with(test, name),
            None => branches.try_branch(test),
        };
        made.push((branch.text("id").map(str::to_owned), stream));
    }
    if let Some(default) = a.part("default") {
        default.only(&["id", "name"])?;
        let stream = match default.text("name") {
            Some(name) => branches.default_branch_with(name),
            None => branches.default_branch(),
        };
        made.push((default.text("id").map(str::to_owned), stream));
    }
    maker.note_branches(a, made.iter().map(|(_, s)| s.name().to_owned()).collect());
    let object = |(id, s): (Option<String>, KStream<K, V>)| Some((id?, std::rc::Rc::new(s) as super::Object));
    Ok(Outcome::Several(made.into_iter().filter_map(object).collect()))
}

fn merge<K: Key, V: Value>(stream: &KStream<K, V>, a: Args<'_>, maker: &Maker<'_>) -> Result<Outcome, BuildFailure> {
    a.only(&["id", "op", "from", "name"])?;
    let mut merged = stream.clone();
    for id in a.list("from").into_iter().skip(1) {
        let other = maker.object(id)?;
        let other = other.as_any().downcast_ref::<KStream<K, V>>();
        let other = other.ok_or_else(|| "merge of streams of different types".to_owned())?;
        merged = merged.merge_with(other, named(a));
    }
    Ok(Outcome::one(merged))
}

fn repartition<K: Key, V: Value>(stream: &KStream<K, V>, a: Args<'_>) -> Result<Outcome, BuildFailure> {
    a.only(&["id", "op", "from", "name", "partitions", "key_serde", "value_serde"])?;
    let options = a.text("name").map_or_else(Repartitioned::default, Repartitioned::named);
    let mut options = options.with(serde::<K>(a, "key_serde")?, serde::<V>(a, "value_serde")?);
    if let Some(partitions) = a.long("partitions") {
        options = options.partitions(i32::try_from(partitions).map_err(|e| e.to_string())?);
    }
    Ok(Outcome::one(stream.repartition_with(options)))
}

fn to<K: Key, V: Value>(stream: &KStream<K, V>, a: Args<'_>, maker: &Maker<'_>) -> Result<Outcome, BuildFailure> {
    a.only(&[
        "id",
        "op",
        "from",
        "name",
        "topic",
        "topic_fn",
        "key_serde",
        "value_serde",
    ])?;
    if let Some(topic_fn) = a.text("topic_fn") {
        let expr = Arc::new(Expr::parse(topic_fn)?);
        let produced = Produced::options().with(serde::<K>(a, "key_serde")?, serde::<V>(a, "value_serde")?);
        let choose = move |record: &Outgoing<'_, K, V>| {
            let topic = expr.apply(&record.key.to_dyn(), &record.value.to_dyn())?;
            // Null is no topic.
            Ok::<_, BoxError>(if topic.is_null() { String::new() } else { topic.text() })
        };
        stream.try_to_dynamic_with(choose, produced.named(named(a)));
    } else {
        let topic = a.need("topic")?;
        let (key, value) = (
            serde_of::<K>(maker.case, a, topic, "key")?,
            serde_of::<V>(maker.case, a, topic, "value")?,
        );
        stream.to(Produced::topic(topic).with(key, value).named(named(a)));
    }
    Ok(Outcome::Nothing)
}

fn process<K: Key, V: Value>(stream: &KStream<K, V>, a: Args<'_>) -> Result<Outcome, BuildFailure> {
    let processing = Processing::new().named(named(a)).stores(a.list("stores"));
    Ok(if a.text("op") == Some("process") {
        Outcome::one(stream.process_with(Stock::<K, V>::supplier(a)?, processing))
    } else {
        Outcome::one(stream.process_values_with(StockValues::supplier(a)?, processing))
    })
}
