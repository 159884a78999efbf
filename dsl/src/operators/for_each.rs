//! The end of a stream in a function: `for_each`.
use std::sync::Arc;

use crate::{
    engine::{BoxError, ProcessResult, Receiver, Record, TaskContext},
    stream::{Derived, KStream, Named},
};

struct ForEach<F> {
    name: Arc<str>,
    function: Arc<F>,
}
impl<K, V, F: Fn(&K, &V) -> Result<(), BoxError>> Receiver<K, V> for ForEach<F> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match cx.try_call(&self.name, || (self.function)(record.key, record.value)) {
            Ok(()) => Ok(()),
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Calls `function` with each record. After a failure it may see a record again.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicI64, Ordering}};
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let sum = Arc::new(AtomicI64::new(0));
    /// let seen = sum.clone();
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").for_each(move |_, n| { seen.fetch_add(*n, Ordering::Relaxed); });
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 40i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(sum.load(Ordering::Relaxed), 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "foreach")]
    pub fn for_each(&self, function: impl Fn(&K, &V) + Send + Sync + 'static) {
        self.for_each_with(function, Named::default());
    }
    /// [`for_each`](Self::for_each) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// use std::sync::{
    ///     Arc,
    ///     atomic::{AtomicI64, Ordering},
    /// };
    /// let builder = StreamsBuilder::new();
    /// let (sum, total) = (Arc::new(AtomicI64::new(0)), 3);
    /// let adds = sum.clone();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .for_each_with(move |_, n| drop(adds.fetch_add(*n, Ordering::Relaxed)), "sum");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(sum.load(Ordering::Relaxed), total);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_each_with(&self, function: impl Fn(&K, &V) + Send + Sync + 'static, named: impl Into<Named>) {
        self.add_for_each(
            move |k: &K, v: &V| {
                function(k, v);
                Ok(())
            },
            &named.into(),
        );
    }
    /// [`for_each`](Self::for_each) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// use std::sync::{
    ///     Arc,
    ///     atomic::{AtomicI64, Ordering},
    /// };
    /// let builder = StreamsBuilder::new();
    /// let (sum, total) = (Arc::new(AtomicI64::new(0)), 3);
    /// let adds = sum.clone();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_for_each(move |_, text| {
    ///         text.parse::<i64>()
    ///             .map(|n| drop(adds.fetch_add(n, Ordering::Relaxed)))
    ///     });
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "a".to_owned(), "2".to_owned())?;
    /// assert_eq!(sum.load(Ordering::Relaxed), total);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_for_each<E: Into<BoxError>>(&self, function: impl Fn(&K, &V) -> Result<(), E> + Send + Sync + 'static) {
        self.try_for_each_with(function, Named::default());
    }
    /// [`try_for_each`](Self::try_for_each) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// use std::sync::{
    ///     Arc,
    ///     atomic::{AtomicI64, Ordering},
    /// };
    /// let builder = StreamsBuilder::new();
    /// let (sum, total) = (Arc::new(AtomicI64::new(0)), 3);
    /// let adds = sum.clone();
    /// builder.stream::<String, String>("in").try_for_each_with(
    ///     move |_, text| {
    ///         text.parse::<i64>()
    ///             .map(|n| drop(adds.fetch_add(n, Ordering::Relaxed)))
    ///     },
    ///     "sum",
    /// );
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "a".to_owned(), "2".to_owned())?;
    /// assert_eq!(sum.load(Ordering::Relaxed), total);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_for_each_with<E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<(), E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) {
        self.add_for_each(move |k: &K, v: &V| function(k, v).map_err(Into::into), &named.into());
    }
    fn add_for_each(&self, function: impl Fn(&K, &V) -> Result<(), BoxError> + Send + Sync + 'static, named: &Named) {
        let function = Arc::new(function);
        let nothing: Derived<(), ()> = Self::new_both();
        self.chain(self.next_name(named, "KSTREAM-FOREACH-"), nothing, move |scope, _| {
            ForEach {
                name: scope.name().clone(),
                function: function.clone(),
            }
        });
    }
}
