//! Joins of streams and tables.
use millstream_dsl::prelude::*;

use super::{
    super::plan::{Kind, Step, Text, foreign_key, joined, text},
    Made, MadeTable, span,
};

fn with_row(value: &Text, row: Option<&String>) -> Text {
    Some(joined(Some(text(value)), row.map(String::as_str)))
}

impl Made {
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
                let (left, right) = (self.stream(from), self.stream(with));
                let windows = JoinWindows::of(span(before)).after(span(after)).grace(span(grace));
                let both = |l: Option<&Text>, r: Option<&Text>| Some(joined(l.map(text), r.map(text)));
                let made = match kind {
                    Kind::Inner => left.join_stream(&right, move |l, r| both(Some(l), Some(r)), windows),
                    Kind::Left => left.left_join_stream(&right, move |l, r| both(Some(l), r), windows),
                    Kind::Outer => left.outer_join_stream(&right, both, windows),
                };
                self.streams.push(made);
            }
            Step::JoinTable {
                from,
                table,
                left,
                grace,
            } => {
                let Some(table) = self.made_table(table) else { return };
                self.join_table(from, &table, left, grace);
            }
            Step::JoinGlobal { from, global, by, left } => {
                let count = self.globals.len();
                let Some(table) = self.globals.get(global % count.max(1)).cloned() else {
                    return;
                };
                let (stream, key) = (self.stream(from), move |k: &Text, v: &Text| by.of(k, v));
                let key = move |k: &Text, v: &Text| Some(key(k, v));
                let made = if left {
                    stream.left_join_global(&table, key, with_row)
                } else {
                    stream.join_global(&table, key, |v, row| with_row(v, Some(row)))
                };
                self.streams.push(made);
            }
            _ => unreachable!("not a join of a stream: {step:?}"),
        }
    }

    fn join_table(&mut self, from: usize, made: &MadeTable, left: bool, grace: Option<i64>) {
        let table = &made.table;
        let grace = grace.filter(|_| made.history);
        let stream = match grace {
            // A record without a key cannot wait.
            Some(_) if left => self.stream(from).filter(|k, _| k.is_some()),
            _ => self.stream(from),
        };
        let joined = match grace {
            None => Joined::new(),
            Some(grace) => Joined::new().grace(span(grace)),
        };
        let made = if left {
            stream.left_join_with(table, |_, v, row| with_row(v, row), joined)
        } else {
            stream.join_with(table, |_, v, row| with_row(v, Some(row)), joined)
        };
        self.streams.push(made);
    }

    pub(super) fn join_tables(&mut self, step: &Step) {
        let made = match *step {
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
            Step::ForeignJoin {
                from,
                with,
                left,
                stored,
            } => {
                let (Some(this), Some(other)) = (self.table(from), self.table(with)) else {
                    return;
                };
                let key = |_: &Text, v: &String| foreign_key(v).map(Some);
                let store = if stored { self.store() } else { Materialized::new() };
                let joined = TableJoined::new();
                let result =
                    |v: &String, row: Option<&String>| super::super::plan::joined(Some(v), row.map(String::as_str));
                if left {
                    this.left_join_on_with(&other, key, result, joined, store)
                } else {
                    this.join_on_with(&other, key, move |v, row| result(v, Some(row)), joined, store)
                }
            }
            _ => unreachable!("not a join of tables: {step:?}"),
        };
        self.push_table(made, false);
    }
}
