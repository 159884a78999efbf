//! Rows that keep the headers of a record: what reads see, what is logged, and what is restored of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests, too, stop at what must not be")]

use std::{cell::RefCell, rc::Rc};

use millstream_state::{
    ChangeLogger, ChangelogRecord, Headers, LoggedHeaders, Result, StateEngine, StateError, StoreIndex, StoreKind,
    StoreSpec, TaskState, keep_headers,
};

mod support;
use support::{context, key_value, spec, windows};

/// Key, value, time and headers, as logged.
type Line = (Vec<u8>, Option<Vec<u8>>, i64, Headers);

#[derive(Default)]
struct Log(RefCell<Vec<Vec<Line>>>);

impl ChangeLogger for Log {
    fn log(
        &self,
        store: StoreIndex,
        key: &[u8],
        value: Option<&[u8]>,
        time: Option<i64>,
        headers: Option<&Headers>,
    ) -> Result<()> {
        let mut stores = self.0.borrow_mut();
        stores.resize(3, Vec::new());
        let line = (
            key.to_vec(),
            value.map(<[u8]>::to_vec),
            time.unwrap_or(-1),
            headers.cloned().unwrap_or_default(),
        );
        stores[store.0 as usize].push(line);
        Ok(())
    }
}

fn specs() -> Vec<StoreSpec> {
    let sessions = StoreKind::Session {
        retention_ms: 1_000,
        segment_interval_ms: 500,
    };
    let kept = |spec| StoreSpec {
        logged_headers: LoggedHeaders::Kept,
        ..spec
    };
    vec![
        kept(key_value()),
        kept(windows(false)),
        kept(spec("sessions", sessions)),
    ]
}

fn named(name: &str) -> Headers {
    let headers = Headers::new();
    headers.add(name, Some(b"x"));
    headers
}

fn row(value: &[u8], headers: &Headers) -> Vec<u8> {
    let mut row = value.to_vec();
    keep_headers(headers, &mut row);
    row
}

/// Value, time and headers of the row that each store has.
fn read(state: &TaskState) -> [(Vec<u8>, i64, Headers); 3] {
    let mut value = Vec::new();
    let keys = state.key_value("kv").unwrap();
    let (time, headers) = keys.get_with_headers(b"k", &mut value).unwrap().unwrap();
    let of_key = (value.clone(), time, headers);
    let listed = keys.range(None, None, false).next().unwrap().unwrap();
    assert_eq!(
        (&*listed.value, listed.timestamp, listed.headers),
        (&*of_key.0, time, of_key.2.clone())
    );
    assert_eq!(keys.get(b"k", &mut value).unwrap(), Some(time));
    assert_eq!(value, of_key.0, "whoever does not ask for headers sees none");
    let windows = state.window("windows").unwrap();
    let (time, headers) = windows.get_with_headers(b"k", 10, &mut value).unwrap().unwrap();
    let of_window = (value.clone(), time, headers);
    let listed = windows.all(false).next().unwrap().unwrap();
    assert_eq!((&*listed.value, listed.headers), (&*of_window.0, of_window.2.clone()));
    let sessions = state.session("sessions").unwrap();
    let headers = sessions.get_with_headers(b"k", 5, 9, &mut value).unwrap().unwrap();
    let listed = sessions.find(None, None, 0, i64::MAX, false).next().unwrap().unwrap();
    assert_eq!((&*listed.value, &listed.headers), (&*value, &headers));
    [of_key, of_window, (value, -1, headers)]
}

#[test]
fn headers_come_back_from_rows_and_from_changelogs() {
    let log = Rc::new(Log::default());
    let engine = StateEngine::in_memory();
    let state = TaskState::new(engine.open_task("0_0", &specs()).unwrap(), log.clone(), 0);
    let keys = state.key_value("kv").unwrap();
    keys.put(b"k", Some(&row(b"1", &named("a"))), 7, &context(1)).unwrap();
    keys.put(b"gone", Some(&row(b"2", &named("a"))), 8, &context(2))
        .unwrap();
    let deleting = millstream_state::RecordContext {
        headers: named("why"),
        ..context(3)
    };
    keys.put(b"gone", None, 3, &deleting).unwrap();
    let windows = state.window("windows").unwrap();
    windows
        .put(b"k", Some(&row(b"w", &named("b"))), 10, 17, &context(10))
        .unwrap();
    let sessions = state.session("sessions").unwrap();
    sessions
        .put(b"k", 5, 9, Some(&row(b"s", &Headers::new())), &context(9))
        .unwrap();

    let expected = [
        (b"1".to_vec(), 7, named("a")),
        (b"w".to_vec(), 17, named("b")),
        (b"s".to_vec(), -1, Headers::new()),
    ];
    assert_eq!(read(&state), expected);
    let lines = log.0.borrow().clone();
    assert_eq!(
        lines[0],
        [
            (b"k".to_vec(), Some(b"1".to_vec()), 7, named("a")),
            (b"gone".to_vec(), Some(b"2".to_vec()), 8, named("a")),
            (b"gone".to_vec(), None, 3, named("why")),
        ]
    );
    state.commit(&[]).unwrap();
    assert_eq!(read(&state), expected, "the same from the database");

    let mut database = engine.open_task("0_1", &specs()).unwrap();
    for (store, lines) in (0..).map(StoreIndex).zip(&lines) {
        assert!(database.keeps_headers(store));
        let records: Vec<ChangelogRecord<'_>> = lines
            .iter()
            .map(|(key, value, timestamp, headers)| ChangelogRecord {
                key,
                value: value.as_deref(),
                timestamp: *timestamp,
                offset: 0,
                headers: Some(headers),
            })
            .collect();
        database.restore(store, &records, 9).unwrap();
    }
    let restored = TaskState::new(database, Rc::new(Log::default()), 0);
    assert_eq!(read(&restored), expected);
    assert_eq!(
        restored.key_value("kv").unwrap().get(b"gone", &mut Vec::new()).unwrap(),
        None
    );
}

#[test]
fn a_row_without_its_headers_is_an_error_and_no_wrong_value() {
    let engine = StateEngine::in_memory();
    let state = TaskState::new(engine.open_task("0_0", &specs()).unwrap(), Rc::new(Log::default()), 0);
    let keys = state.key_value("kv").unwrap();
    let written = keys.put(b"k", Some(b"1"), 7, &context(1));
    assert!(matches!(written, Err(StateError::MalformedRow { .. })), "{written:?}");
    let read = keys.get(b"k", &mut Vec::new());
    assert!(matches!(read, Err(StateError::MalformedRow { .. })), "{read:?}");
}
