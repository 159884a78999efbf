//! The buffer of a suppressed table: order, bounds, commit and abort, and the way back from its changelog.
mod support;

use std::rc::Rc;

use millstream_state::{
    BufferTotals, ChangelogRecord, StateEngine, StateError, StoreIndex, StoreKind, SuppressBuffer, TaskState,
};
use support::{Changelog, context, spec};

fn open(engine: &StateEngine, changelog: &Rc<Changelog>) -> Result<(TaskState, Rc<SuppressBuffer>), StateError> {
    let database = engine.open_task("0_0", &[spec("buffer", StoreKind::Suppress)])?;
    let state = TaskState::new(database, changelog.clone(), 0);
    let buffer = state.suppress("buffer").ok_or(StateError::Closed)?;
    Ok((state, buffer))
}

type Left = (String, Option<String>, Option<String>, i64);

fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// What leaves up to a time: key, new, old, time of its record.
fn evict(buffer: &SuppressBuffer, until: i64) -> Result<Vec<Left>, StateError> {
    let mut left = Vec::new();
    buffer.evict_while(
        |time, _| time <= until,
        |row| {
            let key = text(Some(row.key)).unwrap_or_default();
            left.push((key, text(row.new), text(row.old), row.context.timestamp));
            Ok::<_, StateError>(())
        },
    )?;
    Ok(left)
}

fn left(key: &str, new: Option<&str>, old: Option<&str>, timestamp: i64) -> Left {
    (key.into(), new.map(Into::into), old.map(Into::into), timestamp)
}

#[test]
fn updates_leave_by_time_and_then_by_key_and_keep_the_place_of_their_first() -> Result<(), StateError> {
    let (_state, buffer) = open(&StateEngine::in_memory(), &Changelog::new())?;
    buffer.put(b"b", 20, Some(b"1"), None, &context(1))?;
    buffer.put(b"c", 10, Some(b"2"), None, &context(2))?;
    buffer.put(b"a", 20, Some(b"3"), None, &context(3))?;
    buffer.put(b"d", -5, Some(b"4"), None, &context(4))?;
    buffer.put(b"c", 99, None, Some(b"2"), &context(5))?;
    assert_eq!(
        evict(&buffer, 19)?,
        [left("d", Some("4"), None, 4), left("c", None, Some("2"), 5)]
    );
    assert_eq!(evict(&buffer, 19)?, []);
    assert_eq!(
        evict(&buffer, 20)?,
        [left("a", Some("3"), None, 3), left("b", Some("1"), None, 1)]
    );
    assert_eq!(buffer.totals()?, BufferTotals { records: 0, bytes: 0 });
    Ok(())
}

#[test]
fn the_value_before_the_first_waiting_update_is_known_while_it_waits() -> Result<(), StateError> {
    let (_state, buffer) = open(&StateEngine::in_memory(), &Changelog::new())?;
    let mut out = Vec::new();
    assert_eq!(buffer.prior(b"a", &mut out)?, None);
    buffer.put(b"a", 1, Some(b"new"), Some(b"first"), &context(1))?;
    buffer.put(b"a", 1, Some(b"newer"), Some(b"new"), &context(2))?;
    assert_eq!(
        (buffer.prior(b"a", &mut out)?, out.as_slice()),
        (Some(true), &b"first"[..])
    );
    buffer.put(b"b", 1, Some(b"x"), None, &context(3))?;
    assert_eq!(buffer.prior(b"b", &mut out)?, Some(false));
    Ok(())
}

#[test]
fn an_update_that_could_not_be_handed_on_stays() -> Result<(), StateError> {
    let (_state, buffer) = open(&StateEngine::in_memory(), &Changelog::new())?;
    buffer.put(b"a", 1, Some(b"v"), None, &context(1))?;
    let refused = buffer.evict_while(|_, _| true, |_| Err(StateError::Closed));
    assert!(matches!(refused, Err(StateError::Closed)));
    assert_eq!(buffer.totals()?.records, 1);
    assert_eq!(evict(&buffer, 1)?.len(), 1);
    Ok(())
}

#[test]
fn an_abort_brings_back_what_the_last_commit_knew() -> Result<(), StateError> {
    let changelog = Changelog::new();
    let (state, buffer) = open(&StateEngine::in_memory(), &changelog)?;
    buffer.put(b"a", 1, Some(b"v"), None, &context(1))?;
    buffer.put(b"b", 2, Some(b"v"), None, &context(2))?;
    buffer.log_changes()?;
    state.commit(&[(StoreIndex(0), 2)])?;
    let committed = buffer.totals()?;
    assert_eq!(evict(&buffer, 1)?.len(), 1);
    buffer.put(b"c", 0, Some(b"v"), None, &context(3))?;
    state.discard();
    assert_eq!(buffer.totals()?, committed);
    buffer.log_changes()?;
    assert_eq!(changelog.records.borrow().len(), 2, "what was dropped is not logged");
    let keys: Vec<_> = evict(&buffer, i64::MAX - 1)?.into_iter().map(|row| row.0).collect();
    assert_eq!(keys, ["a", "b"]);
    Ok(())
}

#[test]
fn a_key_is_logged_once_a_commit_in_its_newest_state_and_without_a_time() -> Result<(), StateError> {
    let changelog = Changelog::new();
    let (_state, buffer) = open(&StateEngine::in_memory(), &changelog)?;
    buffer.put(b"a", 1, Some(b"1"), None, &context(1))?;
    buffer.put(b"a", 1, Some(b"2"), Some(b"1"), &context(2))?;
    buffer.put(b"b", 0, Some(b"1"), None, &context(3))?;
    evict(&buffer, 0)?;
    buffer.log_changes()?;
    buffer.log_changes()?;
    let records = changelog.records.borrow();
    let shape: Vec<_> = records
        .iter()
        .map(|(key, value, time)| (key.as_slice(), value.is_some(), *time))
        .collect();
    assert_eq!(shape, [(&b"a"[..], true, -1), (b"b", false, -1)]);
    Ok(())
}

#[test]
fn an_update_that_comes_alone_is_logged_like_one_of_many() -> Result<(), StateError> {
    let logged = |alone: bool| {
        let changelog = Changelog::new();
        let (_state, buffer) = open(&StateEngine::in_memory(), &changelog)?;
        for (key, value) in [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")] {
            buffer.put_at_time_of_key(key, 5, Some(value), None, &context(1))?;
            if alone {
                buffer.log_changes()?;
            }
        }
        buffer.log_changes()?;
        evict(&buffer, 5)?;
        buffer.log_changes()?;
        let records = changelog.records.take();
        Ok::<_, StateError>(
            records
                .into_iter()
                .map(|(key, value, _)| (key, value))
                .collect::<Vec<_>>(),
        )
    };
    let (alone, together) = (logged(true)?, logged(false)?);
    assert_eq!((alone.len(), together.len()), (5, 4));
    assert_eq!(
        alone[1..3].iter().rev().collect::<Vec<_>>(),
        together[..2].iter().collect::<Vec<_>>()
    );
    assert_eq!(alone[3..], together[2..]);
    Ok(())
}

#[test]
fn a_window_that_had_another_end_before_a_restart_keeps_its_place() -> Result<(), StateError> {
    let (_state, buffer) = open(&StateEngine::in_memory(), &Changelog::new())?;
    buffer.put_at_time_of_key(b"w", 10, Some(b"1"), None, &context(1))?;
    buffer.put_at_time_of_key(b"w", 20, Some(b"2"), Some(b"1"), &context(2))?;
    assert_eq!(buffer.totals()?.records, 1);
    assert_eq!(evict(&buffer, 10)?, [left("w", Some("2"), Some("1"), 2)]);
    assert_eq!((evict(&buffer, 20)?, buffer.totals()?.bytes), (Vec::new(), 0));
    Ok(())
}

#[test]
fn a_buffer_comes_back_from_its_changelog() -> Result<(), StateError> {
    let (changelog, engine) = (Changelog::new(), StateEngine::in_memory());
    let (_state, buffer) = open(&engine, &changelog)?;
    buffer.put(b"a", 7, Some(b"1"), Some(b"0"), &context(1))?;
    buffer.put(b"b", 3, Some(b"1"), None, &context(2))?;
    buffer.log_changes()?;
    evict(&buffer, 3)?;
    buffer.put(b"c", 5, None, Some(b"x"), &context(3))?;
    buffer.put(b"b", 9, Some(b"2"), Some(b"1"), &context(4))?;
    buffer.log_changes()?;
    let totals = buffer.totals()?;

    let mut database = StateEngine::in_memory().open_task("0_0", &[spec("buffer", StoreKind::Suppress)])?;
    // In two batches: the second one meets the rows of the first.
    changelog.with_records(|records| {
        let (first, second) = records.split_at(3);
        database.restore(StoreIndex(0), first, 3)?;
        database.restore(StoreIndex(0), second, 4)
    })?;
    assert_eq!(database.offset(StoreIndex(0)), Some(4));
    let state = TaskState::new(database, changelog.clone(), 0);
    let restored = state.suppress("buffer").ok_or(StateError::Closed)?;
    assert_eq!(restored.totals()?, totals);
    assert_eq!(
        evict(&restored, 100)?,
        [
            left("c", None, Some("x"), 3),
            left("a", Some("1"), Some("0"), 1),
            left("b", Some("2"), Some("1"), 4)
        ]
    );
    Ok(())
}

#[test]
fn a_changelog_in_another_format_is_an_error_and_not_a_guess() -> Result<(), StateError> {
    let mut database = StateEngine::in_memory().open_task("0_0", &[spec("buffer", StoreKind::Suppress)])?;
    let record = ChangelogRecord {
        key: b"a",
        value: Some(b"\0\0\0\0\0\0\0\x07value"),
        timestamp: 0,
        offset: 0,
        headers: None,
    };
    let result = database.restore(StoreIndex(0), &[record], 1);
    assert!(matches!(result, Err(StateError::MalformedRow { .. })), "{result:?}");
    assert_eq!(database.offset(StoreIndex(0)), None);
    Ok(())
}
