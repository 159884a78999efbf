//! From a plan to nodes, in the order in which they are made: children take records in that order.
use std::collections::{BTreeMap, VecDeque};

use super::{
    super::plan::{Cut, Emit, Fold, Plan, Rows, Step},
    Does, Node, Topic, World,
    process::Counting,
    suppress::Buffer,
    table::Origin,
    windows::{Input, Windows},
};

/// A stream in the making.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    pub(super) node: usize,
    /// Its keys may have changed since records were last distributed by key.
    rekeyed: bool,
}

#[derive(Default)]
pub(super) struct Making {
    pub(super) world: World,
    streams: Vec<Stream>,
    tables: Vec<usize>,
    /// Node of a re-keyed stream -> source of the topic that its joins share.
    join_topics: BTreeMap<usize, usize>,
    /// Nodes with results for null keys: repartition topics above them keep such records.
    pub(super) joins_null_keys: Vec<usize>,
}

impl Making {
    pub(super) fn node(&mut self, parents: &[usize], does: Does) -> usize {
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
    pub(super) fn stream(&self, index: usize) -> Stream {
        self.streams[index % self.streams.len()]
    }
    pub(super) fn table(&self, index: usize) -> Option<usize> {
        let count = self.tables.len();
        (count > 0).then(|| self.tables[index % count])
    }
    pub(super) fn push(&mut self, node: usize, rekeyed: bool) {
        self.streams.push(Stream { node, rekeyed });
    }
    /// A topic and the node that reads it.
    pub(super) fn topic(&mut self) -> (usize, usize) {
        let source = self.node(&[], Does::Pass);
        self.world.topics.push(Topic {
            source,
            waiting: VecDeque::new(),
            global: false,
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
    pub(super) fn distributed_for_join(&mut self, from: Stream) -> usize {
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
    pub(super) fn add_table(
        &mut self,
        parent: Option<usize>,
        origin: Origin,
        kept: Rows,
        does: impl Fn(usize) -> Does,
    ) -> usize {
        let table = self.world.add_table(origin, kept);
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
            Step::Process { from, every, wall } => self.process(from, Some((every, wall))),
            Step::ProcessValues { from } => self.process(from, None),
            _ => self.stateful(step),
        }
    }

    fn process(&mut self, from: usize, schedule: Option<(i64, bool)>) {
        let processor = self.world.processors.len();
        self.stateless(from, Does::Process(processor), schedule.is_some());
        self.world.processors.push(Counting::at(self.world.nodes.len() - 1));
        match schedule {
            // By stream time the first run is the first record, by the wall clock it is one interval later.
            Some((every, false)) => self.world.stream_schedules.add(processor, 0, every),
            Some((every, true)) => self.world.wall_schedules.add(processor, every, every),
            None => {}
        }
    }

    fn stateful(&mut self, step: &Step) {
        match *step {
            Step::ToTable { from, stored } => {
                let parent = self.distributed(self.stream(from));
                self.add_table(Some(parent), Origin::Source, rows(stored), Does::Table);
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
                let input = Input::Only;
                let does = |table| Does::Aggregate { table, fold, input };
                self.add_table(Some(parent), Origin::Aggregate, Rows::Stored, does);
            }
            Step::Cogroup { from, with } => {
                let parents = self.distributed_both(from, with);
                let inputs = parents.map(|parent| self.node(&[parent], Does::Pass));
                let fold = Fold::Text;
                let table = self.add_table(None, Origin::Aggregate, Rows::Stored, |_| Does::Pass);
                let together = self.world.tables[table].node;
                for (node, input) in inputs.into_iter().zip([Input::First, Input::Second]) {
                    self.world.nodes[node] = Node {
                        does: Does::Aggregate { table, fold, input },
                        children: vec![together],
                    };
                }
            }
            Step::Windowed { from, cut, grace, emit } => {
                let parent = self.distributed(self.stream(from));
                let on_close = emit == Emit::Close && cut.closes();
                self.windowed(&[(parent, Input::Only)], Windows::new(cut, grace, on_close));
                self.shown(cut, grace, emit);
            }
            Step::CogroupWindowed {
                from,
                with,
                cut,
                grace,
                emit,
            } => {
                let [one, two] = self.distributed_both(from, with);
                let inputs = [(one, Input::First), (two, Input::Second)];
                self.windowed(&inputs, Windows::new(cut, grace, false));
                self.shown(cut, grace, emit);
            }
            _ => self.join(step),
        }
    }
    fn distributed_both(&mut self, from: usize, with: usize) -> [usize; 2] {
        let (from, with) = (self.stream(from), self.stream(with));
        [self.distributed(from), self.distributed(with)]
    }

    /// The last node takes all results.
    fn windowed(&mut self, inputs: &[(usize, Input)], windows: Windows) {
        self.world.windows.push(windows);
        let windows = self.world.windows.len() - 1;
        let mut nodes = Vec::new();
        for (parent, input) in inputs {
            self.world.clocks.push(-1);
            let (clock, input) = (self.world.clocks.len() - 1, *input);
            nodes.push(self.node(&[*parent], Does::Windows { windows, clock, input }));
        }
        self.node(&nodes, Does::Pass);
    }
    /// Results of windows as a stream.
    fn shown(&mut self, cut: Cut, grace: i64, emit: Emit) {
        let mut last = self.world.nodes.len() - 1;
        if emit == Emit::Suppressed && cut.closes() {
            let gap = if let Cut::Session { gap } = cut { gap } else { 0 };
            self.world.buffers.push(Buffer::new(true, grace + gap, None));
            last = self.node(&[last], Does::Suppress(self.world.buffers.len() - 1));
        }
        let node = self.node(&[last], Does::Leave);
        self.push(node, true);
    }

    pub(super) fn stateless(&mut self, from: usize, does: Does, rekeys: bool) {
        let from = self.stream(from);
        let node = self.node(&[from.node], does);
        self.push(node, from.rekeyed || rekeys);
    }

    pub(super) fn table_step(&mut self, step: &Step) {
        match *step {
            Step::TableFilter { from, letter, stored } => {
                let Some(of) = self.table(from) else { return };
                let tells = self.world.want_old(of, false);
                let parent = self.world.tables[of].node;
                let table = self.add_table(Some(parent), Origin::Filter { of, letter }, rows(stored), Does::Table);
                self.world.tables[table].tells_old = tells;
            }
            Step::TableMapValues { from, by, stored } => {
                let Some(of) = self.table(from) else { return };
                let parent = self.world.tables[of].node;
                self.add_table(Some(parent), Origin::Map { of, by }, rows(stored), Does::Table);
            }
            Step::TableGroup { from, by } => {
                let Some(of) = self.table(from) else { return };
                self.world.want_old(of, true);
                let (topic, source) = self.topic();
                let parent = self.world.tables[of].node;
                self.node(&[parent], Does::Group { by, topic, of });
                self.add_table(Some(source), Origin::Aggregate, Rows::Stored, Does::Ungroup);
            }
            Step::Suppress { from, wait, most } => {
                let of = self.table(from).filter(|of| !self.world.has_history(*of));
                let Some(of) = of else { return };
                self.world.want_old(of, true);
                let buffer = self.world.buffers.len();
                self.world.buffers.push(Buffer::new(false, wait, most));
                let parent = self.world.tables[of].node;
                let origin = Origin::Suppressed { of, buffer };
                self.add_table(Some(parent), origin, Rows::Asked, |_| Does::Suppress(buffer));
            }
            Step::ToStream { from } => {
                let Some(of) = self.table(from) else { return };
                let parent = self.world.tables[of].node;
                let node = self.node(&[parent], Does::Leave);
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
            Does::Subscribe(join) => vec![self.world.topics[self.world.foreign[*join].registration].source],
            Does::Keep(join) | Does::TellSubscribers(join) => {
                vec![self.world.topics[self.world.foreign[*join].response].source]
            }
            Does::Respond(join) => vec![self.world.tables[self.world.foreign[*join].result].node],
            _ => Vec::new(),
        };
        let mut behind = behind.iter().chain(&this.children);
        behind.any(|next| self.leads_to_null_keys(*next, seen))
    }
}

pub(super) fn rows(stored: bool) -> Rows {
    if stored { Rows::Stored } else { Rows::Asked }
}

pub(super) fn world(plan: &Plan) -> World {
    let mut making = Making::default();
    making.world.stream_time = -1;
    for _ in 0..plan.streams {
        let (_, source) = making.topic();
        making.push(source, false);
    }
    for kept in &plan.tables {
        let (_, source) = making.topic();
        making.add_table(Some(source), Origin::Source, *kept, Does::Table);
    }
    for global in 0..plan.globals {
        let (topic, source) = making.topic();
        making.world.topics[topic].global = true;
        making.world.nodes[source].does = Does::Global(global);
        making.world.globals.push(BTreeMap::new());
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
