//! The processor API for values: `process_values`. The key cannot change, so the stream keeps its partitioning.
use crate::{
    processor::{FixedKey, FixedKeyProcessor},
    stream::KStream,
};

use super::{Processing, process_node};

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Every record through a processor that gives records of the same key. `supplier` makes one per task.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// struct Plus(i64);
    /// impl FixedKeyProcessor<String, i64, i64> for Plus {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &FixedKeyContext<'_, '_, String, i64>,
    ///         record: FixedKeyRecord<'_, String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         ctx.forward(record.with_value(&(record.value() + self.0)))?;
    ///         Ok(())
    ///     }
    /// }
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").process_values(|| Plus(2)).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 40i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 42)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "processValues")]
    pub fn process_values<V2, P>(&self, supplier: impl Fn() -> P + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: 'static,
        P: FixedKeyProcessor<K, V, V2> + 'static,
    {
        self.process_values_with(supplier, Processing::default())
    }
    /// [`process_values`](Self::process_values) with a name and stores.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// struct Double;
    /// impl FixedKeyProcessor<String, i64, i64> for Double {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &FixedKeyContext<'_, '_, String, i64>,
    ///         record: FixedKeyRecord<'_, String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         Ok(ctx.forward(record.with_value(&(record.value() * 2)))?)
    ///     }
    /// }
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .process_values_with(|| Double, Processing::new().named("double"))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process_values_with<V2, P>(
        &self,
        supplier: impl Fn() -> P + Send + Sync + 'static,
        processing: Processing,
    ) -> KStream<K, V2>
    where
        V2: 'static,
        P: FixedKeyProcessor<K, V, V2> + 'static,
    {
        let name = self
            .builder
            .borrow_mut()
            .name_or(processing.name.name(), "KSTREAM-PROCESSVALUES-");
        let factory = process_node::<K, V, K, V2, FixedKey<P>>(move || FixedKey(supplier()));
        self.add_processor(name, self.new_value(), factory, processing)
    }
}
