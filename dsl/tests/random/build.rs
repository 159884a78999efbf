//! A plan through the DSL, run by the test driver.
use std::collections::BTreeMap;

use millstream_dsl::{driver::TopologyTestDriver, prelude::*};

use super::{
    Outcome, Output,
    plan::{Event, Fold, Kind, Plan, Step, Text, joined, passes, text},
};

type Stream = KStream<Text, Text>;
type Table = KTable<Text, String>;

#[derive(Default)]
struct Made {
    streams: Vec<Stream>,
    tables: Vec<Table>,
    stores: usize,
}

impl Made {
    fn stream(&self, index: usize) -> Stream {
        self.streams[index % self.streams.len()].clone()
    }
    fn table(&self, index: usize) -> Option<Table> {
        let count = self.tables.len();
        (count > 0).then(|| self.tables[index % count].clone())
    }
    fn store(&mut self) -> Materialized<Text, String> {
        self.stores += 1;
        Materialized::named(format!("store-{}", self.stores))
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::ToTable { .. } | Step::Aggregate { .. } | Step::Windowed { .. } => self.stateful(step),
            Step::JoinStream { .. } | Step::JoinTable { .. } => self.join(step),
            Step::TableFilter { .. }
            | Step::TableMapValues { .. }
            | Step::TableJoin { .. }
            | Step::TableGroup { .. }
            | Step::ToStream { .. } => self.table_step(step),
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
        match *step {
            Step::ToTable { from, stored } => {
                let from = self.stream(from);
                let made = if stored {
                    from.to_table_opt_with(self.store())
                } else {
                    from.to_table_opt()
                };
                self.tables.push(made);
            }
            Step::Aggregate { from, by, fold } => {
                let from = self.stream(from);
                let made = match (fold, by) {
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
                };
                self.tables.push(made);
            }
            Step::Windowed {
                from,
                size,
                advance,
                grace,
            } => {
                let size_of = |ms: i64| millis(u64::try_from(ms).unwrap_or(0));
                let windows = TimeWindows::of(size_of(size))
                    .advance_by(size_of(advance))
                    .grace(size_of(grace));
                let table = self
                    .stream(from)
                    .group_by_key()
                    .windowed_by(windows)
                    .aggregate(String::new, |_, v: &Text, all| all + text(v));
                let made = table.to_stream().map(|w, v| {
                    let window = format!("{}@{}/{}", text(&w.key), w.window.start, w.window.end);
                    (Some(window), v.clone())
                });
                self.streams.push(made);
            }
            _ => unreachable!("not a stateful step: {step:?}"),
        }
    }

    fn join(&mut self, step: &Step) {
        match *step {
            Step::JoinStream {
                from,
                with,
                kind,
                before,
                after,
                grace,
            } => {
                let (left, right) = (self.stream(from), self.stream(with));
                let span = |ms: i64| millis(u64::try_from(ms).unwrap_or(0));
                let windows = JoinWindows::of(span(before)).after(span(after)).grace(span(grace));
                let both = |l: Option<&Text>, r: Option<&Text>| Some(joined(l.map(text), r.map(text)));
                let made = match kind {
                    Kind::Inner => left.join_stream(&right, move |l, r| both(Some(l), Some(r)), windows),
                    Kind::Left => left.left_join_stream(&right, move |l, r| both(Some(l), r), windows),
                    Kind::Outer => left.outer_join_stream(&right, both, windows),
                };
                self.streams.push(made);
            }
            Step::JoinTable { from, table, left } => {
                let Some(table) = self.table(table) else { return };
                let stream = self.stream(from);
                let made = if left {
                    stream.left_join(&table, |v, row| Some(joined(Some(text(v)), row.map(String::as_str))))
                } else {
                    stream.join(&table, |v, row| Some(joined(Some(text(v)), Some(row))))
                };
                self.streams.push(made);
            }
            _ => unreachable!("not a join of a stream: {step:?}"),
        }
    }

    fn table_step(&mut self, step: &Step) {
        let made = match *step {
            Step::TableFilter { from, letter, stored } => {
                let Some(table) = self.table(from) else { return };
                let predicate = move |_: &Text, v: &String| v.contains(letter);
                if stored {
                    table.filter_with(predicate, self.store())
                } else {
                    table.filter(predicate)
                }
            }
            Step::TableMapValues { from, by, stored } => {
                let Some(table) = self.table(from) else { return };
                if stored {
                    table.map_values_opt_with(move |_, v| by.row(v), self.store())
                } else {
                    table.map_values_opt(move |_, v| by.row(v))
                }
            }
            Step::TableJoin {
                from,
                with,
                kind,
                stored,
            } => {
                let (Some(left), Some(right)) = (self.table(from), self.table(with)) else {
                    return;
                };
                let both = |l: Option<&String>, r: Option<&String>| {
                    Ok::<_, BoxError>(Some(joined(l.map(String::as_str), r.map(String::as_str))))
                };
                let store = stored.then(|| self.store());
                match kind {
                    Kind::Inner => left.try_join_with(&right, move |l, r| both(Some(l), Some(r)), store),
                    Kind::Left => left.try_left_join_with(&right, move |l, r| both(Some(l), r), store),
                    Kind::Outer => left.try_outer_join_with(&right, both, store),
                }
            }
            Step::TableGroup { from, by } => {
                let Some(table) = self.table(from) else { return };
                table
                    .group_by(move |k, v| (by.of(k, &Some(v.clone())), v.clone()))
                    .aggregate(
                        String::new,
                        |_, v, all| format!("{all}+{v}"),
                        |_, v, all| format!("{all}-{v}"),
                    )
            }
            Step::ToStream { from } => {
                let Some(table) = self.table(from) else { return };
                self.streams.push(table.to_stream());
                return;
            }
            _ => unreachable!("not a step of a table: {step:?}"),
        };
        self.tables.push(made);
    }
}

fn grouped(stream: &Stream, by: Option<super::plan::Key>) -> KGroupedStream<Text, Text> {
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
    for (index, stored) in plan.tables.iter().enumerate() {
        let topic = Consumed::topic(format!("table-{index}"));
        let table = if *stored {
            builder.table_with(topic, made.store())
        } else {
            builder.table(topic)
        };
        made.tables.push(table);
    }
    for step in &plan.steps {
        made.step(step);
    }
    for (index, stream) in made.streams.iter().enumerate() {
        stream.to(format!("of-stream-{index}").as_str());
    }
    for (index, table) in made.tables.iter().enumerate() {
        table.to_stream().to(format!("of-table-{index}").as_str());
    }
    builder.build()
}

/// Name of the source topic of an event.
pub(crate) fn source(plan: &Plan, event: &Event) -> String {
    let index = event.topic % (plan.streams + plan.tables.len());
    if index < plan.streams {
        format!("stream-{index}")
    } else {
        format!("table-{}", index - plan.streams)
    }
}

pub(crate) fn run(plan: &Plan, events: &[Event]) -> Result<Outcome, Box<dyn std::error::Error>> {
    let topology = topology(plan)?;
    let driver = TopologyTestDriver::builder(&topology).cache_bytes(0).build()?;
    for event in events {
        let (key, value) = (
            event.key.as_ref().map(String::as_bytes),
            event.value.as_ref().map(String::as_bytes),
        );
        driver.pipe_bytes(&source(plan, event), key, value, event.time, &Headers::new())?;
    }
    let text = |bytes: Option<Vec<u8>>| bytes.map(|b| String::from_utf8_lossy(&b).into_owned());
    let mut outputs: BTreeMap<String, Vec<Output>> = BTreeMap::new();
    for record in driver.produced() {
        if record.topic.starts_with("of-") {
            let output = (text(record.key), text(record.value), record.timestamp.unwrap_or(-1));
            outputs.entry(record.topic.to_string()).or_default().push(output);
        }
    }
    Ok(Outcome {
        outputs,
        dropped: driver.dropped_records(),
    })
}
