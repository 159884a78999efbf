//! What travels along an edge: a record of a stream or a change of a table, all by reference.
use millstream_state::Headers;

/// A record on its way between operators: everything by reference, `Copy`.
#[derive(Debug)]
pub struct Record<'a, K: ?Sized, V: ?Sized> {
    /// The key.
    pub key: &'a K,
    /// The value.
    pub value: &'a V,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers, shared by everybody who holds this record.
    pub headers: &'a Headers,
    /// The serialized key, as long as nobody has changed the key.
    pub key_bytes: Option<&'a [u8]>,
    /// Whether this is a changed copy of another record: what happens to its headers must not be seen by those who hold
    /// the other one. They are copied when somebody may change them, and not before.
    pub(crate) is_copy: bool,
}

impl<K: ?Sized, V: ?Sized> Clone for Record<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: ?Sized, V: ?Sized> Copy for Record<'_, K, V> {}

impl<'a, K: ?Sized, V: ?Sized> Record<'a, K, V> {
    /// A record without headers of its own.
    pub fn new(key: &'a K, value: &'a V, timestamp: i64, headers: &'a Headers) -> Self {
        Self {
            key,
            value,
            timestamp,
            headers,
            key_bytes: None,
            is_copy: true,
        }
    }
    /// The same record with another value; the serialized key stays valid.
    pub fn with_value<'b, V2: ?Sized>(self, value: &'b V2) -> Record<'b, K, V2>
    where
        'a: 'b,
    {
        Record {
            key: self.key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
            key_bytes: self.key_bytes,
            is_copy: true,
        }
    }
    /// The same record with another key.
    pub fn with_key<'b, K2: ?Sized>(self, key: &'b K2) -> Record<'b, K2, V>
    where
        'a: 'b,
    {
        Record {
            key,
            value: self.value,
            timestamp: self.timestamp,
            headers: self.headers,
            key_bytes: None,
            is_copy: true,
        }
    }
    /// The same record at another time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: i64) -> Self {
        Self {
            timestamp,
            is_copy: true,
            ..self
        }
    }
    /// The same record with other headers.
    #[must_use]
    pub fn with_headers<'b>(self, headers: &'b Headers) -> Record<'b, K, V>
    where
        'a: 'b,
    {
        Record {
            key: self.key,
            value: self.value,
            timestamp: self.timestamp,
            headers,
            key_bytes: self.key_bytes,
            is_copy: true,
        }
    }
    /// Lets whoever holds the record that this one was made of see what happens to its headers. A changed record has
    /// headers of its own, as in Kafka Streams; one that is forwarded as it came shares them.
    #[must_use]
    pub fn sharing_headers(self) -> Self {
        Self { is_copy: false, ..self }
    }
    /// The same record with headers of its own.
    pub(crate) fn with_own_headers<'b>(self, headers: &'b Headers) -> Record<'b, K, V>
    where
        'a: 'b,
    {
        Record {
            is_copy: false,
            ..self.with_headers(headers)
        }
    }
}

/// An update of a table on its way.
#[derive(Debug)]
pub struct Change<'a, K: ?Sized, V: ?Sized> {
    /// The key.
    pub key: &'a K,
    /// The value after the update; None deletes.
    pub new: Option<&'a V>,
    /// Only filled in when somebody downstream asked for old values.
    pub old: Option<&'a V>,
    /// False for an out-of-order update of a versioned table.
    pub is_latest: bool,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers of the record that caused the update.
    pub headers: &'a Headers,
    /// The serialized key, as long as nobody has changed the key.
    pub key_bytes: Option<&'a [u8]>,
}

impl<K: ?Sized, V: ?Sized> Clone for Change<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: ?Sized, V: ?Sized> Copy for Change<'_, K, V> {}

impl<'a, K: ?Sized, V: ?Sized> Change<'a, K, V> {
    /// The same update with other values.
    pub fn with_values<'b, V2: ?Sized>(self, new: Option<&'b V2>, old: Option<&'b V2>) -> Change<'b, K, V2>
    where
        'a: 'b,
    {
        Change {
            key: self.key,
            new,
            old,
            is_latest: self.is_latest,
            timestamp: self.timestamp,
            headers: self.headers,
            key_bytes: self.key_bytes,
        }
    }
    /// The same update at another time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }
}
