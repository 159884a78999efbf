//! Joins of a plan as nodes.
use std::collections::BTreeMap;

use super::{
    super::plan::{Kind, Rows, Step},
    Does,
    foreign::ForeignJoin,
    graph::{Making, rows},
    join::Join,
    lookup::Waiting,
    table::Origin,
};

impl Making {
    pub(super) fn join(&mut self, step: &Step) {
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
            Step::JoinTable {
                from,
                table,
                left,
                grace,
            } => {
                let Some(table) = self.table(table) else { return };
                let grace = grace.filter(|_| self.world.has_history(table));
                self.join_table(from, table, left, grace);
            }
            Step::JoinGlobal { from, global, by, left } => {
                let count = self.world.globals.len();
                if count == 0 {
                    return;
                }
                let global = global % count;
                self.stateless(from, Does::JoinGlobal { global, by, left }, false);
                if left {
                    self.joins_null_keys.push(self.world.nodes.len() - 1);
                }
            }
            Step::TableJoin { .. } | Step::ForeignJoin { .. } => self.join_tables(step),
            _ => self.table_step(step),
        }
    }

    fn join_table(&mut self, from: usize, table: usize, left: bool, grace: Option<i64>) {
        let mut from = self.stream(from);
        if left && grace.is_some() {
            from.node = self.node(&[from.node], Does::OnlyKeys);
        }
        let parent = self.distributed_for_join(from);
        self.world.want_rows(table);
        let waiting = grace.map(|grace| {
            self.world.waiting.push(Waiting::new(grace));
            self.world.waiting.len() - 1
        });
        let node = self.node(&[parent], Does::JoinTable { table, left, waiting });
        if left {
            self.joins_null_keys.push(node);
        }
        self.push(node, false);
    }

    fn join_tables(&mut self, step: &Step) {
        match *step {
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
                let table = self.add_table(None, origin, rows(stored), |_| Does::Pass);
                for (side, is_left) in [(left, true), (right, false)] {
                    let parent = self.world.tables[side].node;
                    self.node(&[parent], Does::JoinRows { table, left: is_left });
                }
            }
            Step::ForeignJoin {
                from,
                with,
                left,
                stored,
            } => {
                let (Some(this), Some(other)) = (self.table(from), self.table(with)) else {
                    return;
                };
                self.join_foreign(this, other, left, rows(stored));
            }
            _ => unreachable!("not a join of tables: {step:?}"),
        }
    }

    fn join_foreign(&mut self, left: usize, right: usize, outer: bool, kept: Rows) {
        self.world.want_old(right, true);
        self.world.want_old(left, true);
        self.world.want_rows(left);
        self.world.want_rows(right);
        let join = self.world.foreign.len();
        let ((registration, kept_at), (response, answered_at)) = (self.topic(), self.topic());
        let parent = self.world.tables[left].node;
        self.node(&[parent], Does::Subscribe(join));
        let parent = self.world.tables[right].node;
        self.node(&[parent], Does::TellSubscribers(join));
        self.world.nodes[kept_at].does = Does::Keep(join);
        self.world.nodes[answered_at].does = Does::Respond(join);
        let result = self.add_table(None, Origin::Source, kept, Does::Table);
        self.world.foreign.push(ForeignJoin {
            left,
            right,
            outer,
            registration,
            response,
            result,
            subscribers: BTreeMap::new(),
        });
    }
}
