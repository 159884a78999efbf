//! Bytes that cannot be read or written in the middle of a topology: at a repartition topic, at a store, at the row of
//! another operator. The operator that met them is named, and its handler decides.
use millstream_dsl::{engine::ProcessErrorKind, serde::SerdeError, testing::Runner};

use super::*;

/// Cannot write `bad`, and cannot read `sad`.
#[derive(Clone, Copy)]
struct Picky;
impl Serde<String> for Picky {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        if value.contains("bad") {
            return Err(SerdeError::new("it cannot be written"));
        }
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
        match StringSerde.deserialize(bytes)? {
            value if value.contains("sad") => Err(SerdeError::new("it cannot be read")),
            value => Ok(value),
        }
    }
}

type Make = fn(&StreamsBuilder, &KStream<String, String>);

/// Runs `value` behind `good`, and expects the error to be that of `node`.
fn check_value(what: &str, node: &str, value: &str, make: Make) -> TestResult {
    let builder = StreamsBuilder::new();
    make(&builder, &builder.stream("in"));
    let topology = builder.build().map_err(|e| format!("{what}: {e}"))?;
    let kind = match value {
        "bad" => ProcessErrorKind::Serialization,
        _ => ProcessErrorKind::Deserialization,
    };
    let runner = Runner::new(&topology)?;
    runner.pipe_at("in", text("k"), text("good"), 1)?;
    let error = [2, 3]
        .into_iter()
        .find_map(|time| runner.pipe_at("in", text("k"), text(value), time).err());
    let error = error.ok_or_else(|| format!("{what}: it went on"))?;
    assert_eq!((error.kind, &*error.node), (kind, node), "{what}: {error}");
    assert!(!error.to_string().contains(&format!(" {value} ")), "{what}: {error}");

    let handlers = Handlers {
        deserialization: Arc::new(LogAndContinue),
        production: Arc::new(LogAndContinue),
        ..continuing()
    };
    let runner = Runner::with(&topology, handlers, 0)?;
    for time in 1..4 {
        runner
            .pipe_at("in", text("k"), text(value), time)
            .map_err(|e| format!("{what}: {e}"))?;
    }
    assert!(runner.graph().dropped_records() > 0, "{what}");
    Ok(())
}

fn named<V>() -> Materialized<String, V>
where
    Picky: Serde<V>,
    V: 'static,
{
    Materialized::named("store").operator("it").with(StringSerde, Picky)
}

#[test]
fn at_a_repartition_topic() -> TestResult {
    let through: Make = |_, s| {
        s.repartition_with(Repartitioned::named("r").with(StringSerde, Picky))
            .to("out")
    };
    check_value("written", "r-repartition-sink", "bad", through)?;
    check_value("read", "r-repartition-source", "sad", through)
}

#[test]
fn at_the_row_of_an_aggregation() -> TestResult {
    let reduce: Make = |_, s| {
        let _ = s.group_by_key().reduce_with(|_, v| v.clone(), named());
    };
    check_value("written", "it", "bad", reduce)?;
    check_value("read", "it", "sad", reduce)?;
    let windowed: Make = |_, s| {
        let windows = s.group_by_key().windowed_by(TimeWindows::of(seconds(1)));
        let _ = windows.reduce_with(|_, v| v.clone(), named());
    };
    check_value("written in a window", "it", "bad", windowed)?;
    check_value("read in a window", "it", "sad", windowed)?;
    let sessions: Make = |_, s| {
        let windows = s.group_by_key().windowed_by(SessionWindows::of(seconds(1)));
        let _ = windows.try_reduce_with(|_, v: &String| Ok::<_, BoxError>(Some(v.clone())), named());
    };
    check_value("written in a session", "it", "bad", sessions)?;
    check_value("read in a session", "it", "sad", sessions)
}

#[test]
fn at_the_row_of_a_table() -> TestResult {
    let table: Make = |_, s| {
        s.to_table_with(named()).to_stream().to("out");
    };
    check_value("written", "it", "bad", table)?;
    let looked_up: Make = |_, s| {
        let table = s.to_table_with(named());
        s.join_with(&table, |_, v, row| v.clone() + row, Joined::named("join"))
            .to("out");
    };
    check_value("read by a join", "join", "sad", looked_up)
}

#[test]
fn at_the_rows_of_a_join_of_streams() -> TestResult {
    let join: Make = |b, s| {
        let other = b.stream::<String, String>("other");
        let joined = StreamJoined::named("it").with(StringSerde, Picky, Picky);
        let both = |_: &String, one: &String, two: &String| Ok::<_, BoxError>(one.clone() + two);
        s.try_join_stream_with(&other, both, JoinWindows::of(seconds(1)), joined)
            .to("out");
    };
    check_value("written", "it-this-windowed", "bad", join)
}

#[test]
fn at_a_record_that_waits_for_its_table() -> TestResult {
    let join: Make = |b, s| {
        let rows = b.table_with(
            "rows",
            Materialized::<String, String>::named("rows").versioned(hours(1)),
        );
        let waiting = Joined::named("it").with(StringSerde, Picky).grace(millis(0));
        s.join_with(&rows, |_, v, row| v.clone() + row, waiting).to("out");
    };
    check_value("written", "it", "bad", join)?;
    check_value("read", "it", "sad", join)
}

#[test]
fn in_a_processor_with_a_store() -> TestResult {
    struct Keep(Option<KeyValueStore<String, String>>);
    impl Processor<String, String, String, String> for Keep {
        fn init(&mut self, ctx: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
            self.0 = Some(ctx.store("store")?);
            Ok(())
        }
        fn process(
            &mut self,
            _: &ProcessorContext<'_, String, String>,
            record: Record<'_, String, String>,
        ) -> Result<(), BoxError> {
            let store = self.0.as_ref().ok_or("no store")?;
            let _ = store.get(record.key)?;
            Ok(store.put(record.key, record.value)?)
        }
    }
    let process: Make = |_, s| {
        let store = Store::<String, String>::key_value("store").with(StringSerde, Picky);
        let _: KStream<String, String> = s.process_with(|| Keep(None), Processing::new().named("it").with_store(store));
    };
    check_value("written", "it", "bad", process)?;
    check_value("read", "it", "sad", process)
}
