//! A new key, the same value: `select_key`.
use std::sync::Arc;

use crate::{
    engine::{BoxError, Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{KStream, Named},
};

struct SelectKey<F, K2, V> {
    name: Arc<str>,
    function: Arc<F>,
    children: Children<K2, V>,
}

impl<K, V, K2, F> Receiver<K, V> for SelectKey<F, K2, V>
where
    F: Fn(&K, &V) -> Result<K2, BoxError>,
{
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match cx.try_call(&self.name, || (self.function)(record.key, record.value)) {
            Ok(key) => self.children.forward(cx, record.with_key(&key)),
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// A new key for each record. Marks the stream as repartitioned by the next grouping or join.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").select_key(|_, v| v.clone()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x y".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("x y".to_owned(), "x y".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "selectKey")]
    #[must_use]
    pub fn select_key<K2: 'static>(&self, function: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KStream<K2, V> {
        self.add_select_key(move |k: &K, v: &V| Ok(function(k, v)), &Named::default())
    }

    /// [`select_key`](Self::select_key) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").select_key_with(|_, text| text.to_uppercase(), "by-text").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("X".to_owned(), "x".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn select_key_with<K2: 'static>(
        &self,
        function: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K2, V> {
        self.add_select_key(move |k: &K, v: &V| Ok(function(k, v)), &named.into())
    }

    /// [`select_key`](Self::select_key) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").try_select_key(|_, text| text.parse::<i64>()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "7".to_owned())?;
    /// assert_eq!(runner.read::<i64, String>("out"), [(7, "7".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_select_key<K2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<K2, E> + Send + Sync + 'static,
    ) -> KStream<K2, V> {
        self.add_select_key(
            move |k: &K, v: &V| function(k, v).map_err(Into::into),
            &Named::default(),
        )
    }

    /// [`try_select_key`](Self::try_select_key) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_select_key_with(|_, text| text.parse::<i64>(), "by-number")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "7".to_owned())?;
    /// assert_eq!(runner.read::<i64, String>("out"), [(7, "7".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_select_key_with<K2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<K2, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K2, V> {
        self.add_select_key(move |k: &K, v: &V| function(k, v).map_err(Into::into), &named.into())
    }

    fn add_select_key<K2, F>(&self, function: F, named: &Named) -> KStream<K2, V>
    where
        F: Fn(&K, &V) -> Result<K2, BoxError> + Send + Sync + 'static,
        K2: 'static,
    {
        let function = Arc::new(function);
        self.chain(
            self.next_name(named, "KSTREAM-KEY-SELECT-"),
            self.new_key(),
            move |scope, children| SelectKey {
                name: scope.name().clone(),
                function: function.clone(),
                children,
            },
        )
    }
}
