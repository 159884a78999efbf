//! Look at records on their way: `peek`.
use std::sync::Arc;

use crate::{
    engine::{BoxError, Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{KStream, Named},
};

struct Peek<F, K, V> {
    name: Arc<str>,
    function: Arc<F>,
    children: Children<K, V>,
}

impl<K, V, F> Receiver<K, V> for Peek<F, K, V>
where
    F: Fn(&K, &V) -> Result<(), BoxError>,
{
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match cx.try_call(&self.name, || (self.function)(record.key, record.value)) {
            Ok(()) => self.children.forward(cx, record),
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Calls `function` with each record and passes the record on. After a failure it may see a record again.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").peek(|k, v| println!("{k}={v}")).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x y".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "x y".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn peek(&self, function: impl Fn(&K, &V) + Send + Sync + 'static) -> KStream<K, V> {
        self.add_peek(
            move |k: &K, v: &V| {
                function(k, v);
                Ok(())
            },
            &Named::default(),
        )
    }

    /// [`peek`](Self::peek) with a name.
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
    ///     .peek_with(move |_, n| drop(adds.fetch_add(*n, Ordering::Relaxed)), "sum")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(sum.load(Ordering::Relaxed), total);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn peek_with(
        &self,
        function: impl Fn(&K, &V) + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V> {
        self.add_peek(
            move |k: &K, v: &V| {
                function(k, v);
                Ok(())
            },
            &named.into(),
        )
    }

    /// [`peek`](Self::peek) by a function that can fail; an error goes to the processing handler.
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
    ///     .try_peek(move |_, text| {
    ///         text.parse::<i64>()
    ///             .map(|n| drop(adds.fetch_add(n, Ordering::Relaxed)))
    ///     })
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "a".to_owned(), "2".to_owned())?;
    /// assert_eq!(sum.load(Ordering::Relaxed), total);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_peek<E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<(), E> + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.add_peek(
            move |k: &K, v: &V| function(k, v).map_err(Into::into),
            &Named::default(),
        )
    }

    /// [`try_peek`](Self::try_peek) with a name.
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
    ///     .try_peek_with(
    ///         move |_, text| {
    ///             text.parse::<i64>()
    ///                 .map(|n| drop(adds.fetch_add(n, Ordering::Relaxed)))
    ///         },
    ///         "sum",
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "a".to_owned(), "2".to_owned())?;
    /// assert_eq!(sum.load(Ordering::Relaxed), total);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_peek_with<E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<(), E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V> {
        self.add_peek(move |k: &K, v: &V| function(k, v).map_err(Into::into), &named.into())
    }

    fn add_peek<F>(&self, function: F, named: &Named) -> KStream<K, V>
    where
        F: Fn(&K, &V) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        let function = Arc::new(function);
        self.chain(
            self.next_name(named, "KSTREAM-PEEK-"),
            self.same(),
            move |scope, children| Peek {
                name: scope.name().clone(),
                function: function.clone(),
                children,
            },
        )
    }
}
