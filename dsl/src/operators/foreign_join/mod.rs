//! Rows of a table with rows of another table that they point to: `join_on` and `left_join_on`.
//!
//! The foreign row lives with its own key, in general in another task. So a row subscribes to its foreign key through a
//! topic (`subscribe.rs`); there the subscription is kept and answered, now and whenever the foreign row changes
//! (`answer.rs`); the answer comes back through a second topic and is joined if the row is still the same
//! (`resolve.rs`). `graph.rs` puts the nodes together.
mod answer;
#[cfg(test)]
mod decoders;
mod graph;
mod hash;
mod resolve;
mod subscribe;
mod wire;

use std::sync::Arc;

use crate::{
    engine::BoxError,
    options::{Materialized, TableJoined},
    table::KTable,
};

use resolve::Joiner;
use subscribe::Extractor;

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Rows with the row of `other` that `foreign_key` names; a row that names none, or one that is not there, has no
    /// result. `foreign_key` gives a key of `other`, or an `Option` of one. The tables need not have the same number
    /// of partitions.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, String>("orders"); // order to customer
    /// let customers = builder.table::<String, String>("customers");
    /// orders
    ///     .join_on(&customers, |customer| customer.clone(), |id, name| format!("{id} is {name}"))
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("orders", 1i64, Some("c7".to_owned()))?;
    /// runner.pipe("customers", "c7".to_owned(), Some("Ada".to_owned()))?;
    /// runner.pipe("orders", 2i64, Some("c7".to_owned()))?;
    /// runner.pipe("orders", 1i64, None::<String>)?;
    /// assert_eq!(
    ///     runner.read::<i64, Option<String>>("out"),
    ///     [(1, Some("c7 is Ada".to_owned())), (2, Some("c7 is Ada".to_owned())), (1, None)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "foreign key")]
    #[must_use]
    pub fn join_on<KO: 'static, VO: 'static, VR: 'static, S: Into<Option<KO>>>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&V, &VO) -> VR + Send + Sync + 'static,
    ) -> KTable<K, VR> {
        self.join_on_with(
            other,
            move |_, v| foreign_key(v),
            joiner,
            TableJoined::new(),
            Materialized::new(),
        )
    }
    /// [`join_on`](Self::join_on) with options, by a foreign key that may also depend on the key. The result is stored if
    /// it is named, or if an operator needs that.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let visits = builder.table::<String, i64>("visits"); // `page/user`
    /// let pages = builder.table::<String, String>("pages");
    /// visits
    ///     .join_on_with(
    ///         &pages,
    ///         |key, _| key.split_once('/').map(|(page, _)| page.to_owned()),
    ///         |n, title| format!("{title}: {n}"),
    ///         "titles",
    ///         Materialized::named("titled"),
    ///     )
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("pages", "home".to_owned(), Some("Home".to_owned()))?;
    /// runner.pipe("visits", "home/ann".to_owned(), Some(3i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<String>>("out"),
    ///     [("home/ann".to_owned(), Some("Home: 3".to_owned()))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn join_on_with<KO: 'static, VO: 'static, VR: 'static, S: Into<Option<KO>>>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&V, &VO) -> VR + Send + Sync + 'static,
        joined: impl Into<TableJoined<K, KO>>,
        materialized: impl Into<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        self.try_join_on_with(
            other,
            move |k, v| Ok::<_, BoxError>(foreign_key(k, v)),
            move |v, vo| Ok::<_, BoxError>(Some(joiner(v, vo))),
            joined,
            materialized,
        )
    }
    /// [`join_on_with`](Self::join_on_with) by functions that can fail, or say with None that there is no row. An error
    /// goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let left = builder.table::<String, String>("left");
    /// let right = builder.table::<i64, i64>("right");
    /// left.try_join_on_with(
    ///     &right,
    ///     |_, v| v.parse::<i64>(),
    ///     |v, n| Ok::<_, BoxError>((*n > 0).then(|| format!("{v}:{n}"))),
    ///     TableJoined::new(),
    ///     Materialized::new(),
    /// )
    /// .to_stream()
    /// .to("out");
    /// let handlers = Handlers { processing: std::sync::Arc::new(LogAndContinue), ..Handlers::default() };
    /// let runner = Runner::with(&builder.build()?, handlers, 0)?;
    /// runner.pipe("right", 7i64, Some(1i64))?;
    /// runner.pipe("left", "a".to_owned(), Some("7".to_owned()))?;
    /// runner.pipe("left", "b".to_owned(), Some("no number".to_owned()))?;
    /// runner.pipe("right", 7i64, Some(0i64))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<String>>("out"),
    ///     [("a".to_owned(), Some("7:1".to_owned())), ("a".to_owned(), None)]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_join_on_with<KO, VO, VR, S, E, F>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> Result<S, E> + Send + Sync + 'static,
        joiner: impl Fn(&V, &VO) -> Result<Option<VR>, F> + Send + Sync + 'static,
        joined: impl Into<TableJoined<K, KO>>,
        materialized: impl Into<Materialized<K, VR>>,
    ) -> KTable<K, VR>
    where
        KO: 'static,
        VO: 'static,
        VR: 'static,
        S: Into<Option<KO>>,
        E: Into<BoxError>,
        F: Into<BoxError>,
    {
        let joiner: Joiner<V, VO, VR> =
            Arc::new(move |v, vo| vo.map_or(Ok(None), |vo| joiner(v, vo).map_err(Into::into)));
        self.add_join_on(
            other,
            extractor(foreign_key),
            joiner,
            joined.into(),
            materialized.into(),
            false,
        )
    }
    /// Rows with the row of `other` that `foreign_key` names, or None where there is none.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, String>("orders");
    /// let customers = builder.table::<String, String>("customers");
    /// orders
    ///     .left_join_on(&customers, |id| id.clone(), |id, name| format!("{id} is {name:?}"))
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("orders", 1i64, Some("c7".to_owned()))?;
    /// runner.pipe("customers", "c7".to_owned(), Some("Ada".to_owned()))?;
    /// assert_eq!(
    ///     runner.read::<i64, Option<String>>("out"),
    ///     [(1, Some("c7 is None".to_owned())), (1, Some("c7 is Some(\"Ada\")".to_owned()))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "leftJoin")]
    #[must_use]
    pub fn left_join_on<KO: 'static, VO: 'static, VR: 'static, S: Into<Option<KO>>>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&VO>) -> VR + Send + Sync + 'static,
    ) -> KTable<K, VR> {
        self.left_join_on_with(
            other,
            move |_, v| foreign_key(v),
            joiner,
            TableJoined::new(),
            Materialized::new(),
        )
    }
    /// [`left_join_on`](Self::left_join_on) with options, by a foreign key that may also depend on the key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let left = builder.table::<i64, String>("left");
    /// let right = builder.table::<i64, String>("right");
    /// left.left_join_on_with(
    ///     &right,
    ///     |key, _| (*key > 10).then(|| key % 10),
    ///     |v, vo| format!("{v} {}", vo.map_or("-", String::as_str)),
    ///     "by-last-digit",
    ///     Materialized::new(),
    /// )
    /// .to_stream()
    /// .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("right", 2i64, Some("two".to_owned()))?;
    /// runner.pipe("left", 12i64, Some("a".to_owned()))?;
    /// runner.pipe("left", 2i64, Some("b".to_owned()))?;
    /// assert_eq!(
    ///     runner.read::<i64, Option<String>>("out"),
    ///     [(12, Some("a two".to_owned())), (2, Some("b -".to_owned()))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn left_join_on_with<KO: 'static, VO: 'static, VR: 'static, S: Into<Option<KO>>>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> S + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&VO>) -> VR + Send + Sync + 'static,
        joined: impl Into<TableJoined<K, KO>>,
        materialized: impl Into<Materialized<K, VR>>,
    ) -> KTable<K, VR> {
        self.try_left_join_on_with(
            other,
            move |k, v| Ok::<_, BoxError>(foreign_key(k, v)),
            move |v, vo| Ok::<_, BoxError>(Some(joiner(v, vo))),
            joined,
            materialized,
        )
    }
    /// [`left_join_on_with`](Self::left_join_on_with) by functions that can fail, or say with None that there is no row.
    /// An error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let left = builder.table::<String, String>("left");
    /// let right = builder.table::<i64, i64>("right");
    /// left.try_left_join_on_with(
    ///     &right,
    ///     |_, v| Ok::<_, BoxError>(v.parse::<i64>().ok()),
    ///     |v, n| Ok::<_, BoxError>(Some(format!("{v}:{n:?}"))),
    ///     TableJoined::new(),
    ///     Materialized::new(),
    /// )
    /// .to_stream()
    /// .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("left", "a".to_owned(), Some("no number".to_owned()))?;
    /// assert_eq!(
    ///     runner.read::<String, Option<String>>("out"),
    ///     [("a".to_owned(), Some("no number:None".to_owned()))]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_left_join_on_with<KO, VO, VR, S, E, F>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> Result<S, E> + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&VO>) -> Result<Option<VR>, F> + Send + Sync + 'static,
        joined: impl Into<TableJoined<K, KO>>,
        materialized: impl Into<Materialized<K, VR>>,
    ) -> KTable<K, VR>
    where
        KO: 'static,
        VO: 'static,
        VR: 'static,
        S: Into<Option<KO>>,
        E: Into<BoxError>,
        F: Into<BoxError>,
    {
        let joiner: Joiner<V, VO, VR> = Arc::new(move |v, vo| joiner(v, vo).map_err(Into::into));
        self.add_join_on(
            other,
            extractor(foreign_key),
            joiner,
            joined.into(),
            materialized.into(),
            true,
        )
    }
}

fn extractor<K: 'static, V: 'static, KO: 'static, S: Into<Option<KO>>, E: Into<BoxError>>(
    foreign_key: impl Fn(&K, &V) -> Result<S, E> + Send + Sync + 'static,
) -> Extractor<K, V, KO> {
    Arc::new(move |k, v| foreign_key(k, v).map(Into::into).map_err(Into::into))
}
