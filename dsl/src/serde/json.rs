//! JSON values of any type that `serde` can read and write.
use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use super::{Serde, SerdeError};

/// Serde of JSON text; made by [`json`].
pub struct JsonSerde<T>(PhantomData<fn(T) -> T>);
impl<T> Clone for JsonSerde<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for JsonSerde<T> {}

/// JSON for any type that implements serde's `Serialize` and `Deserialize`.
///
/// ```
/// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// # let builder = StreamsBuilder::new();
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order {
///     customer: String,
///     amount: i64,
/// }
/// let orders = builder.stream(Consumed::<String, Order>::topic("in").value_serde(json()));
/// orders.map_values(|order| order.amount).to("out");
/// # let driver = TopologyTestDriver::new(&builder.build()?)?;
/// driver.pipe_bytes("in", Some(b"o1"), Some(br#"{"customer": "Ann", "amount": 7}"#), 0, &Headers::new())?;
/// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn json<T: Serialize + DeserializeOwned>() -> JsonSerde<T> {
    JsonSerde(PhantomData)
}

impl<T: Serialize + DeserializeOwned> Serde<T> for JsonSerde<T> {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        serde_json::to_writer(out, value).map_err(|error| describe(&error))
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        serde_json::from_slice(bytes).map_err(|error| describe(&error))
    }
}

/// Says where, not what: the text of serde_json's error may quote the payload.
fn describe(error: &serde_json::Error) -> SerdeError {
    let kind = match error.classify() {
        serde_json::error::Category::Syntax => "no JSON",
        serde_json::error::Category::Eof => "JSON that ends too early",
        serde_json::error::Category::Data => "JSON of another shape than the type",
        serde_json::error::Category::Io => "JSON that cannot be written",
    };
    SerdeError::new(format!("{kind}, line {} column {}", error.line(), error.column()))
}
