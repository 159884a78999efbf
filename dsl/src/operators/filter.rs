//! Which records go on: `filter` and `filter_not`.
use std::sync::Arc;

use crate::{
    engine::{BoxError, Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{KStream, Named},
};

struct Filter<F, K, V> {
    name: Arc<str>,
    predicate: Arc<F>,
    children: Children<K, V>,
}

impl<K, V, F> Receiver<K, V> for Filter<F, K, V>
where
    F: Fn(&K, &V) -> Result<bool, BoxError>,
{
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match cx.try_call(&self.name, || (self.predicate)(record.key, record.value)) {
            Ok(true) => self.children.forward(cx, record),
            Ok(false) => Ok(()),
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Records for which `predicate` is true.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter(|_, n| *n > 1).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filter_with(predicate, Named::default())
    }
    /// [`filter`](Self::filter) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter_with(|_, n| *n > 0, "positive").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "b".to_owned(), -2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter_with(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> Self {
        self.add_filter(move |k: &K, v: &V| Ok(predicate(k, v)), &named.into())
    }
    /// [`filter`](Self::filter) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").try_filter(|_, n| u8::try_from(*n).map(|n| n > 1)).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 2)]);
    /// let error = runner.pipe("in", "a".to_owned(), 256i64).unwrap_err();
    /// assert_eq!(&*error.node, "KSTREAM-FILTER-0000000001");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_filter<E: Into<BoxError>>(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> Self {
        self.try_filter_with(predicate, Named::default())
    }
    /// [`try_filter`](Self::try_filter) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_filter_with(|_, text| text.parse::<i64>().map(|n| n > 0), "positive")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "b".to_owned(), "-2".to_owned())?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("a".to_owned(), "1".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_filter_with<E: Into<BoxError>>(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> Self {
        self.add_filter(move |k: &K, v: &V| predicate(k, v).map_err(Into::into), &named.into())
    }
    /// Records for which `predicate` is false.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter_not(|_, n| *n > 1).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "filterNot")]
    #[must_use]
    pub fn filter_not(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filter(move |k, v| !predicate(k, v))
    }
    /// [`filter_not`](Self::filter_not) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").filter_not_with(|_, n| *n > 0, "not-positive").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "b".to_owned(), -2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("b".to_owned(), -2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter_not_with(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> Self {
        self.filter_with(move |k, v| !predicate(k, v), named)
    }
    /// [`filter_not`](Self::filter_not) by a function that can fail.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").try_filter_not(|_, text| text.parse::<i64>().map(|n| n > 0)).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "b".to_owned(), "-2".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("b".to_owned(), "-2".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_filter_not<E: Into<BoxError>>(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> Self {
        self.try_filter(move |k, v| predicate(k, v).map(|found| !found))
    }
    /// [`try_filter_not`](Self::try_filter_not) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("in")
    ///     .try_filter_not_with(|_, text| text.parse::<i64>().map(|n| n > 0), "not-positive")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "b".to_owned(), "-2".to_owned())?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("b".to_owned(), "-2".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_filter_not_with<E: Into<BoxError>>(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
        named: impl Into<Named>,
    ) -> Self {
        self.try_filter_with(move |k, v| predicate(k, v).map(|found| !found), named)
    }

    fn add_filter(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, BoxError> + Send + Sync + 'static,
        named: &Named,
    ) -> Self {
        let predicate = Arc::new(predicate);
        self.chain(
            self.next_name(named, "KSTREAM-FILTER-"),
            self.same(),
            move |scope, children| Filter {
                name: scope.name().clone(),
                predicate: predicate.clone(),
                children,
            },
        )
    }
}
