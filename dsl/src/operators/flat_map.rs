//! Any number of records from one: `flat_map`.
use std::sync::Arc;

use crate::{
    engine::{BoxError, Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{KStream, Named},
};

struct FlatMap<F, K2, V2> {
    name: Arc<str>,
    function: Arc<F>,
    children: Children<K2, V2>,
}

impl<K, V, K2, V2, I, F> Receiver<K, V> for FlatMap<F, K2, V2>
where
    F: Fn(&K, &V) -> Result<I, BoxError>,
    I: IntoIterator<Item = (K2, V2)>,
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
                Ok(Some((key, value))) => self.children.forward(cx, record.with_key(&key).with_value(&value))?,
                Err(error) => return cx.processing_failed(error, record.timestamp, record.headers),
            }
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Any number of records, with new keys and values, for each record. Marks the stream as repartitioned by the next grouping or join.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .flat_map(|k, v| [(v.clone(), k.clone()), (k.clone(), v.clone())])
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x y".to_owned())?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [
    ///         ("x y".to_owned(), "a".to_owned()),
    ///         ("a".to_owned(), "x y".to_owned())
    ///     ]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "flatMap")]
    #[must_use]
    pub fn flat_map<K2: 'static, V2: 'static, I: IntoIterator<Item = (K2, V2)> + 'static>(
        &self,
        function: impl Fn(&K, &V) -> I + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add_flat_map(move |k: &K, v: &V| Ok(function(k, v)), &Named::default())
    }

    /// [`flat_map`](Self::flat_map) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .flat_map_with(|k, n| [(k.clone(), *n), (k.clone(), -n)], "both-signs")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(
    ///     runner.read::<String, i64>("out"),
    ///     [("a".to_owned(), 1), ("a".to_owned(), -1)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn flat_map_with<K2: 'static, V2: 'static, I: IntoIterator<Item = (K2, V2)> + 'static>(
        &self,
        function: impl Fn(&K, &V) -> I + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K2, V2> {
        self.add_flat_map(move |k: &K, v: &V| Ok(function(k, v)), &named.into())
    }

    /// [`flat_map`](Self::flat_map) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_flat_map(|k, text| Ok::<_, std::num::ParseIntError>([(k.clone(), text.parse::<i64>()?)]))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_flat_map<K2: 'static, V2: 'static, I: IntoIterator<Item = (K2, V2)> + 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<I, E> + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add_flat_map(
            move |k: &K, v: &V| function(k, v).map_err(Into::into),
            &Named::default(),
        )
    }

    /// [`try_flat_map`](Self::try_flat_map) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let parse = |k: &String, text: &String| Ok::<_, std::num::ParseIntError>([(k.clone(), text.parse::<i64>()?)]);
    /// builder.stream::<String, String>("in").try_flat_map_with(parse, "numbers").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_flat_map_with<
        K2: 'static,
        V2: 'static,
        I: IntoIterator<Item = (K2, V2)> + 'static,
        E: Into<BoxError>,
    >(
        &self,
        function: impl Fn(&K, &V) -> Result<I, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K2, V2> {
        self.add_flat_map(move |k: &K, v: &V| function(k, v).map_err(Into::into), &named.into())
    }

    fn add_flat_map<K2, V2, I, F>(&self, function: F, named: &Named) -> KStream<K2, V2>
    where
        F: Fn(&K, &V) -> Result<I, BoxError> + Send + Sync + 'static,
        I: IntoIterator<Item = (K2, V2)> + 'static,
        K2: 'static,
        V2: 'static,
    {
        let function = Arc::new(function);
        self.chain(
            self.next_name(named, "KSTREAM-FLATMAP-"),
            Self::new_both(),
            move |scope, children| FlatMap {
                name: scope.name().clone(),
                function: function.clone(),
                children,
            },
        )
    }
}
