//! What only a processor has, lent to a closure: handles of stores and contexts, for examples.
use std::{error::Error, sync::Arc};

use super::Runner;
use crate::{
    engine::{BoxError, Record},
    operators::Processing,
    processor::{
        FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, Processor, ProcessorContext, TransformContext,
        ValueTransformer,
    },
    store::{Handle, Store},
    stream::StreamsBuilder,
    table::KTable,
    topology::{Topology, TopologyBuilder},
};

type Lent = Result<(), BoxError>;
type Steps = Result<Runner, Box<dyn Error>>;
type WithStore<S> = dyn Fn(&S) -> Lent + Send + Sync;

struct UsesStore<S> {
    name: Arc<str>,
    store: Option<S>,
    f: Arc<WithStore<S>>,
}
impl<S: Handle> FixedKeyProcessor<String, i64, i64> for UsesStore<S> {
    fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, i64>) -> Lent {
        self.store = Some(ctx.store(&self.name)?);
        Ok(())
    }
    fn process(&mut self, _: &FixedKeyContext<'_, '_, String, i64>, _: FixedKeyRecord<'_, String, i64>) -> Lent {
        (self.f)(self.store.as_ref().ok_or("not started")?)
    }
}

/// Lends the handle of a store to `f`, in a processor that is given a record of time 1000: for examples of handles.
pub fn with_store<S: Handle + 'static, K: 'static, V: 'static>(
    store: Store<K, V>,
    f: impl Fn(&S) -> Lent + Send + Sync + 'static,
) -> Result<(), Box<dyn Error>> {
    let (name, f): (_, Arc<WithStore<S>>) = (store.name().clone(), Arc::new(f));
    let uses = move || UsesStore {
        name: name.clone(),
        store: None,
        f: f.clone(),
    };
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, i64>("in");
    stream.process_values_with(uses, Processing::new().with_store(store));
    let runner = Runner::new(&builder.build()?)?;
    Ok(runner.pipe_at("in", "a".to_owned(), 1i64, 1_000)?)
}

/// Calls a function wherever a processor of any kind is given a record.
struct Calls<F>(Arc<F>);

impl<F> Processor<String, i64, String, i64> for Calls<F>
where
    F: Fn(&ProcessorContext<'_, String, i64>, Record<'_, String, i64>) -> Lent,
{
    fn process(&mut self, ctx: &ProcessorContext<'_, String, i64>, record: Record<'_, String, i64>) -> Lent {
        (self.0)(ctx, record)
    }
}
impl<F> FixedKeyProcessor<String, i64, i64> for Calls<F>
where
    F: Fn(&FixedKeyContext<'_, '_, String, i64>, FixedKeyRecord<'_, String, i64>) -> Lent,
{
    fn process(&mut self, ctx: &FixedKeyContext<'_, '_, String, i64>, record: FixedKeyRecord<'_, String, i64>) -> Lent {
        (self.0)(ctx, record)
    }
}
impl<F> ValueTransformer<String, i64, i64> for Calls<F>
where
    F: Fn(&TransformContext<'_>, &String, Option<&i64>) -> Result<Option<i64>, BoxError>,
{
    fn transform(
        &mut self,
        ctx: &TransformContext<'_>,
        key: &String,
        n: Option<&i64>,
    ) -> Result<Option<i64>, BoxError> {
        (self.0)(ctx, key, n)
    }
}

fn counts() -> Store<String, i64> {
    Store::key_value("counts")
}

/// Two records, both of the key `a`: 1 at the time 1000, and 2 at 2000.
fn two_records(topology: &Topology) -> Steps {
    let runner = Runner::new(topology)?;
    for (n, time) in [(1i64, 1_000), (2, 2_000)] {
        runner.pipe_at("in", "a".to_owned(), n, time)?;
    }
    Ok(runner)
}

/// The processor `step` between the topic `in` and the sinks `sink` (topic `out`) and `other` (topic `others`), with the
/// store `counts`, after two records of the key `a`: 1 at the time 1000, and 2 at 2000.
pub fn with_context<F>(f: F) -> Steps
where
    F: Fn(&ProcessorContext<'_, String, i64>, Record<'_, String, i64>) -> Lent + Send + Sync + 'static,
{
    let f = Arc::new(f);
    let mut builder = TopologyBuilder::new();
    builder.add_source::<String, i64>("source", "in");
    builder.add_processor("step", move || Calls(f.clone()), &["source"]);
    builder.add_state_store(counts(), &["step"]);
    builder.add_sink::<String, i64>("sink", "out", &["step"]);
    builder.add_sink::<String, i64>("other", "others", &["step"]);
    two_records(&builder.build()?)
}

/// As [`with_context`], for a processor of values whose children are the filter `small`, with the sink `out`, and the
/// filter `large`, with the sink `others`. Both let everything pass.
pub fn with_values<F>(f: F) -> Steps
where
    F: Fn(&FixedKeyContext<'_, '_, String, i64>, FixedKeyRecord<'_, String, i64>) -> Lent + Send + Sync + 'static,
{
    let f = Arc::new(f);
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, i64>("in");
    let processing = Processing::new().named("step").with_store(counts());
    let values = stream.process_values_with(move || Calls(f.clone()), processing);
    values.filter_with(|_, _| true, "small").to("out");
    values.filter_with(|_, _| true, "large").to("others");
    two_records(&builder.build()?)
}

/// As [`with_context`], for a transformer of the values of a table, whose results go to the topic `out`.
pub fn with_transformer<F>(f: F) -> Steps
where
    F: Fn(&TransformContext<'_>, &String, Option<&i64>) -> Result<Option<i64>, BoxError> + Send + Sync + 'static,
{
    let f = Arc::new(f);
    let builder = StreamsBuilder::new();
    let table: KTable<String, i64> = builder.table("in");
    let processing = Processing::new().named("step").with_store(counts());
    table
        .transform_values_with(move || Calls(f.clone()), processing, "rows")
        .to_stream()
        .to("out");
    two_records(&builder.build()?)
}
