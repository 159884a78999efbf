//! Records that wait for a table: order, lateness, commit and abort, and the way back from the changelog.
mod support;

use std::rc::Rc;

use millstream_state::{ChangelogRecord, RecordBuffer, StateEngine, StateError, StoreIndex, StoreKind, TaskState};
use support::{Changelog, context, spec};

const GRACE_MS: i64 = 10;

fn open(engine: &StateEngine, changelog: &Rc<Changelog>) -> Result<(TaskState, Rc<RecordBuffer>), StateError> {
    let database = engine.open_task("0_0", &[spec("buffer", StoreKind::RecordBuffer)])?;
    let state = TaskState::new(database, changelog.clone(), 0);
    let buffer = state.record_buffer("buffer").ok_or(StateError::Closed)?;
    Ok((state, buffer))
}

fn put(buffer: &RecordBuffer, key: &str, value: &str, time: i64) -> Result<bool, StateError> {
    buffer.put(key.as_bytes(), value.as_bytes(), &context(time), GRACE_MS)
}

/// What leaves: value and time.
fn release(buffer: &RecordBuffer) -> Result<Vec<(String, i64)>, StateError> {
    let mut left = Vec::new();
    buffer.release(GRACE_MS, |row| {
        left.push((String::from_utf8_lossy(row.value).into_owned(), row.context.timestamp));
        Ok::<_, StateError>(())
    })?;
    Ok(left)
}

fn left(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(value, time)| ((*value).to_owned(), *time)).collect()
}

#[test]
fn records_leave_by_time_once_the_newest_is_further_by_the_grace() -> Result<(), StateError> {
    let (_state, buffer) = open(&StateEngine::in_memory(), &Changelog::new())?;
    for (value, time) in [("b1", 20), ("c", 25), ("a", 19), ("b2", 20)] {
        assert!(put(&buffer, "k", value, time)?);
        assert_eq!(release(&buffer)?, []);
    }
    put(&buffer, "k", "d", 30)?;
    assert_eq!(release(&buffer)?, left(&[("a", 19), ("b1", 20), ("b2", 20)]));
    put(&buffer, "k", "e", 40)?;
    assert_eq!(release(&buffer)?, left(&[("c", 25), ("d", 30)]));
    assert_eq!(release(&buffer)?, []);
    Ok(())
}

#[test]
fn a_record_late_by_more_than_the_grace_is_not_taken() -> Result<(), StateError> {
    let (_state, buffer) = open(&StateEngine::in_memory(), &Changelog::new())?;
    assert!(put(&buffer, "k", "a", 20)?);
    assert!(!put(&buffer, "k", "late", 9)?);
    assert!(put(&buffer, "k", "just", 10)?);
    assert_eq!(release(&buffer)?, left(&[("just", 10)]));
    Ok(())
}

#[test]
fn a_record_that_could_not_be_handed_on_stays() -> Result<(), StateError> {
    let (_state, buffer) = open(&StateEngine::in_memory(), &Changelog::new())?;
    put(&buffer, "k", "a", 1)?;
    put(&buffer, "k", "b", 11)?;
    let refused = buffer.release(GRACE_MS, |_| Err(StateError::Closed));
    assert!(matches!(refused, Err(StateError::Closed)));
    assert_eq!(release(&buffer)?, left(&[("a", 1)]));
    Ok(())
}

#[test]
fn an_abort_brings_back_records_and_time_of_the_last_commit() -> Result<(), StateError> {
    let changelog = Changelog::new();
    let (state, buffer) = open(&StateEngine::in_memory(), &changelog)?;
    put(&buffer, "k", "a", 1)?;
    state.commit(&[(StoreIndex(0), 1)])?;
    put(&buffer, "k", "b", 100)?;
    assert_eq!(release(&buffer)?, left(&[("a", 1)]));
    state.discard();
    assert!(put(&buffer, "k", "c", 5)?, "100 has not been seen");
    put(&buffer, "k", "d", 15)?;
    assert_eq!(release(&buffer)?, left(&[("a", 1), ("c", 5)]));
    Ok(())
}

#[test]
fn a_buffer_comes_back_from_its_changelog_and_numbers_go_on() -> Result<(), StateError> {
    let changelog = Changelog::new();
    let (_state, buffer) = open(&StateEngine::in_memory(), &changelog)?;
    put(&buffer, "k", "a", 1)?;
    put(&buffer, "k", "b", 11)?;
    release(&buffer)?;
    put(&buffer, "k", "c", 11)?;

    let mut database = StateEngine::in_memory().open_task("0_0", &[spec("buffer", StoreKind::RecordBuffer)])?;
    changelog.with_records(|records| database.restore(StoreIndex(0), records, 4))?;
    let state = TaskState::new(database, changelog.clone(), 0);
    let restored = state.record_buffer("buffer").ok_or(StateError::Closed)?;
    assert!(!put(&restored, "k", "late", 0)?, "the time is known from the rows");
    put(&restored, "k", "d", 11)?;
    put(&restored, "k", "e", 21)?;
    assert_eq!(release(&restored)?, left(&[("b", 11), ("c", 11), ("d", 11)]));
    let keys: Vec<_> = changelog
        .records
        .borrow()
        .iter()
        .map(|record| record.0.clone())
        .collect();
    assert_eq!(
        keys.first().map(Vec::as_slice),
        Some(&b"\0\0\0\0\0\0\0\0\x01k\0\0\0\x01"[..])
    );
    Ok(())
}

#[test]
fn a_row_key_that_is_too_short_is_an_error() -> Result<(), StateError> {
    let mut database = StateEngine::in_memory().open_task("0_0", &[spec("buffer", StoreKind::RecordBuffer)])?;
    let record = ChangelogRecord {
        key: b"k",
        value: Some(b"v"),
        timestamp: 0,
        offset: 0,
        headers: None,
    };
    let result = database.restore(StoreIndex(0), &[record], 1);
    assert!(matches!(result, Err(StateError::MalformedRow { .. })), "{result:?}");
    Ok(())
}
