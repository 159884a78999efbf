//! The topologies, written as any user would.

use std::time::Duration;

use millstream::prelude::*;

use super::{Application, OUTPUT};

/// Re-keyed records have this many keys.
pub const TABLE_KEYS: u64 = 7;
const WINDOW: Duration = Duration::from_secs(10);
const WINDOW_MS: i64 = 10_000;
/// Longer than any run: nothing is ever late.
const GRACE: Duration = Duration::from_secs(7_200);

/// The topology of an application.
///
/// # Errors
/// Never, for these.
pub fn topology(application: Application) -> Result<Topology, millstream::dsl::topology::BuildError> {
    let builder = StreamsBuilder::new();
    match application {
        Application::Relay => builder.stream::<String, String>("in").to(OUTPUT),
        Application::Count | Application::CachedCount => builder
            .stream::<String, String>("in")
            .group_by_key()
            .count_with(Materialized::named("counts"))
            .to_stream()
            .to(OUTPUT),
        Application::RekeyedCount => builder
            .stream::<String, String>("in")
            .group_by(|_, value| rekeyed(value))
            .count_with(Materialized::named("counts"))
            .to_stream()
            .to(OUTPUT),
        Application::WindowedCount => counted(&builder, GRACE).to_stream().map(named).to(OUTPUT),
        Application::SuppressedCount => counted(&builder, Duration::ZERO)
            .suppress(Suppressed::until_window_closes(BufferConfig::unbounded()))
            .to_stream()
            .map(named)
            .to(OUTPUT),
        Application::StreamTableJoin => {
            let table = builder.table_with::<String, String>("table", Materialized::named("table-rows"));
            builder
                .stream::<String, String>("in")
                .left_join(&table, |value, row| {
                    format!("{value}|{}", row.map_or("-", String::as_str))
                })
                .to(OUTPUT);
        }
        Application::GlobalTableJoin => {
            let table = builder.global_table::<String, String>("table");
            let joined = |value: &String, row: Option<&String>| format!("{value}|{}", row.map_or("-", String::as_str));
            builder
                .stream::<String, String>("in")
                .left_join_global(&table, |key, _| key.clone(), joined)
                .to(OUTPUT);
        }
        Application::TableJoin => {
            let left = builder.table_with::<String, String>("left", Materialized::named("left-rows"));
            let right = builder.table_with::<String, String>("right", Materialized::named("right-rows"));
            left.join(&right, |l, r| format!("{l}|{r}")).to_stream().to(OUTPUT);
        }
        Application::StreamJoin => {
            let right = builder.stream::<String, String>("right");
            let windows = JoinWindows::of(Duration::from_secs(5)).grace(GRACE);
            builder
                .stream::<String, String>("left")
                .join_stream(&right, |l, r| format!("{l}|{r}"), windows)
                .to(OUTPUT);
        }
    }
    builder.build()
}

fn counted(builder: &StreamsBuilder, grace: Duration) -> KTable<Windowed<String>, i64> {
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(WINDOW).grace(grace))
        .count()
}

fn named(window: &Windowed<String>, count: &Option<i64>) -> (String, i64) {
    let name = format!("{}@{}", window.key, window.window.start);
    (name, count.unwrap_or_default())
}

/// The key of a re-keyed record.
pub fn rekeyed(value: &str) -> String {
    format!("r{}", value.parse::<u64>().unwrap_or_default() % TABLE_KEYS)
}

/// The window of a time, by its start.
pub fn window_of(timestamp: i64) -> i64 {
    timestamp - timestamp.rem_euclid(WINDOW_MS)
}

pub(super) fn window_end(start: i64) -> i64 {
    start + WINDOW_MS
}

pub(super) const JOIN_WITHIN_MS: i64 = 5_000;
