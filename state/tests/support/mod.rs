//! What the tests of stores share: specs, a context, a changelog that remembers.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test compiles it for itself and uses a part of it"
)]

use std::cell::RefCell;
use std::rc::Rc;

use millstream_state::{
    ChangeLogger, ChangelogRecord, Headers, LoggedHeaders, RecordContext, Result, StoreBackend, StoreIndex, StoreKind,
    StoreSpec,
};

/// A spec of a logged store without cache.
pub fn spec(name: &str, kind: StoreKind) -> StoreSpec {
    StoreSpec {
        name: name.into(),
        kind,
        backend: StoreBackend::Persistent,
        caching: false,
        logging: true,
        logged_headers: LoggedHeaders::Never,
    }
}

pub fn key_value() -> StoreSpec {
    spec("kv", StoreKind::KeyValue { timestamped: true })
}

/// Ten-millisecond windows that stay readable for 100 ms, in segments of 50 ms.
pub fn windows(retain_duplicates: bool) -> StoreSpec {
    let kind = StoreKind::Window {
        timestamped: !retain_duplicates,
        window_size_ms: 10,
        retention_ms: 100,
        segment_interval_ms: 50,
        retain_duplicates,
    };
    spec("windows", kind)
}

pub fn context(timestamp: i64) -> RecordContext {
    RecordContext {
        topic: "in".into(),
        partition: 0,
        offset: 0,
        timestamp,
        headers: Headers::new(),
        source: None,
    }
}

/// What was logged: key, value, time.
pub type Logged = (Vec<u8>, Option<Vec<u8>>, i64);

#[derive(Default)]
pub struct Changelog {
    pub records: RefCell<Vec<Logged>>,
}

impl Changelog {
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    /// The records as restore reads them; offsets are positions.
    pub fn with_records<R>(&self, f: impl FnOnce(&[ChangelogRecord<'_>]) -> R) -> R {
        let records = self.records.borrow();
        let lent: Vec<ChangelogRecord<'_>> = (0..)
            .zip(records.iter())
            .map(|(offset, (key, value, timestamp))| ChangelogRecord {
                key,
                value: value.as_deref(),
                timestamp: *timestamp,
                offset,
                headers: None,
            })
            .collect();
        f(&lent)
    }
}

impl ChangeLogger for Changelog {
    fn log(
        &self,
        _store: StoreIndex,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Option<i64>,
        _headers: Option<&Headers>,
    ) -> Result<()> {
        self.records
            .borrow_mut()
            .push((key.to_vec(), value.map(<[u8]>::to_vec), timestamp.unwrap_or(-1)));
        Ok(())
    }
}
