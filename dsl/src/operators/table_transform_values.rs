//! Another value for each row, by something with state and time: `transform_values` of a table.
use std::{cell::RefCell, marker::PhantomData, rc::Rc, sync::Arc};

use millstream_state::Headers;

use crate::{
    engine::{BoxError, NodeScope, ProcessError, ProcessResult, TaskContext},
    options::Materialized,
    processor::{Connected, ProcessorContext, Punctuate, Punctuation, TransformContext, ValueTransformer},
    table::{KTable, faults},
};

use super::{
    Processing,
    table_map_values::{MakeMapRow, MapRow},
};

/// A user's transformer in its task.
struct Transforming<K, V, V2, T> {
    transformer: RefCell<T>,
    connected: Connected<(), ()>,
    /// Whether some store of the transformer keeps headers with cached updates.
    keeps_headers: bool,
    types: PhantomData<fn(K, V) -> V2>,
}

impl<K: 'static, V: 'static, V2: 'static, T: ValueTransformer<K, V, V2> + 'static> Transforming<K, V, V2, T> {
    fn start(transformer: T, scope: &mut NodeScope<'_>) -> Rc<Self> {
        let connected = Connected::without_children(scope);
        let this = Rc::new(Self {
            transformer: RefCell::new(transformer),
            keeps_headers: connected.keeps_headers(),
            connected,
            types: PhantomData,
        });
        let weak = Rc::downgrade(&this);
        *this.connected.this.borrow_mut() = weak;
        let node = this.clone();
        scope.on_init(move |cx| node.call(cx, (-1, cx.no_headers()), T::init));
        let node = this.clone();
        scope.on_close(move |cx| node.call(cx, (-1, cx.no_headers()), |t, _| t.close()));
        let node = this.clone();
        scope.on_flush(move |cx| node.connected.flush(cx));
        this
    }

    /// Runs user code at the time of a row.
    fn call<R>(
        &self,
        cx: &TaskContext,
        (timestamp, headers): (i64, &Headers),
        f: impl FnOnce(&mut T, &TransformContext<'_>) -> Result<R, BoxError>,
    ) -> Result<R, Box<ProcessError>> {
        let inner = ProcessorContext {
            cx,
            node: &self.connected,
        };
        let ctx = TransformContext {
            inner: &inner,
            timestamp,
            headers,
        };
        let kept = self.keeps_headers.then_some(headers);
        cx.at(timestamp, kept, || {
            self.connected
                .run(&self.transformer, cx, |t| f(t, &ctx))
                .map_err(|e| e.error)
        })
    }
}

impl<K: 'static, V: 'static, V2: 'static, T: ValueTransformer<K, V, V2> + 'static> MapRow<K, V, V2>
    for Transforming<K, V, V2, T>
{
    fn map(
        &self,
        cx: &TaskContext,
        key: &K,
        value: Option<&V>,
        origin: (i64, &Headers),
    ) -> Result<Option<V2>, Box<ProcessError>> {
        self.call(cx, origin, |t, ctx| t.transform(ctx, key, value))
    }
    /// Whoever reads is not at the record that made the row: where that came from is not known.
    fn read(
        &self,
        cx: &TaskContext,
        key: &K,
        value: Option<&V>,
        timestamp: i64,
    ) -> Result<Option<V2>, Box<ProcessError>> {
        cx.punctuating(timestamp, || self.map(cx, key, value, (timestamp, cx.no_headers())))
    }
}

impl<K: 'static, V: 'static, V2: 'static, T: ValueTransformer<K, V, V2> + 'static> Punctuate
    for Transforming<K, V, V2, T>
{
    fn punctuate(&self, cx: &TaskContext, punctuation: Punctuation) -> ProcessResult {
        let origin = (punctuation.timestamp, cx.no_headers());
        self.call(cx, origin, |t, ctx| t.punctuate(ctx, punctuation))
            .or_else(|error| faults::handle(cx, error, origin.0, origin.1))
    }
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Each row with another value, made by something with state and time of its own; `supplier` makes one per task.
    ///
    /// It sees deletions too. Without a store of the result ([`Materialized::named`]) it runs more often than once per
    /// update: for old values, and, as an instance of its own, wherever the table is looked into. A transformer that
    /// counts its calls needs such a store.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// #[derive(Default)]
    /// struct Changes(Option<KeyValueStore<String, i64>>);
    /// impl ValueTransformer<String, String, String> for Changes {
    ///     fn init(&mut self, ctx: &TransformContext<'_>) -> Result<(), BoxError> {
    ///         self.0 = Some(ctx.store("changes")?);
    ///         Ok(())
    ///     }
    ///     fn transform(
    ///         &mut self,
    ///         _: &TransformContext<'_>,
    ///         key: &String,
    ///         value: Option<&String>,
    ///     ) -> Result<Option<String>, BoxError> {
    ///         let store = self.0.as_ref().ok_or("no store")?;
    ///         let n = store.get(key)?.unwrap_or(0) + 1;
    ///         store.put(key, &n)?;
    ///         Ok(value.map(|text| format!("{text}#{n}")))
    ///     }
    /// }
    /// let builder = StreamsBuilder::new();
    /// let changes = Processing::new().with_store(Store::<String, i64>::key_value("changes"));
    /// builder
    ///     .table::<String, String>("in")
    ///     .transform_values_with(Changes::default, changes, Materialized::named("numbered"))
    ///     .to_stream()
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for text in [Some("a"), None, Some("b")] {
    ///     runner.pipe("in", "k".to_owned(), text.map(str::to_owned))?;
    /// }
    /// let values: Vec<_> = runner.read::<String, Option<String>>("out").into_iter().map(|(_, v)| v).collect();
    /// assert_eq!(values, [Some("a#1".to_owned()), None, Some("b#3".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "transformValues")]
    pub fn transform_values<V2, T>(&self, supplier: impl Fn() -> T + Send + Sync + 'static) -> KTable<K, V2>
    where
        V2: 'static,
        T: ValueTransformer<K, V, V2> + 'static,
    {
        self.transform_values_with(supplier, Processing::new(), Materialized::new())
    }
    /// [`transform_values`](Self::transform_values) with a name and stores of the transformer, and options of the result,
    /// which is stored only if it is named.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// struct Shout;
    /// impl ValueTransformer<String, String, String> for Shout {
    ///     fn transform(
    ///         &mut self,
    ///         _: &TransformContext<'_>,
    ///         key: &String,
    ///         value: Option<&String>,
    ///     ) -> Result<Option<String>, BoxError> {
    ///         Ok(value.map(|text| format!("{key}: {text}!")))
    ///     }
    /// }
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, String>("in");
    /// let loud = table.transform_values_with(
    ///     || Shout,
    ///     Processing::new().named("shout"),
    ///     Materialized::named("loud"),
    /// );
    /// loud.to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "k".to_owned(), Some("a".to_owned()))?;
    /// let expected = [("k".to_owned(), Some("k: a!".to_owned()))];
    /// assert_eq!(runner.read::<String, Option<String>>("out"), expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transform_values_with<V2, T>(
        &self,
        supplier: impl Fn() -> T + Send + Sync + 'static,
        processing: Processing,
        materialized: impl Into<Materialized<K, V2>>,
    ) -> KTable<K, V2>
    where
        V2: 'static,
        T: ValueTransformer<K, V, V2> + 'static,
    {
        let make: MakeMapRow<K, V, V2> = Arc::new(move |scope| Ok(Transforming::start(supplier(), scope)));
        self.add_mapping("KTABLE-TRANSFORMVALUES-", make, &materialized.into(), processing)
    }
}
