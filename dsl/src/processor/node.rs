//! A user's processor as an operator.
use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    rc::{Rc, Weak},
    sync::Arc,
};

use millstream_state::StateError;

use crate::{
    engine::{
        BoxError, NodeScope, ProcessError, ProcessErrorKind, ProcessResult, Receiver, Record, StreamPort, TaskContext,
        receiver,
    },
    store::{StoreAccess, StoreFailure},
};

use super::context::{ForwardError, ProcessorContext, Punctuation};

/// An operator with state and time. One per task, made by the supplier. Kafka Streams: `Processor`.
#[doc(alias = "ContextualProcessor")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not process records of `{K}` and `{V}`",
    label = "this stream has keys of `{K}` and values of `{V}`",
    note = "implement `Processor<{K}, {V}, KOut, VOut>` for it, or map the stream to the types that it takes"
)]
pub trait Processor<K, V, KOut, VOut> {
    /// Called once, before the first record: take store handles and schedule punctuations here.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// #[derive(Default)]
    /// struct Numbers(Option<KeyValueStore<String, i64>>);
    /// impl Processor<String, i64, String, i64> for Numbers {
    ///     fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
    ///         self.0 = Some(ctx.store("numbers")?);
    ///         Ok(())
    ///     }
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &ProcessorContext<'_, String, i64>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let store = self.0.as_ref().ok_or("no store")?;
    /// #         store.put(record.key, &(store.get(record.key)?.unwrap_or(0) + 1))?;
    /// #         Ok(ctx.forward(record.with_value(&store.get(record.key)?.unwrap_or(0)))?)
    /// #     }
    ///     // `process` writes the number of the record in front of it ...
    /// }
    /// # let builder = StreamsBuilder::new();
    /// # let store = Processing::new().with_store(Store::<String, i64>::key_value("numbers"));
    /// # builder.stream::<String, i64>("in").process_with(Numbers::default, store).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 7i64)?;
    /// runner.pipe("in", "a".to_owned(), 8i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Stop the task.
    fn init(&mut self, ctx: &ProcessorContext<'_, KOut, VOut>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }
    /// One record. Any number of records may be forwarded, with other keys and values.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// struct Words;
    /// impl Processor<String, String, String, i64> for Words {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &ProcessorContext<'_, String, i64>,
    ///         record: Record<'_, String, String>,
    ///     ) -> Result<(), BoxError> {
    ///         for word in record.value.split(' ') {
    ///             ctx.forward(record.with_key(&word.to_owned()).with_value(&1))?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").process(|| Words).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "line".to_owned(), "to be".to_owned())?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("to".to_owned(), 1), ("be".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Go to the processing handler, which decides whether the record is dropped or the task stops.
    fn process(&mut self, ctx: &ProcessorContext<'_, KOut, VOut>, record: Record<'_, K, V>) -> Result<(), BoxError>;
    /// One run of a schedule. Nothing is done unless it is implemented.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// # #[derive(Default)]
    /// struct Total(i64); // forwarded every ten seconds of stream time
    /// impl Processor<String, i64, String, i64> for Total {
    /// #     fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
    /// #         ctx.schedule(seconds(10), PunctuationType::StreamTime)?;
    /// #         Ok(())
    /// #     }
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &ProcessorContext<'_, String, i64>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         self.0 += record.value;
    /// #         Ok(())
    /// #     }
    ///     fn punctuate(&mut self, ctx: &ProcessorContext<'_, String, i64>, run: Punctuation) -> Result<(), BoxError> {
    ///         Ok(ctx.forward(Record::new(&"total".to_owned(), &self.0, run.timestamp, ctx.no_headers()))?)
    ///     }
    /// }
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").process(Total::default).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// for (n, time) in [(1i64, 0), (2, 5_000), (3, 10_000)] {
    ///     runner.pipe_at("in", "a".to_owned(), n, time)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("out"), [("total".to_owned(), 1), ("total".to_owned(), 6)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Go to the processing handler.
    #[doc(alias = "Punctuator")]
    fn punctuate(&mut self, ctx: &ProcessorContext<'_, KOut, VOut>, punctuation: Punctuation) -> Result<(), BoxError> {
        let _ = (ctx, punctuation);
        Ok(())
    }
    /// Called when the task closes, also where it moves to another instance: give back what does not belong to the
    /// task.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # struct Connected(std::sync::mpsc::Sender<&'static str>);
    /// # impl Processor<String, i64, String, i64> for Connected {
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &ProcessorContext<'_, String, i64>,
    /// #         _: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    ///     // In a processor with a connection:
    ///     fn close(&mut self) -> Result<(), BoxError> {
    ///         Ok(self.0.send("goodbye")?)
    ///     }
    /// # }
    /// # let (sender, other_end) = std::sync::mpsc::channel();
    /// # builder.stream::<String, i64>("in").process(move || Connected(sender.clone()));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.close()?;
    /// assert_eq!(other_end.try_recv()?, "goodbye");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Are reported; the task closes all the same.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// What can be punctuated.
pub(crate) trait Punctuate {
    fn punctuate(&self, cx: &TaskContext, punctuation: Punctuation) -> ProcessResult;
}

/// Surroundings of a processor: children, stores, schedules.
pub(crate) struct Connected<K, V> {
    pub(crate) name: Arc<str>,
    pub(crate) children: Vec<(Arc<str>, StreamPort<K, V>)>,
    pub(crate) stores: Vec<StoreAccess>,
    pub(crate) next_schedule: Cell<u64>,
    pub(crate) this: RefCell<Weak<dyn Punctuate>>,
}

struct Nobody;
impl Punctuate for Nobody {
    fn punctuate(&self, _: &TaskContext, _: Punctuation) -> ProcessResult {
        Ok(())
    }
}

impl<K: 'static, V: 'static> Connected<K, V> {
    /// From the scope of the node.
    pub(crate) fn new(scope: &mut NodeScope<'_>) -> Result<Self, Box<ProcessError>> {
        Ok(Self {
            children: scope.named_children()?,
            ..Self::without_children(scope)
        })
    }
    /// Of something that forwards nothing itself.
    pub(crate) fn without_children(scope: &NodeScope<'_>) -> Self {
        let nobody: Weak<dyn Punctuate> = Weak::<Nobody>::new();
        Self {
            name: scope.name().clone(),
            children: Vec::new(),
            stores: scope.store_access(),
            next_schedule: Cell::new(0),
            this: RefCell::new(nobody),
        }
    }
    /// Whether some store asks for the headers of the record: to keep them with cached updates, or to log deletions with them.
    pub(crate) fn keeps_headers(&self) -> bool {
        self.stores.iter().any(|store| store.keeps_headers || store.is_cached())
    }
    /// Logs what the record caches of the stores hold.
    pub(crate) fn flush(&self, cx: &TaskContext) -> ProcessResult {
        self.stores
            .iter()
            .try_for_each(|store| store.flush().map_err(|e| cx.store_failed(&self.name, e)))
    }
    /// Runs user code and sorts what comes out of it.
    pub(crate) fn run<P, T>(
        &self,
        processor: &RefCell<P>,
        cx: &TaskContext,
        f: impl FnOnce(&mut P) -> Result<T, BoxError>,
    ) -> Result<T, ForwardError> {
        let Ok(mut processor) = processor.try_borrow_mut() else {
            return Err(ForwardError::here(ProcessError::new(
                ProcessErrorKind::Other,
                &self.name,
                "called while it runs",
            )));
        };
        let result = cx.call(&self.name, || f(&mut processor)).map_err(ForwardError::here)?;
        result.map_err(|error| sort(&self.name, error))
    }
}

struct Inner<K, V, K2, V2, P> {
    processor: RefCell<P>,
    connected: Connected<K2, V2>,
    /// Whether some store of the processor asks for the headers of the record.
    keeps_headers: bool,
    types: PhantomData<fn(K, V)>,
}

/// A user's processor as an operator.
pub(crate) struct ProcessorNode<K, V, K2, V2, P>(Rc<Inner<K, V, K2, V2, P>>);

impl<K, V, K2, V2, P> ProcessorNode<K, V, K2, V2, P>
where
    K: 'static,
    V: 'static,
    K2: 'static,
    V2: 'static,
    P: Processor<K, V, K2, V2> + 'static,
{
    /// Hooks the processor into its task.
    pub(crate) fn start(processor: P, connected: Connected<K2, V2>, scope: &mut NodeScope<'_>) -> Self {
        scope.context().let_headers_change();
        let keeps_headers = connected.keeps_headers();
        let inner = Rc::new(Inner {
            processor: RefCell::new(processor),
            connected,
            keeps_headers,
            types: PhantomData::<fn(K, V)>,
        });
        let weak: Weak<Inner<K, V, K2, V2, P>> = Rc::downgrade(&inner);
        *inner.connected.this.borrow_mut() = weak;
        let node = inner.clone();
        scope.on_init(move |cx| {
            let ctx = ProcessorContext {
                cx,
                node: &node.connected,
            };
            node.run(cx, |p| p.init(&ctx)).map_err(|e| e.error)
        });
        let node = inner.clone();
        scope.on_close(move |cx| node.run(cx, Processor::close).map_err(|e| e.error));
        let node = inner.clone();
        scope.on_flush(move |cx| node.connected.flush(cx));
        Self(inner)
    }
}

impl<K, V, K2, V2, P> Inner<K, V, K2, V2, P>
where
    K2: 'static,
    V2: 'static,
    P: Processor<K, V, K2, V2>,
{
    fn run(&self, cx: &TaskContext, f: impl FnOnce(&mut P) -> Result<(), BoxError>) -> Result<(), ForwardError> {
        self.connected.run(&self.processor, cx, f)
    }
}

/// Asks the handler where that has not happened.
fn settle(cx: &TaskContext, error: ForwardError, timestamp: i64, headers: &millstream_state::Headers) -> ProcessResult {
    // A broken store stops the task: going on would lose updates.
    if error.handled || error.error.kind == ProcessErrorKind::Store {
        return Err(error.error);
    }
    cx.processing_failed(error.error, timestamp, headers)
}

fn sort(name: &Arc<str>, error: BoxError) -> ForwardError {
    let error = match error.downcast::<ForwardError>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    let kind = if error.is::<StateError>() {
        ProcessErrorKind::Store
    } else if let Some(failure) = error.downcast_ref::<StoreFailure>() {
        failure.kind()
    } else {
        ProcessErrorKind::UserFunction
    };
    ForwardError::here(ProcessError::caused(kind, name, error))
}

impl<K, V, K2, V2, P> Punctuate for Inner<K, V, K2, V2, P>
where
    P: Processor<K, V, K2, V2>,
    K2: 'static,
    V2: 'static,
{
    fn punctuate(&self, cx: &TaskContext, punctuation: Punctuation) -> ProcessResult {
        let ctx = ProcessorContext {
            cx,
            node: &self.connected,
        };
        let headers = cx.no_headers();
        let result = cx.at(punctuation.timestamp, self.keeps_headers.then_some(headers), || {
            self.run(cx, |p| p.punctuate(&ctx, punctuation))
        });
        let result = result.or_else(|e| settle(cx, e, punctuation.timestamp, headers));
        result.or_else(|e| receiver::settle(cx, e, punctuation.timestamp, headers))
    }
}

impl<K, V, K2, V2, P> Receiver<K, V> for ProcessorNode<K, V, K2, V2, P>
where
    P: Processor<K, V, K2, V2>,
    K2: 'static,
    V2: 'static,
{
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let node = &*self.0;
        let ctx = ProcessorContext {
            cx,
            node: &node.connected,
        };
        let copied = record.is_copy.then(|| record.headers.clone());
        let record = match &copied {
            Some(headers) => record.with_own_headers(headers),
            None => record,
        };
        let headers = node.keeps_headers.then_some(record.headers);
        let result = cx.at(record.timestamp, headers, || node.run(cx, |p| p.process(&ctx, record)));
        result.or_else(|e| settle(cx, e, record.timestamp, record.headers))
    }
}
