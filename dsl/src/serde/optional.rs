//! Null: `Option` of a type that has a serde.
use super::{IntoSerde, Serde, SerdeError, SharedSerde};
use crate::mutants::decode_errors_are_swallowed;

/// `None` is null (no bytes); `Some` has the format of the inner serde.
#[derive(Clone)]
pub struct OptionSerde<T>(SharedSerde<T>);
impl<T> OptionSerde<T> {
    /// Makes a serde nullable: `None` has no bytes, which is how a deletion looks in a topic of a table.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.table::<String, i64>("in").to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let input = driver.input("in", StringSerde, OptionSerde::new(I64Serde))?;
    /// input.pipe("a", 1)?;
    /// input.pipe("a", None)?;
    /// let out = driver.output("out", StringSerde, OptionSerde::new(I64Serde))?;
    /// assert_eq!(out.read_values()?, [Some(1), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(inner: impl IntoSerde<T>) -> Self {
        Self(inner.into_serde())
    }
}
impl<T> Serde<Option<T>> for OptionSerde<T> {
    fn serialize(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        value.as_ref().map_or(Ok(()), |value| self.0.serialize(value, out))
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<Option<T>, SerdeError> {
        let read = self.0.deserialize(bytes).map(Some);
        if decode_errors_are_swallowed() {
            read.or(Ok(None))
        } else {
            read
        }
    }
    fn deserialize_into(&self, bytes: &[u8], value: &mut Option<T>) -> Result<(), SerdeError> {
        match value {
            Some(inner) if !decode_errors_are_swallowed() => self.0.deserialize_into(bytes, inner),
            _ => self.deserialize(bytes).map(|read| *value = read),
        }
    }
    fn is_null(&self, value: &Option<T>) -> bool {
        value.as_ref().is_none_or(|value| self.0.is_null(value))
    }
    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.0.partition_bytes(bytes)
    }
    fn null(&self) -> Option<Option<T>> {
        Some(None)
    }
}
