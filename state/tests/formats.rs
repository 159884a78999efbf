//! What an earlier version has written is read by every later one, byte for byte.
//!
//! `formats/<n>/` holds what the first version with on-disk format `n` wrote: the database of a task, its changelog records and the
//! rows they stand for. It is never changed. A version that writes other bytes raises the format in `layout.rs`, and adds a directory:
//! `MILLSTREAM_WRITE_FORMAT=2 cargo test -p millstream-state --test formats`.
#![cfg(feature = "rocksdb")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use millstream_state::{
    ChangeLogger, ChangelogRecord, Headers, Result, StateEngine, StoreIndex, StoreKind, StoreSpec, TaskDatabase,
    TaskState,
};
use support::{context, spec, windows};

/// The format this version writes.
const PRESENT: u32 = 2;

fn specs() -> Vec<StoreSpec> {
    let sessions = StoreKind::Session {
        retention_ms: 1_000,
        segment_interval_ms: 500,
    };
    let versions = StoreKind::Versioned {
        history_retention_ms: 1_000,
        segment_interval_ms: 500,
    };
    let duplicates = StoreSpec {
        name: "duplicates".into(),
        ..windows(true)
    };
    vec![
        spec("plain", StoreKind::KeyValue { timestamped: false }),
        spec("timestamped", StoreKind::KeyValue { timestamped: true }),
        windows(false),
        duplicates,
        spec("sessions", sessions),
        spec("versions", versions),
    ]
}

/// One line of a changelog: store, key, value, time.
type Line = (u32, Vec<u8>, Option<Vec<u8>>, i64);

#[derive(Default)]
struct Log(RefCell<Vec<Line>>);

impl ChangeLogger for Log {
    fn log(
        &self,
        store: StoreIndex,
        key: &[u8],
        value: Option<&[u8]>,
        time: Option<i64>,
        _: Option<&Headers>,
    ) -> Result<()> {
        let line = (store.0, key.to_vec(), value.map(<[u8]>::to_vec), time.unwrap_or(-1));
        self.0.borrow_mut().push(line);
        Ok(())
    }
}

/// Writes, overwrites and deletes in every kind of store; gives what was logged.
fn write(database: TaskDatabase) -> (TaskDatabase, Vec<Line>) {
    let log = Rc::new(Log::default());
    let state = TaskState::new(database, log.clone(), 0);
    for name in ["plain", "timestamped"] {
        let store = state.key_value(name).unwrap();
        for (time, key) in (1..).zip([&b"a"[..], b"b", b"", b"a"]) {
            store.put(key, Some(&[time as u8; 3]), time, &context(time)).unwrap();
        }
        store.put(b"b", None, 9, &context(9)).unwrap();
    }
    for (name, value) in [("windows", &b"w"[..]), ("duplicates", b"d")] {
        let store = state.window(name).unwrap();
        for start in [0, 10, 60, 10] {
            store
                .put(b"key", Some(value), start, start + 1, &context(start + 1))
                .unwrap();
        }
    }
    let sessions = state.session("sessions").unwrap();
    sessions.put(b"key", 5, 20, Some(b"s"), &context(20)).unwrap();
    sessions.put(b"key", 5, 20, None, &context(30)).unwrap();
    sessions.put(b"key", 5, 30, Some(b"t"), &context(30)).unwrap();
    let versions = state.versioned("versions").unwrap();
    for (value, time) in [(Some(&b"1"[..]), 10), (Some(b"3"), 30), (None, 20)] {
        versions.put(b"key", value, time, &context(time)).unwrap();
    }
    let lines = log.0.borrow().clone();
    let ends: Vec<(StoreIndex, i64)> = (0..specs().len() as u32)
        .map(|store| (StoreIndex(store), lines.iter().filter(|l| l.0 == store).count() as i64))
        .collect();
    state.commit(&ends).unwrap();
    (state.into_database().unwrap(), lines)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("x"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix('x').unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn changelog_text(lines: &[Line]) -> String {
    let line = |(store, key, value, time): &Line| {
        let value = value.as_deref().map_or("-".to_owned(), hex);
        format!("{store} {} {value} {time}\n", hex(key))
    };
    lines.iter().map(line).collect()
}

fn changelog(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let value = Some(fields[2]).filter(|v| *v != "-").map(unhex);
        (
            fields[0].parse().unwrap(),
            unhex(fields[1]),
            value,
            fields[3].parse().unwrap(),
        )
    };
    text.lines().map(line).collect()
}

fn rows_text(database: &TaskDatabase) -> String {
    let mut text = String::new();
    for store in 0..specs().len() as u32 {
        let offset = database.offset(StoreIndex(store));
        let _ = writeln!(text, "store {store} stands for {offset:?}");
        for (key, value) in database.rows(StoreIndex(store)).unwrap() {
            let _ = writeln!(text, "{} {}", hex(&key), hex(&value));
        }
    }
    text
}

fn directory(format: u32) -> PathBuf {
    // Asked while the test runs: a build that two clones share has the directory of either in it.
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("tests/formats")
        .join(format.to_string())
}

fn text(format: u32, name: &str) -> String {
    fs::read_to_string(directory(format).join(name)).unwrap()
}

/// The files of the task, without what a database writes for people.
fn copy_task(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let needed = ["CURRENT", "IDENTITY", "MANIFEST"].iter().any(|n| name.starts_with(n))
            || [".sst", ".log"].iter().any(|n| name.ends_with(n));
        if needed {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// What this version writes; and, if somebody wants a directory for a new format, that directory.
fn present() -> (Vec<Line>, String) {
    let dir = tempfile::tempdir().unwrap();
    let engine = StateEngine::rocksdb(dir.path(), "app", 8 << 20).unwrap();
    let (mut database, lines) = write(engine.open_task("0_0", &specs()).unwrap());
    let rows = rows_text(&database);
    database.flush().unwrap();
    database.close().unwrap();
    if let Ok(format) = std::env::var("MILLSTREAM_WRITE_FORMAT") {
        let to = directory(format.parse().unwrap());
        copy_task(&engine.task_dir("0_0").unwrap(), &to.join("0_0"));
        fs::write(to.join("changelog.txt"), changelog_text(&lines)).unwrap();
        fs::write(to.join("rows.txt"), &rows).unwrap();
    }
    (lines, rows)
}

#[test]
fn this_version_writes_the_present_format() {
    let (lines, rows) = present();
    assert_eq!(changelog_text(&lines), text(PRESENT, "changelog.txt"));
    assert_eq!(rows, text(PRESENT, "rows.txt"));
}

#[test]
fn databases_of_every_format_are_read() {
    for format in 1..=PRESENT {
        let dir = tempfile::tempdir().unwrap();
        copy_task(&directory(format).join("0_0"), &dir.path().join("app/0_0"));
        let engine = StateEngine::rocksdb(dir.path(), "app", 8 << 20).unwrap();
        let database = engine.open_task("0_0", &specs()).unwrap();
        assert_eq!(rows_text(&database), text(format, "rows.txt"), "format {format}");
    }
}

#[test]
fn changelogs_of_every_format_are_restored_from() {
    for format in 1..=PRESENT {
        let lines = changelog(&text(format, "changelog.txt"));
        let mut database = StateEngine::in_memory().open_task("0_0", &specs()).unwrap();
        for store in 0..specs().len() as u32 {
            let of_store: Vec<&Line> = lines.iter().filter(|l| l.0 == store).collect();
            let records: Vec<ChangelogRecord<'_>> = (0..)
                .zip(&of_store)
                .map(|(offset, (_, key, value, timestamp))| ChangelogRecord {
                    key,
                    value: value.as_deref(),
                    timestamp: *timestamp,
                    offset,
                    headers: None,
                })
                .collect();
            let end = records.len() as i64;
            database.restore(StoreIndex(store), &records, end).unwrap();
        }
        assert_eq!(rows_text(&database), text(format, "rows.txt"), "format {format}");
    }
}
