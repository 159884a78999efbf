//! How do keys and values become bytes, and back?
//!
//! A [`Serde`] knows one type. Types with one obvious format have it through [`DefaultSerde`]; everything else is
//! given explicitly, for example [`json`]. Null is `Option` and only `Option`: its serde is the one whose
//! [`Serde::is_null`] can be true.
#[cfg(test)]
pub(crate) mod decoders;
mod default;
mod grouped_change;
mod json;
mod optional;
mod options;
mod primitive;
mod windowed;

use std::sync::Arc;

pub use default::DefaultSerde;
pub(crate) use default::default_serde_of;
pub(crate) use grouped_change::{GroupedChange, GroupedChangeSerde};
pub use json::{JsonSerde, json};
pub use optional::OptionSerde;
pub(crate) use options::serde_options;
pub use primitive::{BytesSerde, F32Serde, F64Serde, I16Serde, I32Serde, I64Serde, StringSerde, UnitSerde};
pub use windowed::{SessionWindowedSerde, TimeWindowedSerde};

/// Why bytes could not be read or a value not written. Never holds the payload.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SerdeError {
    message: String,
    wrong_type: bool,
}

impl SerdeError {
    /// An error with a sentence, which goes to logs: it must not hold the payload.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// use millstream_dsl::serde::SerdeError;
    /// let error = SerdeError::new("an order without a number");
    /// assert_eq!(error.to_string(), "an order without a number");
    /// ```
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            wrong_type: false,
        }
    }
    /// The value is none that this serde is for: an error in the program, not in the record. Only serdes of dynamically
    /// typed values have a use for it. The task stops, and no handler is asked. Kafka Streams: `ClassCastException`.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// use millstream_dsl::serde::SerdeError;
    /// assert!(SerdeError::wrong_type("a number where text is expected").is_wrong_type());
    /// ```
    pub fn wrong_type(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            wrong_type: true,
        }
    }
    /// Whether it was made by [`wrong_type`](Self::wrong_type).
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// use millstream_dsl::serde::SerdeError;
    /// assert!(!SerdeError::new("an order without a number").is_wrong_type(), "another record may be fine");
    /// ```
    pub fn is_wrong_type(&self) -> bool {
        self.wrong_type
    }
}

/// Serializer and deserializer of one type. Kafka Streams: `Serde`.
#[doc(alias = "Serializer")]
#[doc(alias = "Deserializer")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no serde of `{T}`",
    label = "does not turn `{T}` into bytes and back",
    note = "give one of the serdes of the prelude, `json::<{T}>()` for a type with the derives of the crate `serde`, or implement `Serde<{T}>`"
)]
pub trait Serde<T>: Send + Sync {
    /// Appends the bytes of `value` to `out`. Not called for values that [`is_null`](Self::is_null).
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// use millstream_dsl::serde::SerdeError;
    /// /// Prices in cents, written as text.
    /// struct Cents;
    /// impl Serde<i64> for Cents {
    ///     fn serialize(&self, value: &i64, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    ///         out.extend_from_slice(format!("{}.{:02}", value / 100, value % 100).as_bytes());
    ///         Ok(())
    ///     }
    /// #     fn deserialize(&self, _: &[u8]) -> Result<i64, SerdeError> {
    /// #         Err(SerdeError::new("written only"))
    /// #     }
    ///     // ...
    /// }
    /// let mut bytes = Vec::new();
    /// Cents.serialize(&1_205, &mut bytes)?;
    /// assert_eq!(bytes, b"12.05");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the value has no representation; the error goes to the production handler.
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError>;

    /// Reads a value from all of `bytes`.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// assert_eq!(I64Serde.deserialize(&[0, 0, 0, 0, 0, 0, 0, 7])?, 7);
    /// assert!(I64Serde.deserialize(b"7").is_err(), "eight bytes, as in Java");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the bytes are no value of the type; the error goes to the deserialization handler.
    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError>;

    /// Like [`deserialize`](Self::deserialize), into a value that may be reused: text and bytes keep their buffers, so that
    /// a source allocates nothing per record. After an error the value is of no use.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let mut text = String::with_capacity(100);
    /// StringSerde.deserialize_into(b"reused", &mut text)?;
    /// assert_eq!((text.as_str(), text.capacity()), ("reused", 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`deserialize`](Self::deserialize).
    fn deserialize_into(&self, bytes: &[u8], value: &mut T) -> Result<(), SerdeError> {
        *value = self.deserialize(bytes)?;
        Ok(())
    }

    /// Whether the value is null, i.e. has no bytes at all. False except for the serde of `Option`.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// assert!(OptionSerde::new(I64Serde).is_null(&None));
    /// assert!(!I64Serde.is_null(&0));
    /// ```
    fn is_null(&self, _value: &T) -> bool {
        false
    }

    /// The value that null bytes mean, for types that have null.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// assert_eq!(OptionSerde::new(I64Serde).null(), Some(None));
    /// assert_eq!(I64Serde.null(), None, "a null value is an error of the record");
    /// ```
    fn null(&self) -> Option<T> {
        None
    }

    /// The part of a key's bytes that decides its partition; None: all of them. Windowed keys go by the plain key.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::serde::TimeWindowedSerde;
    /// let key = b"a\0\0\0\0\0\0\0\x01";
    /// assert_eq!(TimeWindowedSerde::new(StringSerde, 10).partition_bytes(key), Some(&b"a"[..]));
    /// assert_eq!(StringSerde.partition_bytes(key), None);
    /// ```
    fn partition_bytes<'a>(&self, _bytes: &'a [u8]) -> Option<&'a [u8]> {
        None
    }
}

/// A shared serde, as topologies keep it.
pub type SharedSerde<T> = Arc<dyn Serde<T>>;

/// A shared serde is a serde, so that options take either.
impl<T, S: Serde<T> + ?Sized> Serde<T> for Arc<S> {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        (**self).serialize(value, out)
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        (**self).deserialize(bytes)
    }
    fn deserialize_into(&self, bytes: &[u8], value: &mut T) -> Result<(), SerdeError> {
        (**self).deserialize_into(bytes, value)
    }
    fn is_null(&self, value: &T) -> bool {
        (**self).is_null(value)
    }
    fn null(&self) -> Option<T> {
        (**self).null()
    }
    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        (**self).partition_bytes(bytes)
    }
}

/// Something that can be turned into a shared serde.
pub trait IntoSerde<T> {
    /// Shares the serde.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::serde::{IntoSerde, SharedSerde};
    /// let shared: SharedSerde<i64> = I64Serde.into_serde();
    /// assert_eq!(shared.deserialize(&[0, 0, 0, 0, 0, 0, 0, 7])?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn into_serde(self) -> SharedSerde<T>;
}
impl<T, S: Serde<T> + 'static> IntoSerde<T> for S {
    fn into_serde(self) -> SharedSerde<T> {
        Arc::new(self)
    }
}

/// Reads bytes that may be null.
pub(crate) fn read<T>(serde: &dyn Serde<T>, bytes: Option<&[u8]>) -> Result<T, SerdeError> {
    match bytes {
        Some(bytes) => serde.deserialize(bytes),
        None => serde
            .null()
            .ok_or_else(|| SerdeError::new("null, but the type has no null: use Option")),
    }
}

/// Reads bytes that may be null, reusing the value if there is one.
pub(crate) fn read_into<T>(
    serde: &dyn Serde<T>,
    bytes: Option<&[u8]>,
    value: &mut Option<T>,
) -> Result<(), SerdeError> {
    match (bytes, value) {
        (Some(bytes), Some(value)) => serde.deserialize_into(bytes, value),
        (bytes, value) => {
            *value = Some(read(serde, bytes)?);
            Ok(())
        }
    }
}

/// Writes into a cleared buffer; false: the value is null and has no bytes.
pub(crate) fn write<T>(serde: &dyn Serde<T>, value: &T, out: &mut Vec<u8>) -> Result<bool, SerdeError> {
    out.clear();
    if serde.is_null(value) {
        return Ok(false);
    }
    serde.serialize(value, out)?;
    Ok(true)
}
