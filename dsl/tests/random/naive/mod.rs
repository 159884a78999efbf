//! The semantics of a plan, one record at a time, with everything remembered in lists and nothing optimised.
mod graph;
mod join;
mod queue;
mod table;

use std::collections::{BTreeMap, VecDeque};

use super::{
    Outcome, Output,
    plan::{Event, Fold, Key, Mapping, Plan, Text, passes, text},
};
use queue::Heads;

/// What travels: a record, or an update of a table.
#[derive(Clone, Debug)]
struct Message {
    key: Text,
    new: Text,
    /// Of an update: the row before, where somebody asked for it.
    old: Text,
    time: i64,
}
impl Message {
    fn record(key: Text, value: Text, time: i64) -> Self {
        Self {
            key,
            new: value,
            old: None,
            time,
        }
    }
}

/// What a node does. Numbers are places in the lists of [`World`].
#[derive(Clone, Debug)]
enum Does {
    Pass,
    Filter {
        letter: char,
        keep: bool,
    },
    /// Branches, tried in order; the last takes what is left.
    Split {
        letter: char,
        first: usize,
        rest: usize,
    },
    Map(Mapping),
    FlatMapValues,
    OnlyValues,
    SelectKey(Key),
    FlatMap(Key),
    Write(String),
    /// To a repartition topic, which the node `source` reads.
    Send {
        topic: usize,
        keep_null_keys: bool,
    },
    Table(usize),
    Aggregate {
        table: usize,
        fold: Fold,
    },
    Windows {
        size: i64,
        advance: i64,
        grace: i64,
        now: i64,
        rows: BTreeMap<(Text, i64), (String, i64)>,
    },
    Group {
        by: Key,
        topic: usize,
    },
    Ungroup(usize),
    JoinTable {
        table: usize,
        left: bool,
    },
    JoinStream {
        join: usize,
        left: bool,
    },
    JoinRows {
        table: usize,
        left: bool,
    },
}

#[derive(Debug)]
struct Node {
    does: Does,
    children: Vec<usize>,
}

#[derive(Debug)]
struct Topic {
    /// The node that takes its records.
    source: usize,
    waiting: VecDeque<Message>,
}

struct World {
    nodes: Vec<Node>,
    topics: Vec<Topic>,
    tables: Vec<table::Table>,
    joins: Vec<join::Join>,
    /// Written to repartition topics while the record of the moment is processed.
    sent: Vec<(usize, Message)>,
    outputs: BTreeMap<String, Vec<Output>>,
    dropped: u64,
}

impl World {
    fn forward(&mut self, node: usize, message: &Message) {
        for child in self.nodes[node].children.clone() {
            self.receive(child, message);
        }
    }

    fn receive(&mut self, node: usize, m: &Message) {
        let (key, value) = (&m.key, &m.new);
        match self.nodes[node].does.clone() {
            Does::Pass => self.forward(node, m),
            Does::Filter { letter, keep } => {
                if passes(letter, value) == keep {
                    self.forward(node, m);
                }
            }
            Does::Split { letter, first, rest } => self.receive(if passes(letter, value) { first } else { rest }, m),
            Does::Map(by) => self.forward(
                node,
                &Message {
                    new: by.apply(value),
                    ..m.clone()
                },
            ),
            Does::FlatMapValues => {
                self.forward(node, m);
                self.forward(node, &Message { new: None, ..m.clone() });
            }
            Does::OnlyValues => {
                if value.is_some() {
                    self.forward(node, m);
                }
            }
            Does::SelectKey(by) => self.forward(
                node,
                &Message {
                    key: by.of(key, value),
                    ..m.clone()
                },
            ),
            Does::FlatMap(by) => {
                self.forward(
                    node,
                    &Message {
                        key: by.of(key, value),
                        ..m.clone()
                    },
                );
                self.forward(
                    node,
                    &Message {
                        new: key.clone(),
                        ..m.clone()
                    },
                );
            }
            Does::Write(topic) => {
                let output = (key.clone(), value.clone(), m.time);
                self.outputs.entry(topic).or_default().push(output);
            }
            Does::Send { topic, keep_null_keys } => {
                if key.is_some() || keep_null_keys {
                    self.sent.push((topic, m.clone()));
                }
            }
            Does::Table(table) => self.update(node, table, m),
            Does::Aggregate { table, fold } => self.aggregate(node, table, fold, m),
            Does::Windows { .. } => self.windows(node, m),
            Does::Group { by, topic } => self.group(by, topic, m),
            Does::Ungroup(table) => self.ungroup(node, table, m),
            Does::JoinTable { table, left } => self.join_table(node, table, left, m),
            Does::JoinStream { join, left } => self.join_stream(join, left, m),
            Does::JoinRows { table, left } => self.join_rows(table, left, m),
        }
    }

    fn windows(&mut self, node: usize, m: &Message) {
        if m.key.is_none() {
            self.dropped += 1;
            return;
        }
        let mut results = Vec::new();
        let Does::Windows {
            size,
            advance,
            grace,
            now,
            rows,
        } = &mut self.nodes[node].does
        else {
            return;
        };
        *now = (*now).max(m.time);
        // Every start there may be, instead of a formula for the first.
        for start in (m.time - *size + 1).max(0)..=m.time {
            if start % *advance != 0 {
                continue;
            }
            let end = start + *size;
            if end <= *now - *grace {
                self.dropped += 1;
                continue;
            }
            let row = rows.entry((m.key.clone(), start)).or_insert((String::new(), m.time));
            row.0.push_str(text(&m.new));
            row.1 = row.1.max(m.time);
            let window = format!("{}@{start}/{end}", text(&m.key));
            results.push(Message::record(Some(window), Some(row.0.clone()), row.1));
        }
        for result in results {
            self.forward(node, &result);
        }
    }
}

/// What the plan gives for these events.
pub(crate) fn run(plan: &Plan, events: &[Event]) -> Outcome {
    let mut world = graph::world(plan);
    let sources = plan.streams + plan.tables.len();
    let mut heads = Heads::default();
    for event in events {
        let topic = event.topic % sources;
        let record = Message::record(event.key.clone(), event.value.clone(), event.time);
        world.arrive(&mut heads, topic, record);
        while let Some(topic) = heads.pop() {
            let Some(record) = world.topics[topic].waiting.pop_front() else {
                continue;
            };
            if let Some(next) = world.topics[topic].waiting.front() {
                heads.push(next.time, topic);
            }
            let source = world.topics[topic].source;
            world.receive(source, &record);
            for (topic, record) in std::mem::take(&mut world.sent) {
                world.arrive(&mut heads, topic, record);
            }
        }
    }
    Outcome {
        outputs: world.outputs,
        dropped: world.dropped,
    }
}

impl World {
    fn arrive(&mut self, heads: &mut Heads, topic: usize, record: Message) {
        let waiting = &mut self.topics[topic].waiting;
        if waiting.is_empty() {
            heads.push(record.time, topic);
        }
        waiting.push_back(record);
    }
}
