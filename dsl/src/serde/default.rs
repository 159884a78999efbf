//! Types whose format is obvious.
use std::any::{Any, TypeId};
use std::sync::Arc;

use super::{
    BytesSerde, F32Serde, F64Serde, I16Serde, I32Serde, I64Serde, OptionSerde, SharedSerde, StringSerde, UnitSerde,
};

/// A type with one obvious serde: text, numbers, bytes, unit, and `Option` of these.
pub trait DefaultSerde: Sized + 'static {
    /// The serde of the type. For a type of one's own, so that it needs no serde wherever it is used:
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// use millstream_dsl::serde::SharedSerde;
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Order(i64);
    /// impl DefaultSerde for Order {
    ///     fn default_serde() -> SharedSerde<Self> {
    ///         std::sync::Arc::new(json())
    ///     }
    /// }
    /// let orders = Consumed::<String, Order>::topic("in").value_serde(Order::default_serde());
    /// builder.stream(orders).map_values(|order| order.0).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("in", StringSerde, StringSerde)?.pipe("a", "7")?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn default_serde() -> SharedSerde<Self>;
}

macro_rules! defaults {
    ($($type:ty => $serde:expr),* $(,)?) => {
        $(impl DefaultSerde for $type {
            fn default_serde() -> SharedSerde<Self> {
                Arc::new($serde)
            }
        })*

        /// The default serde of a type that is only known as `'static`, if it has one.
        ///
        /// Lets operators find the serde of, say, a `String` that a `map` made, without a bound on the method.
        pub(crate) fn default_serde_of<T: 'static>() -> Option<SharedSerde<T>> {
            $(if let Some(found) = lookup::<$type, T>() { return Some(found); }
              if let Some(found) = lookup::<Option<$type>, T>() { return Some(found); })*
            None
        }
    };
}
defaults! {
    String => StringSerde,
    i64 => I64Serde,
    i32 => I32Serde,
    i16 => I16Serde,
    f64 => F64Serde,
    f32 => F32Serde,
    Vec<u8> => BytesSerde,
    () => UnitSerde,
}

impl<T: DefaultSerde> DefaultSerde for Option<T> {
    fn default_serde() -> SharedSerde<Self> {
        Arc::new(OptionSerde::new(T::default_serde()))
    }
}

fn lookup<D: DefaultSerde, T: 'static>() -> Option<SharedSerde<T>> {
    if TypeId::of::<D>() != TypeId::of::<T>() {
        return None;
    }
    let serde: Box<dyn Any> = Box::new(D::default_serde());
    serde.downcast::<SharedSerde<T>>().ok().map(|serde| *serde)
}
