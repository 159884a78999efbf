//! Windows of one key, as joins read them: the same rows as in a scan of everything, whatever is in memory.
use std::rc::Rc;

use millstream_state::{StateEngine, StateError, StoreIndex, TaskOptions, TaskState, WindowList, WindowStore};

use crate::support::{Changelog, context, windows};

type Row = (i64, Vec<u8>);

fn scanned(store: &Rc<WindowStore>, key: &[u8], from: i64, to: i64) -> Result<Vec<Row>, StateError> {
    let mut found = Vec::new();
    for row in store.all(false) {
        let row = row?;
        if *row.key == *key && (from..=to).contains(&row.start) {
            found.push((row.start, row.value.to_vec()));
        }
    }
    Ok(found)
}

#[test]
fn a_read_of_one_key_has_the_rows_of_a_scan_before_and_after_commits_aborts_and_restarts() -> Result<(), StateError> {
    for duplicates in [true, false] {
        // 0: at least so many stay in memory as the store keeps in any case.
        let options = TaskOptions::default();
        let (engine, changelog) = (StateEngine::in_memory(), Changelog::new());
        let database = engine.open_task("0_0", &[windows(duplicates)])?;
        let mut state = TaskState::with(database, changelog.clone(), options);
        let mut store = state.window("windows").ok_or(StateError::Closed)?;
        let (mut list, mut random, mut rows, mut offset) = (WindowList::default(), 7_u64, 0, 0);
        for step in 0..12_000_i64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let part = |shift: u32, below: u64| i64::try_from((random >> shift) % below).unwrap_or(0);
            let key = [b'a' + u8::try_from(part(60, 4)).unwrap_or(0)];
            let time = (step / 8 + part(40, 60) - 50).max(0);
            match part(30, 64) {
                0 => {
                    offset += 1;
                    state.commit(&[(StoreIndex(0), offset)])?;
                }
                1 => state.discard(),
                2 if step % 10 == 0 => {
                    let database = state.clone().into_database().ok_or(StateError::Closed)?;
                    state = TaskState::with(database, changelog.clone(), options);
                    store = state.window("windows").ok_or(StateError::Closed)?;
                }
                3..34 => {
                    let value = (duplicates || part(20, 4) > 0).then(|| step.to_be_bytes());
                    store.put(&key, value.as_ref().map(|v| &v[..]), time, time, &context(time))?;
                }
                _ => {
                    let to = time + part(10, 50);
                    store.fetch_into(&key, time, to, &mut list)?;
                    let found: Vec<Row> = list.iter().map(|(start, value)| (start, value.to_vec())).collect();
                    assert_eq!(found, scanned(&store, &key, time, to)?, "step {step}");
                    rows += found.len();
                }
            }
        }
        assert!(rows > 5_000, "{rows} rows tell something");
    }
    Ok(())
}
