//! Headers of records, and where a record came from.
use std::{cell::RefCell, rc::Rc};

/// One record header; a value may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name; need not be unique.
    pub key: Rc<str>,
    /// Bytes, or null.
    pub value: Option<Rc<[u8]>>,
}

/// Headers of a record. Shared by reference along a record's way, as in Kafka Streams: `add` is seen by
/// everybody downstream who holds the same record; `clone` copies. Empty headers never allocate.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Headers {
    inner: RefCell<Vec<Header>>,
}
impl Clone for Headers {
    // Most records have none, and each is copied a few times.
    #[inline]
    fn clone(&self) -> Self {
        if self.is_empty() {
            return Self::new();
        }
        Self {
            inner: self.inner.clone(),
        }
    }
}
impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.inner.borrow().is_empty()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.inner.borrow().len()
    }
    /// Appends one.
    pub fn add(&self, key: &str, value: Option<&[u8]>) {
        self.inner.borrow_mut().push(Header {
            key: key.into(),
            value: value.map(Into::into),
        })
    }
    /// Removes all of that name.
    pub fn remove(&self, key: &str) {
        self.inner.borrow_mut().retain(|h| &*h.key != key)
    }
    /// The last of that name.
    pub fn last(&self, key: &str) -> Option<Header> {
        self.inner.borrow().iter().rev().find(|h| &*h.key == key).cloned()
    }
    /// A copy of all, in order.
    pub fn to_vec(&self) -> Vec<Header> {
        self.inner.borrow().clone()
    }
    /// Lends each to `f`, in order.
    pub fn for_each(&self, mut f: impl FnMut(&str, Option<&[u8]>)) {
        for h in self.inner.borrow().iter() {
            f(&h.key, h.value.as_deref())
        }
    }
    /// Removes all.
    pub fn clear(&self) {
        self.inner.borrow_mut().clear()
    }
}

/// Where a record came from; kept with cached updates so that they are forwarded with it.
#[derive(Clone, Debug)]
pub struct RecordContext {
    /// Source topic.
    pub topic: Rc<str>,
    /// Source partition.
    pub partition: i32,
    /// Source offset.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers at the time of the update.
    pub headers: Headers,
    /// Where somebody wants them (a topic of dead letters): the bytes of the record.
    pub source: Option<Rc<SourceRecord>>,
}

/// A record as it was read from its topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRecord {
    /// Key bytes.
    pub key: Option<Vec<u8>>,
    /// Value bytes.
    pub value: Option<Vec<u8>>,
}

/// The record that an update comes from, as whoever processes it knows it. Only what waits in a record cache or a buffer is
/// kept with a copy of it.
pub trait UpdateContext {
    /// Milliseconds since the epoch.
    fn timestamp(&self) -> i64;
    /// Headers at the time of the update.
    fn headers(&self) -> &Headers;
    /// A copy to keep.
    fn to_record_context(&self) -> RecordContext;
}

impl UpdateContext for RecordContext {
    fn timestamp(&self) -> i64 {
        self.timestamp
    }
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn to_record_context(&self) -> RecordContext {
        self.clone()
    }
}
