//! Serdes of the simple types, in the formats of Kafka's own serializers: numbers big-endian, text UTF-8.
use ascii::AsAsciiStr;

use super::{Serde, SerdeError};

macro_rules! number_serde {
    ($(#[$doc:meta])* $name:ident, $type:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;
        impl Serde<$type> for $name {
            fn serialize(&self, value: &$type, out: &mut Vec<u8>) -> Result<(), SerdeError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }
            fn deserialize(&self, bytes: &[u8]) -> Result<$type, SerdeError> {
                bytes.try_into().map(<$type>::from_be_bytes).map_err(|_| {
                    SerdeError::new(format!("{} bytes instead of {}", bytes.len(), size_of::<$type>()))
                })
            }
        }
    };
}
number_serde!(/// `i16`, 2 bytes. Kafka: `ShortSerializer`.
    I16Serde, i16);
number_serde!(/// `i32`, 4 bytes. Kafka: `IntegerSerializer`.
    I32Serde, i32);
number_serde!(/// `i64`, 8 bytes. Kafka: `LongSerializer`.
    I64Serde, i64);
number_serde!(/// `f32`, IEEE 754, 4 bytes. Kafka: `FloatSerializer`.
    F32Serde, f32);
number_serde!(/// `f64`, IEEE 754, 8 bytes. Kafka: `DoubleSerializer`.
    F64Serde, f64);

/// Text as UTF-8. Kafka: `StringSerializer`; unlike Java, invalid UTF-8 is an error and not replaced.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringSerde;
impl Serde<String> for StringSerde {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
        text(bytes).map(str::to_owned)
    }
    fn deserialize_into(&self, bytes: &[u8], value: &mut String) -> Result<(), SerdeError> {
        let text = text(bytes)?;
        value.clear();
        value.push_str(text);
        Ok(())
    }
}

/// Most text is ASCII, and to see that takes a fifth of what it takes to check UTF-8.
#[inline]
fn text(bytes: &[u8]) -> Result<&str, SerdeError> {
    if let Ok(text) = bytes.as_ascii_str() {
        return Ok(text.as_str());
    }
    std::str::from_utf8(bytes).map_err(|e| SerdeError::new(format!("not UTF-8 at byte {}", e.valid_up_to())))
}

/// Bytes as they are. Kafka: `ByteArraySerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesSerde;
impl Serde<Vec<u8>> for BytesSerde {
    fn serialize(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<Vec<u8>, SerdeError> {
        Ok(bytes.to_vec())
    }
    fn deserialize_into(&self, bytes: &[u8], value: &mut Vec<u8>) -> Result<(), SerdeError> {
        value.clear();
        value.extend_from_slice(bytes);
        Ok(())
    }
}

/// `()`: always null. Kafka: `VoidSerializer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnitSerde;
impl Serde<()> for UnitSerde {
    fn serialize(&self, (): &(), _out: &mut Vec<u8>) -> Result<(), SerdeError> {
        Ok(())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<(), SerdeError> {
        if bytes.is_empty() {
            Ok(())
        } else {
            Err(SerdeError::new(format!("{} bytes where null was due", bytes.len())))
        }
    }
    fn is_null(&self, (): &()) -> bool {
        true
    }
    fn null(&self) -> Option<()> {
        Some(())
    }
}
