//! Changelogs, and files of an instance, may hold anything: no decoder panics, and none believes a length.

#[path = "../../fuzz/replay.rs"]
mod replay;

use replay::decode_everything;

use crate::appended::unpacked;
use crate::directory::Directory;
use crate::layout::Layout;
use crate::suppress::value::{BufferValue, encode};
use crate::versioned::Version;
use crate::{ChangelogRecord, LoggedHeaders, StateEngine, StoreBackend, StoreIndex, StoreKind, StoreSpec};

const DUPLICATES: StoreKind = StoreKind::Window {
    timestamped: false,
    window_size_ms: 10_000,
    retention_ms: 100_000,
    segment_interval_ms: 50_000,
    retain_duplicates: true,
};

fn spec(kind: StoreKind) -> StoreSpec {
    StoreSpec {
        name: "store".into(),
        kind,
        backend: StoreBackend::InMemory,
        caching: false,
        logging: true,
        logged_headers: LoggedHeaders::Never,
    }
}

/// Restores the bytes as key and as value, twice: the second time there are rows.
fn restore(kind: &StoreKind, bytes: &[u8]) {
    let specs = [spec(kind.clone())];
    let mut database = StateEngine::in_memory().open_task("0_0", &specs).unwrap();
    for round in 0..2 {
        for (key, value) in [
            (bytes, Some(&b"v"[..])),
            (b"key-of-sixteen-bytes!", Some(bytes)),
            (bytes, None),
        ] {
            let record = ChangelogRecord {
                key,
                value,
                timestamp: 1_700_000_000_000 + round,
                offset: round,
                headers: None,
            };
            // Malformed records are refused with an error.
            let _refused = database.restore(StoreIndex(0), &[record], round + 1);
        }
    }
    database.rows(StoreIndex(0)).unwrap();
}

#[test]
fn decoders_of_key_value_changelogs_take_any_bytes() {
    decode_everything("changelog-plain", |bytes| {
        for kind in [
            StoreKind::KeyValue { timestamped: true },
            StoreKind::KeyValue { timestamped: false },
            StoreKind::Lru {
                timestamped: true,
                max_entries: 2,
            },
            StoreKind::Raw,
        ] {
            restore(&kind, bytes);
        }
    });
}

#[test]
fn decoders_of_window_changelogs_take_any_bytes() {
    decode_everything("changelog-window", |bytes| {
        restore(&DUPLICATES, bytes);
        restore(
            &StoreKind::Window {
                timestamped: true,
                window_size_ms: 10_000,
                retention_ms: 100_000,
                segment_interval_ms: 50_000,
                retain_duplicates: false,
            },
            bytes,
        );
    });
}

#[test]
fn decoders_of_chunks_take_any_bytes() {
    let key = [
        &[0; 8][..],
        b"k",
        &1_700_000_000_000_u64.to_be_bytes(),
        &[0x80, 0, 0, 9],
    ]
    .concat();
    decode_everything("chunk", |bytes| {
        let Ok(rows) = unpacked(&spec(DUPLICATES), vec![(key[..].into(), bytes.into())]) else {
            return;
        };
        let values: usize = rows.iter().map(|(_, value)| value.len()).sum();
        assert_eq!(values + 12 * rows.len() + 8, bytes.len());
    });
    let written = std::fs::read("../fuzz/corpus/chunk/three-rows").unwrap();
    let rows = unpacked(&spec(DUPLICATES), vec![(key[..].into(), written.into())]).unwrap();
    assert!(
        rows.into_iter()
            .map(|(_, value)| value)
            .eq([&b"one"[..], b"", b"a longer value"].map(Box::from))
    );
}

#[test]
fn decoders_of_session_changelogs_take_any_bytes() {
    decode_everything("changelog-session", |bytes| {
        restore(
            &StoreKind::Session {
                retention_ms: 100_000,
                segment_interval_ms: 50_000,
            },
            bytes,
        );
    });
}

#[test]
fn decoders_of_versioned_rows_take_any_bytes() {
    decode_everything("changelog-versioned", |bytes| {
        restore(
            &StoreKind::Versioned {
                history_retention_ms: 100_000,
                segment_interval_ms: 50_000,
            },
            bytes,
        );
        if let Some(version) = Version::decode(bytes) {
            let mut row = Vec::new();
            version.encode(&mut row);
            assert_eq!(Version::decode(&row), Some(version));
        }
    });
}

#[test]
fn decoders_of_suppress_changelogs_take_any_bytes() {
    decode_everything("changelog-suppress", |bytes| {
        restore(&StoreKind::Suppress, bytes);
        restore(&StoreKind::RecordBuffer, bytes);
        let Some(value) = BufferValue::parse(bytes) else { return };
        let mut written = Vec::new();
        encode(&value.origin.context(), value.values, value.time, &mut written);
        let again = BufferValue::parse(&written).unwrap();
        assert_eq!((again.values, again.time), (value.values, value.time));
    });
}

#[test]
fn decoders_of_layouts_take_any_bytes() {
    decode_everything("layout", |bytes| {
        let known = Layout::of(&StoreKind::KeyValue { timestamped: true });
        // Damage is a changed layout, never the one that was written.
        assert_eq!(Layout::read(bytes) == known, bytes == known.to_string().as_bytes());
    });
}

#[test]
fn decoders_of_the_process_identity_take_any_bytes() {
    let root = tempfile::tempdir().unwrap();
    let directory = Directory::open(root.path(), "app").unwrap();
    let file = directory.path().join("kafka-streams-process-metadata");
    decode_everything("process-identity", |bytes| {
        std::fs::write(&file, bytes).unwrap();
        // An identity, or a sentence that names the file.
        if let Err(error) = directory.process_id() {
            assert!(error.to_string().contains("kafka-streams-process-metadata"));
        }
    });
}
