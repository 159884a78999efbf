//! A record as the cluster lends it, before it is decoded.
use millstream_state::Headers;

/// A raw record of a source topic, lent by the cluster.
#[derive(Clone, Copy)]
pub struct RawRecord<'a> {
    /// Its topic, where the source reads topics by a pattern; else it is that of the source.
    pub topic: Option<&'a str>,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes; None is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Offset in its partition.
    pub offset: i64,
    /// Headers, not yet decoded.
    pub headers: RawHeaders<'a>,
}

/// Headers as the cluster lends them: decoded only when somebody looks.
#[derive(Clone, Copy)]
pub enum RawHeaders<'a> {
    /// The record has none.
    None,
    /// They can be read from here.
    Lazy(&'a dyn HeaderSource),
}

/// Something headers can be read from.
pub trait HeaderSource {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Appends all of them.
    fn read_into(&self, headers: &Headers);
}

impl RawHeaders<'_> {
    /// Puts the headers into `headers`, which is emptied first.
    pub fn read_into(&self, headers: &Headers) {
        if !headers.is_empty() {
            headers.clear();
        }
        if let Self::Lazy(source) = self
            && !source.is_empty()
        {
            source.read_into(headers);
        }
    }
}
