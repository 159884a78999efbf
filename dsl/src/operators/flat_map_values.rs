//! Any number of values of one key from one record: `flat_map_values`.
use std::sync::Arc;

use crate::{
    engine::{BoxError, Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{KStream, Named},
};

struct FlatMapValues<F, K, V2> {
    name: Arc<str>,
    function: Arc<F>,
    children: Children<K, V2>,
}

impl<K, V, V2, I, F> Receiver<K, V> for FlatMapValues<F, K, V2>
where
    F: Fn(&K, &V) -> Result<I, BoxError>,
    I: IntoIterator<Item = V2>,
{
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let items = match cx.try_call(&self.name, || {
            (self.function)(record.key, record.value).map(IntoIterator::into_iter)
        }) {
            Ok(items) => items,
            Err(error) => return cx.processing_failed(error, record.timestamp, record.headers),
        };
        let mut items = items;
        loop {
            match cx.call(&self.name, || items.next()) {
                Ok(None) => return Ok(()),
                Ok(Some(value)) => self.children.forward(cx, record.with_value(&value))?,
                Err(error) => return cx.processing_failed(error, record.timestamp, record.headers),
            }
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Any number of values for each record, all with its key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .flat_map_values(|v| v.split(' ').map(str::to_owned).collect::<Vec<_>>())
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x y".to_owned())?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("a".to_owned(), "x".to_owned()), ("a".to_owned(), "y".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "flatMapValues")]
    #[must_use]
    pub fn flat_map_values<V2: 'static, I: IntoIterator<Item = V2> + 'static>(
        &self,
        function: impl Fn(&V) -> I + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(move |_: &K, v: &V| Ok(function(v)), &Named::default())
    }

    /// [`flat_map_values`](Self::flat_map_values) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").flat_map_values_with(|n| [*n, -n], "both-signs").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), -1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn flat_map_values_with<V2: 'static, I: IntoIterator<Item = V2> + 'static>(
        &self,
        function: impl Fn(&V) -> I + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(move |_: &K, v: &V| Ok(function(v)), &named.into())
    }

    /// [`flat_map_values`](Self::flat_map_values) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_flat_map_values(|text| Ok::<_, std::num::ParseIntError>([text.parse::<i64>()?]))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_flat_map_values<V2: 'static, I: IntoIterator<Item = V2> + 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&V) -> Result<I, E> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(move |_: &K, v: &V| function(v).map_err(Into::into), &Named::default())
    }

    /// [`try_flat_map_values`](Self::try_flat_map_values) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_flat_map_values_with(
    ///         |text| Ok::<_, std::num::ParseIntError>([text.parse::<i64>()?]),
    ///         "numbers",
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_flat_map_values_with<V2: 'static, I: IntoIterator<Item = V2> + 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&V) -> Result<I, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(move |_: &K, v: &V| function(v).map_err(Into::into), &named.into())
    }

    /// [`flat_map_values`](Self::flat_map_values) by a function that also sees the key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, i64>("in");
    /// stream.flat_map_values_with_key(|key, n| vec![format!("{key}{n}"), format!("{key}{}", n + 1)]).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// let values: Vec<_> = runner.read::<String, String>("out").into_iter().map(|(_, v)| v).collect();
    /// assert_eq!(values, ["a1", "a2"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn flat_map_values_with_key<V2: 'static, I: IntoIterator<Item = V2> + 'static>(
        &self,
        function: impl Fn(&K, &V) -> I + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(move |k: &K, v: &V| Ok(function(k, v)), &Named::default())
    }

    /// [`flat_map_values_with_key`](Self::flat_map_values_with_key) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .flat_map_values_with_key_named(|k, n| [format!("{k}{n}")], "labels")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("a".to_owned(), "a1".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn flat_map_values_with_key_named<V2: 'static, I: IntoIterator<Item = V2> + 'static>(
        &self,
        function: impl Fn(&K, &V) -> I + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(move |k: &K, v: &V| Ok(function(k, v)), &named.into())
    }

    /// [`flat_map_values_with_key`](Self::flat_map_values_with_key) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_flat_map_values_with_key(|_, text| Ok::<_, std::num::ParseIntError>([text.parse::<i64>()?]))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_flat_map_values_with_key<V2: 'static, I: IntoIterator<Item = V2> + 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<I, E> + Send + Sync + 'static,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(
            move |k: &K, v: &V| function(k, v).map_err(Into::into),
            &Named::default(),
        )
    }

    /// [`try_flat_map_values_with_key`](Self::try_flat_map_values_with_key) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_flat_map_values_with_key_named(
    ///         |_, text| Ok::<_, std::num::ParseIntError>([text.parse::<i64>()?]),
    ///         "numbers",
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_flat_map_values_with_key_named<V2: 'static, I: IntoIterator<Item = V2> + 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<I, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K, V2> {
        self.add_flat_map_values(move |k: &K, v: &V| function(k, v).map_err(Into::into), &named.into())
    }

    fn add_flat_map_values<V2, I, F>(&self, function: F, named: &Named) -> KStream<K, V2>
    where
        F: Fn(&K, &V) -> Result<I, BoxError> + Send + Sync + 'static,
        I: IntoIterator<Item = V2> + 'static,
        V2: 'static,
    {
        let function = Arc::new(function);
        self.chain(
            self.next_name(named, "KSTREAM-FLATMAPVALUES-"),
            self.new_value(),
            move |scope, children| FlatMapValues {
                name: scope.name().clone(),
                function: function.clone(),
                children,
            },
        )
    }
}
