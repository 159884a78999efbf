//! The topologies, written as any user would.

use std::time::Duration;

use millstream::dsl::serde::SerdeError;
use millstream::prelude::*;

use super::{Application, OUTPUT};

/// Re-keyed records have this many keys.
pub const TABLE_KEYS: u64 = 7;
const WINDOW: Duration = Duration::from_secs(10);
const WINDOW_MS: i64 = 10_000;
/// Records of a key that are no further apart are of one session.
pub const SESSION_GAP_MS: i64 = 6_000;
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
        Application::SessionCount => builder
            .stream::<String, String>("in")
            .group_by_key()
            .windowed_by(SessionWindows::of(Duration::from_millis(SESSION_GAP_MS.unsigned_abs())).grace(GRACE))
            .count()
            .to_stream()
            .map(named_session)
            .to(OUTPUT),
        Application::Numbers => builder
            .stream(Consumed::topic("in").with(StringSerde, OptionSerde::new(Number)))
            .map_values(|number| number.map_or_else(|| "null".to_owned(), |n| n.to_string()))
            .to(OUTPUT),
        Application::StreamTableJoin | Application::VersionedJoin => {
            let rows = Materialized::named("table-rows");
            let rows = match application {
                Application::VersionedJoin => rows.versioned(GRACE),
                _ => rows,
            };
            let table = builder.table_with::<String, String>("table", rows);
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

/// A session that was merged into another one is deleted: it counts nothing.
fn named_session(session: &Windowed<String>, count: &Option<i64>) -> (String, i64) {
    let Window { start, end } = session.window;
    (format!("{}@{start}-{end}", session.key), count.unwrap_or_default())
}

/// A number as text.
struct Number;

impl Serde<i64> for Number {
    fn serialize(&self, value: &i64, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.to_string().as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<i64, SerdeError> {
        let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        number.ok_or_else(|| SerdeError::new("not a number"))
    }
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
