//! From changelog records back to the rows of a suppression buffer.
use std::collections::BTreeMap;

use super::{index_key, row_key, time_of_index, value::BufferValue};
use crate::database::{Database, Mark};
use crate::{ChangelogRecord, Result, StateError, StoreSpec};

/// A key with records in the batch.
struct Touched<'a> {
    /// Time of its row in the database.
    before: Option<i64>,
    /// Its last record with the time in it; None: deleted.
    newest: Option<(&'a [u8], i64)>,
}

/// Applies changelog records in format 3. Kafka Streams wrote others before 2.4.2; such a changelog is malformed here.
pub(crate) fn restore(
    database: &mut dyn Database,
    family: usize,
    spec: &StoreSpec,
    records: &[ChangelogRecord<'_>],
    next_offset: i64,
) -> Result<()> {
    let observed = database.mark(family).observed;
    // A batch sees its own records.
    let mut touched: BTreeMap<&[u8], Touched<'_>> = BTreeMap::new();
    let (mut key_buffer, mut time) = (Vec::new(), Vec::new());
    for record in records {
        let newest = match record.value {
            None => None,
            Some(value) => {
                let parsed = BufferValue::parse(value).ok_or_else(|| StateError::MalformedRow {
                    store: spec.name.to_string(),
                })?;
                Some((value, parsed.time))
            }
        };
        if let Some(entry) = touched.get_mut(record.key) {
            entry.newest = newest;
            continue;
        }
        index_key(record.key, &mut key_buffer);
        let known = database.get(family, &key_buffer, &mut time)?;
        let before = known.then(|| time_of_index(&time)).flatten();
        touched.insert(record.key, Touched { before, newest });
    }
    database.apply(&mut |batch| {
        let mut buffer = Vec::new();
        for (key, Touched { before, newest }) in &touched {
            if let Some(before) = before {
                row_key(*before, key, &mut buffer);
                batch.delete(family, &buffer);
            }
            index_key(key, &mut buffer);
            match newest {
                None => batch.delete(family, &buffer),
                Some((value, time)) => {
                    batch.put(family, &buffer, &[], &time.to_be_bytes());
                    row_key(*time, key, &mut buffer);
                    batch.put(family, &buffer, &[], value);
                }
            }
        }
        batch.mark(
            family,
            Mark {
                offset: Some(next_offset),
                observed,
            },
        );
        Ok(())
    })
}
