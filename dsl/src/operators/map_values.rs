//! A new value, the same key: `map_values`.
use std::sync::Arc;

use crate::{
    engine::{BoxError, Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{KStream, Named},
};

struct MapValues<F, K, V2> {
    name: Arc<str>,
    function: Arc<F>,
    children: Children<K, V2>,
}

impl<K, V, V2, F> Receiver<K, V> for MapValues<F, K, V2>
where
    F: Fn(&K, &V) -> Result<V2, BoxError>,
{
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match cx.try_call(&self.name, || (self.function)(record.key, record.value)) {
            Ok(value) => self.children.forward(cx, record.with_value(&value)),
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// A new value for each record.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").map_values(|v| v.to_uppercase()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x y".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "X Y".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "mapValues")]
    #[must_use]
    pub fn map_values<V2: 'static>(&self, function: impl Fn(&V) -> V2 + Send + Sync + 'static) -> KStream<K, V2> {
        self.add_map_values(move |_: &K, v: &V| Ok(function(v)), &Named::default())
    }

    /// [`map_values`](Self::map_values) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").map_values_with(|n| n * 2, "double").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map_values_with<V2: 'static>(
        &self,
        function: impl Fn(&V) -> V2 + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_map_values(move |_: &K, v: &V| Ok(function(v)), &named.into())
    }

    /// [`map_values`](Self::map_values) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").try_map_values(|text| text.parse::<i64>()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_map_values<V2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&V) -> Result<V2, E> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add_map_values(move |_: &K, v: &V| function(v).map_err(Into::into), &Named::default())
    }

    /// [`try_map_values`](Self::try_map_values) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").try_map_values_with(|text| text.parse::<i64>(), "numbers").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_map_values_with<V2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&V) -> Result<V2, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_map_values(move |_: &K, v: &V| function(v).map_err(Into::into), &named.into())
    }

    /// [`map_values`](Self::map_values) by a function that also sees the key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").map_values_with_key(|key, n| format!("{key}{n}")).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "a1".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map_values_with_key<V2: 'static>(
        &self,
        function: impl Fn(&K, &V) -> V2 + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add_map_values(move |k: &K, v: &V| Ok(function(k, v)), &Named::default())
    }

    /// [`map_values_with_key`](Self::map_values_with_key) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").map_values_with_key_named(|k, n| format!("{k}{n}"), "labels").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "a1".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map_values_with_key_named<V2: 'static>(
        &self,
        function: impl Fn(&K, &V) -> V2 + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_map_values(move |k: &K, v: &V| Ok(function(k, v)), &named.into())
    }

    /// [`map_values_with_key`](Self::map_values_with_key) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").try_map_values_with_key(|_, text| text.parse::<i64>()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_map_values_with_key<V2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<V2, E> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add_map_values(
            move |k: &K, v: &V| function(k, v).map_err(Into::into),
            &Named::default(),
        )
    }

    /// [`try_map_values_with_key`](Self::try_map_values_with_key) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_map_values_with_key_named(|_, text| text.parse::<i64>(), "numbers")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_map_values_with_key_named<V2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<V2, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_map_values(move |k: &K, v: &V| function(k, v).map_err(Into::into), &named.into())
    }

    fn add_map_values<V2, F>(&self, function: F, named: &Named) -> KStream<K, V2>
    where
        F: Fn(&K, &V) -> Result<V2, BoxError> + Send + Sync + 'static,
        V2: 'static,
    {
        let function = Arc::new(function);
        self.chain(
            self.next_name(named, "KSTREAM-MAPVALUES-"),
            self.new_value(),
            move |scope, children| MapValues {
                name: scope.name().clone(),
                function: function.clone(),
                children,
            },
        )
    }
}
