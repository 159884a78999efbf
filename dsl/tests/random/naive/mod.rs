//! The semantics of a plan, one record at a time, with everything remembered in lists and nothing optimised.
mod foreign;
mod graph;
mod graph_joins;
mod join;
mod lookup;
mod process;
mod queue;
mod sliding;
mod suppress;
mod table;
mod windows;

use std::collections::{BTreeMap, VecDeque};

use super::{
    Outcome, Output,
    plan::{Event, Fold, Key, Mapping, Plan, Text, passes},
};
use queue::Heads;
use windows::Input;

/// What travels: a record, or an update of a table.
#[derive(Clone, Debug, Default)]
struct Message {
    key: Text,
    new: Text,
    /// Of an update: the row before, where somebody asked for it.
    old: Text,
    time: i64,
    header: Text,
    /// An update of what a row was in the past; there is a newer one.
    outdated: bool,
    /// Of an update of a windowed table: where its row stands.
    place: Option<windows::Place>,
    /// What the two sides of a foreign-key join tell each other.
    notice: Option<foreign::Notice>,
}
impl Message {
    fn with_key(&self, key: Text) -> Self {
        Self { key, ..self.clone() }
    }
    fn with_value(&self, new: Text) -> Self {
        Self { new, ..self.clone() }
    }
}

/// What a node does. Numbers are places in the lists of [`World`].
#[derive(Clone, Debug)]
enum Does {
    Pass,
    /// From a table to a stream.
    Leave,
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
    OnlyKeys,
    OnlyValues,
    SelectKey(Key),
    FlatMap(Key),
    Write(String),
    /// To a repartition topic, which the node `source` reads.
    Send {
        topic: usize,
        keep_null_keys: bool,
    },
    Process(usize),
    Global(usize),
    Table(usize),
    Aggregate {
        table: usize,
        fold: Fold,
        input: Input,
    },
    /// `clock`: the stream time of this input of the windows.
    Windows {
        windows: usize,
        clock: usize,
        input: Input,
    },
    Suppress(usize),
    Group {
        by: Key,
        topic: usize,
        of: usize,
    },
    Ungroup(usize),
    JoinTable {
        table: usize,
        left: bool,
        waiting: Option<usize>,
    },
    JoinGlobal {
        global: usize,
        by: Key,
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
    Subscribe(usize),
    Keep(usize),
    TellSubscribers(usize),
    Respond(usize),
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
    /// Its records do not wait, and move no time.
    global: bool,
}

#[derive(Default)]
struct World {
    nodes: Vec<Node>,
    topics: Vec<Topic>,
    heads: Heads,
    tables: Vec<table::Table>,
    globals: Vec<BTreeMap<Text, String>>,
    joins: Vec<join::Join>,
    foreign: Vec<foreign::ForeignJoin>,
    windows: Vec<windows::Windows>,
    /// Stream times that operators have seen.
    clocks: Vec<i64>,
    buffers: Vec<suppress::Buffer>,
    waiting: Vec<lookup::Waiting>,
    processors: Vec<process::Counting>,
    stream_schedules: process::Schedules,
    wall_schedules: process::Schedules,
    stream_time: i64,
    wall_clock: i64,
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
    fn forward_all(&mut self, node: usize, messages: &[Message]) {
        for message in messages {
            self.forward(node, message);
        }
    }

    fn receive(&mut self, node: usize, m: &Message) {
        let (key, value) = (&m.key, &m.new);
        match self.nodes[node].does.clone() {
            Does::Pass => self.forward(node, m),
            Does::Leave => self.forward(
                node,
                &Message {
                    old: None,
                    outdated: false,
                    place: None,
                    ..m.clone()
                },
            ),
            Does::Filter { letter, keep } => self.forward_if(passes(letter, value) == keep, node, m),
            Does::OnlyKeys => self.forward_if(key.is_some(), node, m),
            Does::OnlyValues => self.forward_if(value.is_some(), node, m),
            Does::Split { letter, first, rest } => self.receive(if passes(letter, value) { first } else { rest }, m),
            Does::Map(by) => self.forward(node, &m.with_value(by.apply(value))),
            Does::FlatMapValues => self.forward_all(node, &[m.clone(), m.with_value(None)]),
            Does::SelectKey(by) => self.forward(node, &m.with_key(by.of(key, value))),
            Does::FlatMap(by) => {
                self.forward_all(node, &[m.with_key(by.of(key, value)), m.with_value(key.clone())]);
            }
            Does::Write(topic) => {
                let output = (key.clone(), value.clone(), m.time, m.header.clone());
                self.outputs.entry(topic).or_default().push(output);
            }
            Does::Send { topic, keep_null_keys } => {
                if key.is_some() || keep_null_keys {
                    self.sent.push((topic, m.clone()));
                }
            }
            Does::Process(processor) => self.count(node, processor, m),
            Does::Global(global) => self.set_global(global, m),
            Does::Table(table) => self.update(node, table, m),
            Does::Aggregate { table, fold, input } => self.aggregate(node, table, (fold, input), m),
            Does::Windows { windows, clock, input } => self.add_to_windows(node, windows, clock, input, m),
            Does::Suppress(buffer) => self.suppress(node, buffer, m),
            Does::Group { by, topic, of } => self.group(by, topic, of, m),
            Does::Ungroup(table) => self.ungroup(node, table, m),
            Does::JoinTable { table, left, waiting } => self.join_table(node, table, left, waiting, m),
            Does::JoinGlobal { global, by, left } => self.join_global(node, global, by, left, m),
            Does::JoinStream { join, left } => self.join_stream(join, left, m),
            Does::JoinRows { table, left } => self.join_rows(table, left, m),
            Does::Subscribe(join) => self.subscribe(join, m),
            Does::Keep(join) => self.keep_subscription(join, m),
            Does::TellSubscribers(join) => self.tell_subscribers(join, m),
            Does::Respond(join) => self.respond(join, m),
        }
    }
    fn forward_if(&mut self, passes: bool, node: usize, m: &Message) {
        if passes {
            self.forward(node, m);
        }
    }

    fn arrive(&mut self, topic: usize, record: Message) {
        let waiting = &mut self.topics[topic].waiting;
        if waiting.is_empty() {
            self.heads.push(record.time, topic);
        }
        waiting.push_back(record);
    }
    /// What was written to repartition topics can be read now.
    fn hand_over(&mut self) {
        for (topic, record) in std::mem::take(&mut self.sent) {
            self.arrive(topic, record);
        }
    }
    /// Processes what waits.
    fn drain(&mut self) {
        while let Some(topic) = self.heads.pop() {
            let Some(record) = self.topics[topic].waiting.pop_front() else {
                continue;
            };
            if let Some(next) = self.topics[topic].waiting.front() {
                self.heads.push(next.time, topic);
            }
            self.stream_time = self.stream_time.max(record.time);
            self.receive(self.topics[topic].source, &record);
            self.punctuate_stream();
            self.hand_over();
        }
    }
}

/// What the plan gives for these events.
pub(crate) fn run(plan: &Plan, events: &[Event]) -> Outcome {
    let mut world = graph::world(plan);
    for event in events {
        if event.advance > 0 {
            world.wall_clock += event.advance;
            world.punctuate_wall();
            world.hand_over();
            world.drain();
        }
        let topic = event.topic % plan.sources();
        let record = Message {
            key: event.key.clone(),
            new: event.value.clone(),
            time: event.time,
            header: event.header.clone(),
            ..Message::default()
        };
        if world.topics[topic].global {
            world.receive(world.topics[topic].source, &record);
        } else {
            world.arrive(topic, record);
            world.drain();
        }
    }
    Outcome {
        outputs: world.outputs,
        dropped: world.dropped,
    }
}
