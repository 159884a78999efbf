//! New key and new value: `map`. The stream must be repartitioned before the next grouping or join.
use std::sync::Arc;

use crate::{
    engine::{BoxError, Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{KStream, Named},
};

struct Map<F, K2, V2> {
    name: Arc<str>,
    function: Arc<F>,
    children: Children<K2, V2>,
}

impl<K, V, K2, V2, F> Receiver<K, V> for Map<F, K2, V2>
where
    F: Fn(&K, &V) -> Result<(K2, V2), BoxError>,
{
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match cx.try_call(&self.name, || (self.function)(record.key, record.value)) {
            Ok((key, value)) => self.children.forward(cx, record.with_key(&key).with_value(&value)),
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// A new key and a new value for each record. Marks the stream as repartitioned by the next grouping or join.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").map(|k, v| (v.clone(), k.clone())).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x y".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("x y".to_owned(), "a".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map<K2: 'static, V2: 'static>(
        &self,
        function: impl Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add_map(move |k: &K, v: &V| Ok(function(k, v)), &Named::default())
    }

    /// [`map`](Self::map) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").map_with(|k, n| (n.to_string(), k.clone()), "swap").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, String>("out"), [("1".to_owned(), "a".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn map_with<K2: 'static, V2: 'static>(
        &self,
        function: impl Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K2, V2> {
        self.add_map(move |k: &K, v: &V| Ok(function(k, v)), &named.into())
    }

    /// [`map`](Self::map) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_map(|k, text| Ok::<_, std::num::ParseIntError>((k.clone(), text.parse::<i64>()?)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_map<K2: 'static, V2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<(K2, V2), E> + Send + Sync + 'static,
    ) -> KStream<K2, V2> {
        self.add_map(
            move |k: &K, v: &V| function(k, v).map_err(Into::into),
            &Named::default(),
        )
    }

    /// [`try_map`](Self::try_map) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_map_with(
    ///         |k, text| Ok::<_, std::num::ParseIntError>((k.clone(), text.parse::<i64>()?)),
    ///         "numbers",
    ///     )
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_map_with<K2: 'static, V2: 'static, E: Into<BoxError>>(
        &self,
        function: impl Fn(&K, &V) -> Result<(K2, V2), E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> KStream<K2, V2> {
        self.add_map(move |k: &K, v: &V| function(k, v).map_err(Into::into), &named.into())
    }

    fn add_map<K2, V2, F>(&self, function: F, named: &Named) -> KStream<K2, V2>
    where
        F: Fn(&K, &V) -> Result<(K2, V2), BoxError> + Send + Sync + 'static,
        K2: 'static,
        V2: 'static,
    {
        let function = Arc::new(function);
        self.chain(
            self.next_name(named, "KSTREAM-MAP-"),
            Self::new_both(),
            move |scope, children| Map {
                name: scope.name().clone(),
                function: function.clone(),
                children,
            },
        )
    }
}
