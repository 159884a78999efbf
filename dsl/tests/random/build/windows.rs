//! Steps with windows, and those that group two streams together.
use millstream_dsl::prelude::*;

use super::{
    super::plan::{Cut, Emit, Step, Text, text, windowed},
    Made, span,
};

type Windows = KTable<Windowed<Text>, String>;

/// Whether a value deletes the row.
fn add(all: String, value: &Text) -> Result<Option<String>, BoxError> {
    Ok((text(value) != "2").then(|| all + text(value)))
}

impl Made {
    /// Two streams that go into one table; names, because both may need a repartition topic.
    pub(super) fn cogrouped(&mut self, from: usize, with: usize) -> CogroupedKStream<Text, String> {
        let (one, two) = (self.name("group"), self.name("group"));
        let from = self.stream(from).group_by_key_with(Grouped::named(one));
        let with = self.stream(with).group_by_key_with(Grouped::named(two));
        from.cogroup(|_, v: &Text, all: String| all + text(v))
            .cogroup(&with, |_, v: &Text, all| all + "&" + text(v))
    }

    pub(super) fn windows(&mut self, step: &Step) {
        let (table, cut, emit) = match *step {
            Step::Windowed { from, cut, grace, emit } => (self.windowed(from, cut, grace, emit), cut, emit),
            Step::CogroupWindowed {
                from,
                with,
                cut,
                grace,
                emit,
            } => (self.cogrouped_windowed(from, with, cut, grace), cut, emit),
            _ => unreachable!("not a step with windows: {step:?}"),
        };
        let table = if emit == Emit::Suppressed && cut.closes() {
            table.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()))
        } else {
            table
        };
        let made = table
            .to_stream()
            .map(|w, v| (windowed(&w.key, w.window.start, w.window.end), v.clone()));
        self.streams.push(made);
    }

    fn windowed(&self, from: usize, cut: Cut, grace: i64, emit: Emit) -> Windows {
        let grouped = self.stream(from).group_by_key();
        let strategy = match emit {
            Emit::Close if cut.closes() => EmitStrategy::OnWindowClose,
            _ => EmitStrategy::OnWindowUpdate,
        };
        let add = |_: &Text, v: &Text, all| add(all, v);
        let store = Materialized::new;
        match cut {
            Cut::Aligned { size, advance } => {
                let windows = TimeWindows::of(span(size)).advance_by(span(advance)).grace(span(grace));
                let windowed = grouped.windowed_by(windows).emit(strategy);
                windowed.try_aggregate_with(String::new, add, store())
            }
            Cut::Sliding { size } => {
                let windows = SlidingWindows::of(span(size)).grace(span(grace));
                let windowed = grouped.windowed_by(windows).emit(strategy);
                windowed.try_aggregate_with(String::new, add, store())
            }
            Cut::Session { gap } => {
                let windows = SessionWindows::of(span(gap)).grace(span(grace));
                let windowed = grouped.windowed_by(windows).emit(strategy);
                let merge = |_: &Text, one: String, two: String| Ok(Some(one + "&" + &two));
                windowed.try_aggregate_with(String::new, add, merge, store())
            }
            Cut::Unlimited { start } => {
                let windowed = grouped.windowed_by(UnlimitedWindows::of().start_on(start));
                windowed.try_aggregate_with(String::new, add, store())
            }
        }
    }

    fn cogrouped_windowed(&mut self, from: usize, with: usize, cut: Cut, grace: i64) -> Windows {
        let grouped = self.cogrouped(from, with);
        match cut {
            Cut::Aligned { size, advance } => {
                let windows = TimeWindows::of(span(size)).advance_by(span(advance)).grace(span(grace));
                grouped.windowed_by(windows).aggregate(String::new)
            }
            Cut::Sliding { size } => {
                let windows = SlidingWindows::of(span(size)).grace(span(grace));
                grouped.windowed_by(windows).aggregate(String::new)
            }
            Cut::Session { gap } => {
                let windows = SessionWindows::of(span(gap)).grace(span(grace));
                let merge = |_: &Text, one: String, two: String| one + "&" + &two;
                grouped.windowed_by(windows).aggregate(String::new, merge)
            }
            Cut::Unlimited { start } => {
                let windows = UnlimitedWindows::of().start_on(start);
                grouped.windowed_by(windows).aggregate(String::new)
            }
        }
    }
}
