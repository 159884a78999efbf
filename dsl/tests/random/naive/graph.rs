//! From a plan to nodes, in the order in which they are made: children take records in that order.
use std::collections::{BTreeMap, VecDeque};

use super::{
    super::plan::{Fold, Kind, Plan, Step},
    Does, Node, Topic, World,
    join::Join,
    table::Origin,
};

/// A stream in the making.
#[derive(Clone, Copy)]
struct Stream {
    node: usize,
    /// Its keys may have changed since records were last distributed by key.
    rekeyed: bool,
}

struct Making {
    world: World,
    streams: Vec<Stream>,
    tables: Vec<usize>,
    /// Node of a re-keyed stream -> source of the topic that its joins share.
    join_topics: BTreeMap<usize, usize>,
    /// Nodes with results for null keys: repartition topics above them keep such records.
    joins_null_keys: Vec<usize>,
}

impl Making {
    fn node(&mut self, parents: &[usize], does: Does) -> usize {
        self.world.nodes.push(Node {
            does,
            children: Vec::new(),
        });
        let node = self.world.nodes.len() - 1;
        for parent in parents {
            let children = &mut self.world.nodes[*parent].children;
            if !children.contains(&node) {
                children.push(node);
            }
        }
        node
    }
    fn stream(&self, index: usize) -> Stream {
        self.streams[index % self.streams.len()]
    }
    fn table(&self, index: usize) -> Option<usize> {
        let count = self.tables.len();
        (count > 0).then(|| self.tables[index % count])
    }
    fn push(&mut self, node: usize, rekeyed: bool) {
        self.streams.push(Stream { node, rekeyed });
    }
    /// A topic and the node that reads it.
    fn topic(&mut self) -> (usize, usize) {
        let source = self.node(&[], Does::Pass);
        self.world.topics.push(Topic {
            source,
            waiting: VecDeque::new(),
        });
        (self.world.topics.len() - 1, source)
    }
    fn repartition(&mut self, from: usize) -> usize {
        let (topic, source) = self.topic();
        self.node(
            &[from],
            Does::Send {
                topic,
                keep_null_keys: false,
            },
        );
        source
    }
    fn distributed(&mut self, from: Stream) -> usize {
        if from.rekeyed {
            self.repartition(from.node)
        } else {
            from.node
        }
    }
    fn distributed_for_join(&mut self, from: Stream) -> usize {
        if !from.rekeyed {
            return from.node;
        }
        if let Some(source) = self.join_topics.get(&from.node) {
            return *source;
        }
        let source = self.repartition(from.node);
        self.join_topics.insert(from.node, source);
        source
    }
    /// A table behind `parent`; `does` gets its number.
    fn add_table(
        &mut self,
        parent: Option<usize>,
        origin: Origin,
        stored: bool,
        does: impl Fn(usize) -> Does,
    ) -> usize {
        let table = self.world.add_table(origin, stored);
        let node = self.world.tables[table].node;
        self.world.nodes[node].does = does(table);
        if let Some(parent) = parent {
            self.world.nodes[parent].children.push(node);
        }
        self.tables.push(table);
        table
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Filter { from, letter, keep } => self.stateless(from, Does::Filter { letter, keep }, false),
            Step::MapValues { from, by } => self.stateless(from, Does::Map(by), false),
            Step::FlatMapValues { from } => self.stateless(from, Does::FlatMapValues, false),
            Step::SelectKey { from, by } => self.stateless(from, Does::SelectKey(by), true),
            Step::FlatMap { from, by } => self.stateless(from, Does::FlatMap(by), true),
            Step::Merge { from, with } => {
                let (a, b) = (self.stream(from), self.stream(with));
                let node = self.node(&[a.node, b.node], Does::Pass);
                self.push(node, a.rekeyed || b.rekeyed);
            }
            Step::Split { from, letter } => {
                let from = self.stream(from);
                let (first, rest) = (self.node(&[], Does::Pass), self.node(&[], Does::Pass));
                self.node(&[from.node], Does::Split { letter, first, rest });
                self.push(first, from.rekeyed);
                self.push(rest, from.rekeyed);
            }
            Step::Repartition { from } => {
                let source = self.repartition(self.stream(from).node);
                self.push(source, false);
            }
            _ => self.stateful(step),
        }
    }

    fn stateful(&mut self, step: &Step) {
        match *step {
            Step::ToTable { from, stored } => {
                let parent = self.distributed(self.stream(from));
                self.add_table(Some(parent), Origin::Source, stored, Does::Table);
            }
            Step::Aggregate { from, by, fold } => {
                let mut from = self.stream(from);
                if matches!(fold, Fold::Reduce) {
                    from.node = self.node(&[from.node], Does::OnlyValues);
                }
                if let Some(by) = by {
                    from.node = self.node(&[from.node], Does::SelectKey(by));
                    from.rekeyed = true;
                }
                let parent = self.distributed(from);
                self.add_table(Some(parent), Origin::Aggregate, true, |table| Does::Aggregate {
                    table,
                    fold,
                });
            }
            Step::Windowed {
                from,
                size,
                advance,
                grace,
            } => {
                let parent = self.distributed(self.stream(from));
                let rows = BTreeMap::new();
                let node = self.node(
                    &[parent],
                    Does::Windows {
                        size,
                        advance,
                        grace,
                        now: -1,
                        rows,
                    },
                );
                self.push(node, true);
            }
            _ => self.join(step),
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
                let left = self.distributed_for_join(self.stream(from));
                let right = self.distributed_for_join(self.stream(with));
                let out = self.node(&[], Does::Pass);
                let join = self.world.joins.len();
                self.world.joins.push(Join::new(kind, before, after, grace, out));
                let sides = [(left, true), (right, false)].map(|(parent, left)| {
                    let node = self.node(&[], Does::JoinStream { join, left });
                    self.world.nodes[parent].children.push(node);
                    node
                });
                if kind != Kind::Inner {
                    self.joins_null_keys.extend(sides);
                }
                self.push(out, false);
            }
            Step::JoinTable { from, table, left } => {
                let Some(table) = self.table(table) else { return };
                let parent = self.distributed_for_join(self.stream(from));
                self.world.want_rows(table);
                let node = self.node(&[parent], Does::JoinTable { table, left });
                if left {
                    self.joins_null_keys.push(node);
                }
                self.push(node, false);
            }
            _ => self.table_step(step),
        }
    }

    fn stateless(&mut self, from: usize, does: Does, rekeys: bool) {
        let from = self.stream(from);
        let node = self.node(&[from.node], does);
        self.push(node, from.rekeyed || rekeys);
    }

    fn table_step(&mut self, step: &Step) {
        match *step {
            Step::TableFilter { from, letter, stored } => {
                let Some(of) = self.table(from) else { return };
                let tells = self.world.want_old(of, false);
                let parent = self.world.tables[of].node;
                let table = self.add_table(Some(parent), Origin::Filter { of, letter }, stored, Does::Table);
                self.world.tables[table].tells_old = tells;
            }
            Step::TableMapValues { from, by, stored } => {
                let Some(of) = self.table(from) else { return };
                let parent = self.world.tables[of].node;
                self.add_table(Some(parent), Origin::Map { of, by }, stored, Does::Table);
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
                if kind != Kind::Inner {
                    self.world.want_old(left, true);
                }
                if kind == Kind::Outer {
                    self.world.want_old(right, true);
                }
                self.world.want_rows(left);
                self.world.want_rows(right);
                let origin = Origin::Join { left, right, kind };
                let table = self.add_table(None, origin, stored, |_| Does::Pass);
                for (side, is_left) in [(left, true), (right, false)] {
                    let parent = self.world.tables[side].node;
                    self.node(&[parent], Does::JoinRows { table, left: is_left });
                }
            }
            Step::TableGroup { from, by } => {
                let Some(of) = self.table(from) else { return };
                self.world.want_old(of, true);
                let (topic, source) = self.topic();
                let parent = self.world.tables[of].node;
                self.node(&[parent], Does::Group { by, topic });
                self.add_table(Some(source), Origin::Aggregate, true, Does::Ungroup);
            }
            Step::ToStream { from } => {
                let Some(of) = self.table(from) else { return };
                let parent = self.world.tables[of].node;
                let node = self.node(&[parent], Does::Pass);
                self.push(node, false);
            }
            _ => unreachable!("not a step of a table: {step:?}"),
        }
    }

    /// Whether a left or outer join is somewhere behind the node.
    fn leads_to_null_keys(&self, node: usize, seen: &mut Vec<usize>) -> bool {
        if self.joins_null_keys.contains(&node) {
            return true;
        }
        if seen.contains(&node) {
            return false;
        }
        seen.push(node);
        let this = &self.world.nodes[node];
        let behind: Vec<usize> = match &this.does {
            Does::Send { topic, .. } | Does::Group { topic, .. } => vec![self.world.topics[*topic].source],
            Does::Split { first, rest, .. } => vec![*first, *rest],
            Does::JoinStream { join, .. } => vec![self.world.joins[*join].out],
            Does::JoinRows { table, .. } => vec![self.world.tables[*table].node],
            _ => Vec::new(),
        };
        let mut behind = behind.iter().chain(&this.children);
        behind.any(|next| self.leads_to_null_keys(*next, seen))
    }
}

pub(super) fn world(plan: &Plan) -> World {
    let world = World {
        nodes: Vec::new(),
        topics: Vec::new(),
        tables: Vec::new(),
        joins: Vec::new(),
        sent: Vec::new(),
        outputs: BTreeMap::new(),
        dropped: 0,
    };
    let mut making = Making {
        world,
        streams: Vec::new(),
        tables: Vec::new(),
        join_topics: BTreeMap::new(),
        joins_null_keys: Vec::new(),
    };
    for _ in 0..plan.streams {
        let (_, source) = making.topic();
        making.push(source, false);
    }
    for stored in &plan.tables {
        let (_, source) = making.topic();
        making.add_table(Some(source), Origin::Source, *stored, Does::Table);
    }
    for step in &plan.steps {
        making.step(step);
    }
    for (index, stream) in making.streams.clone().into_iter().enumerate() {
        making.node(&[stream.node], Does::Write(format!("of-stream-{index}")));
    }
    for (index, table) in making.tables.clone().into_iter().enumerate() {
        let parent = making.world.tables[table].node;
        making.node(&[parent], Does::Write(format!("of-table-{index}")));
    }
    for node in 0..making.world.nodes.len() {
        let keeps = making.leads_to_null_keys(node, &mut Vec::new());
        if let Does::Send { keep_null_keys, .. } = &mut making.world.nodes[node].does {
            *keep_null_keys = keeps;
        }
    }
    making.world
}
