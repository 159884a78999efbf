//! A plan through the DSL, run by the test driver.
mod joins;
mod processor;
mod windows;

use std::collections::BTreeMap;

use millstream_dsl::{driver::TopologyTestDriver, prelude::*};

use super::{
    Outcome, Output,
    plan::{Event, Fold, Key, Plan, Rows, Step, Text, passes, text},
};

type Stream = KStream<Text, Text>;
type Table = KTable<Text, String>;

/// A table, and whether its rows have a history: such a table is not suppressed.
#[derive(Clone)]
struct MadeTable {
    table: Table,
    history: bool,
}

#[derive(Default)]
struct Made {
    streams: Vec<Stream>,
    tables: Vec<MadeTable>,
    globals: Vec<GlobalKTable<Text, String>>,
    /// Numbers for names of stores and repartition topics.
    names: usize,
}

fn span(ms: i64) -> std::time::Duration {
    millis(u64::try_from(ms).unwrap_or(0))
}

impl Made {
    fn stream(&self, index: usize) -> Stream {
        self.streams[index % self.streams.len()].clone()
    }
    fn made_table(&self, index: usize) -> Option<MadeTable> {
        let count = self.tables.len();
        (count > 0).then(|| self.tables[index % count].clone())
    }
    fn table(&self, index: usize) -> Option<Table> {
        self.made_table(index).map(|made| made.table)
    }
    fn push_table(&mut self, table: Table, history: bool) {
        self.tables.push(MadeTable { table, history });
    }
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}-{}", self.names)
    }
    fn store(&mut self) -> Materialized<Text, String> {
        Materialized::named(self.name("store"))
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Windowed { .. } | Step::CogroupWindowed { .. } => self.windows(step),
            Step::JoinStream { .. } | Step::JoinTable { .. } | Step::JoinGlobal { .. } => self.join(step),
            Step::TableJoin { .. } | Step::ForeignJoin { .. } => self.join_tables(step),
            Step::ToTable { .. } | Step::Aggregate { .. } | Step::Cogroup { .. } => self.stateful(step),
            Step::TableFilter { .. }
            | Step::TableMapValues { .. }
            | Step::TableGroup { .. }
            | Step::Suppress { .. }
            | Step::ToStream { .. } => self.table_step(step),
            Step::Process { .. } | Step::ProcessValues { .. } => self.process(step),
            _ => self.stateless(step),
        }
    }

    fn stateless(&mut self, step: &Step) {
        let made = match *step {
            Step::Filter { from, letter, keep } => {
                let from = self.stream(from);
                if keep {
                    from.filter(move |_, v| passes(letter, v))
                } else {
                    from.filter_not(move |_, v| passes(letter, v))
                }
            }
            Step::MapValues { from, by } => self.stream(from).map_values(move |v| by.apply(v)),
            Step::FlatMapValues { from } => self.stream(from).flat_map_values(|v: &Text| vec![v.clone(), None]),
            Step::SelectKey { from, by } => self.stream(from).select_key(move |k, v| by.of(k, v)),
            Step::FlatMap { from, by } => self
                .stream(from)
                .flat_map(move |k: &Text, v: &Text| vec![(by.of(k, v), v.clone()), (k.clone(), k.clone())]),
            Step::Merge { from, with } => self.stream(from).merge(&self.stream(with)),
            Step::Split { from, letter } => {
                let mut branches = self.stream(from).split();
                let first = branches.branch(move |_, v| passes(letter, v));
                self.streams.push(first);
                branches.default_branch()
            }
            Step::Repartition { from } => self.stream(from).repartition(),
            _ => unreachable!("not a stateless step: {step:?}"),
        };
        self.streams.push(made);
    }

    fn stateful(&mut self, step: &Step) {
        let made = match *step {
            Step::ToTable { from, stored } => {
                let from = self.stream(from);
                if stored {
                    from.to_table_opt_with(self.store())
                } else {
                    from.to_table_opt()
                }
            }
            Step::Aggregate { from, by, fold } => {
                let from = self.stream(from);
                match (fold, by) {
                    (Fold::Reduce, _) => {
                        let values = from.flat_map_values(|v: &Text| v.clone());
                        match by {
                            None => values.group_by_key(),
                            Some(by) => values.group_by(move |k, v| by.of(k, &Some(v.clone()))),
                        }
                        .reduce(|all, v| all + v)
                    }
                    (Fold::Count, by) => grouped(&from, by).count().map_values(|n| n.to_string()),
                    (Fold::Text, by) => grouped(&from, by)
                        .aggregate_opt(String::new, |_, v: &Text, all| (text(v) != "2").then(|| all + text(v))),
                }
            }
            Step::Cogroup { from, with } => self.cogrouped(from, with).aggregate(String::new),
            _ => unreachable!("not a stateful step: {step:?}"),
        };
        self.push_table(made, false);
    }

    fn table_step(&mut self, step: &Step) {
        match *step {
            Step::TableFilter { from, letter, stored } => {
                let Some(MadeTable { table, history }) = self.made_table(from) else {
                    return;
                };
                let predicate = move |_: &Text, v: &String| v.contains(letter);
                let made = if stored {
                    table.filter_with(predicate, self.store())
                } else {
                    table.filter(predicate)
                };
                self.push_table(made, history && !stored);
            }
            Step::TableMapValues { from, by, stored } => {
                let Some(MadeTable { table, history }) = self.made_table(from) else {
                    return;
                };
                let made = if stored {
                    table.map_values_opt_with(move |_, v| by.row(v), self.store())
                } else {
                    table.map_values_opt(move |_, v| by.row(v))
                };
                self.push_table(made, history && !stored);
            }
            Step::TableGroup { from, by } => {
                let Some(table) = self.table(from) else { return };
                let made = table
                    .group_by(move |k, v| (by.of(k, &Some(v.clone())), v.clone()))
                    .aggregate(
                        String::new,
                        |_, v, all| format!("{all}+{v}"),
                        |_, v, all| format!("{all}-{v}"),
                    );
                self.push_table(made, false);
            }
            Step::Suppress { from, wait, most } => {
                let Some(MadeTable { table, history: false }) = self.made_table(from) else {
                    return;
                };
                let made = table.suppress(match most {
                    None => Suppressed::until_time_limit(span(wait), BufferConfig::unbounded()),
                    Some(most) => Suppressed::until_time_limit(span(wait), BufferConfig::max_records(most)),
                });
                self.push_table(made, false);
            }
            Step::ToStream { from } => {
                let Some(table) = self.table(from) else { return };
                self.streams.push(table.to_stream());
            }
            _ => unreachable!("not a step of a table: {step:?}"),
        }
    }
}

fn grouped(stream: &Stream, by: Option<Key>) -> KGroupedStream<Text, Text> {
    match by {
        None => stream.group_by_key(),
        Some(by) => stream.group_by(move |k, v| by.of(k, v)),
    }
}

/// The topology of a plan; every stream and table is written to a topic of its own.
pub(crate) fn topology(plan: &Plan) -> Result<Topology, BuildError> {
    let builder = StreamsBuilder::new();
    let mut made = Made::default();
    for index in 0..plan.streams {
        made.streams
            .push(builder.stream(Consumed::topic(format!("stream-{index}"))));
    }
    for (index, rows) in plan.tables.iter().enumerate() {
        let topic = Consumed::topic(format!("table-{index}"));
        let table = match *rows {
            Rows::Asked => builder.table(topic),
            Rows::Stored => builder.table_with(topic, made.store()),
            Rows::History(ms) => builder.table_with(topic, made.store().versioned(span(ms))),
        };
        made.push_table(table, matches!(rows, Rows::History(_)));
    }
    for index in 0..plan.globals {
        let topic = Consumed::topic(format!("global-{index}"));
        made.globals.push(builder.global_table(topic));
    }
    for step in &plan.steps {
        made.step(step);
    }
    for (index, stream) in made.streams.iter().enumerate() {
        stream.to(format!("of-stream-{index}").as_str());
    }
    for (index, made) in made.tables.iter().enumerate() {
        made.table.to_stream().to(format!("of-table-{index}").as_str());
    }
    builder.build()
}

/// Name of the source topic of an event.
fn source(plan: &Plan, event: &Event) -> String {
    let index = event.topic % plan.sources();
    let globals_from = plan.streams + plan.tables.len();
    if index < plan.streams {
        format!("stream-{index}")
    } else if index < globals_from {
        format!("table-{}", index - plan.streams)
    } else {
        format!("global-{}", index - globals_from)
    }
}

fn pipe(driver: &TopologyTestDriver, plan: &Plan, event: &Event) -> Result<(), Box<dyn std::error::Error>> {
    if event.advance > 0 {
        driver.advance_wall_clock(span(event.advance))?;
    }
    let headers = Headers::new();
    if let Some(header) = &event.header {
        headers.add("h", Some(header.as_bytes()));
    }
    let (key, value) = (
        event.key.as_ref().map(String::as_bytes),
        event.value.as_ref().map(String::as_bytes),
    );
    Ok(driver.pipe_bytes(&source(plan, event), key, value, event.time, &headers)?)
}

pub(crate) fn run(plan: &Plan, events: &[Event]) -> Result<Outcome, Box<dyn std::error::Error>> {
    let topology = topology(plan)?;
    let driver = TopologyTestDriver::builder(&topology).cache_bytes(0).build()?;
    for event in events {
        pipe(&driver, plan, event)?;
    }
    let text = |bytes: Option<Vec<u8>>| bytes.map(|b| String::from_utf8_lossy(&b).into_owned());
    let mut outputs: BTreeMap<String, Vec<Output>> = BTreeMap::new();
    for record in driver.produced() {
        if record.topic.starts_with("of-") {
            let header = record.headers.first().and_then(|header| header.value.clone());
            let output = (
                text(record.key),
                text(record.value),
                record.timestamp.unwrap_or(-1),
                text(header.map(|value| value.to_vec())),
            );
            outputs.entry(record.topic.to_string()).or_default().push(output);
        }
    }
    Ok(Outcome {
        outputs,
        dropped: driver.dropped_records(),
    })
}
