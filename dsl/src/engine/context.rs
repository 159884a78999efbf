//! What operators see of their task while a record is processed.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
};

use millstream_state::{Headers, RecordContext, SourceRecord, StateError, TaskState, UpdateContext};

use super::{
    Around, BoxError, Cancellable, Collector, ErrorContext, Handlers, OutgoingRecord, ProcessError, ProcessErrorKind,
    ProcessResult, PunctuationType, RawRecord, Response, SinkTopic, TaskEnvironment,
    punctuation::{PunctuationQueue, Punctuator},
    wrapper::around_punctuator,
};

/// State of the task that operators see while a record is processed. Cells, set once per record: no clock is read here.
pub struct TaskContext {
    application_id: Arc<str>,
    task_id: Arc<str>,
    task_partition: Cell<i32>,
    collector: Rc<dyn Collector>,
    state: TaskState,
    handlers: Arc<Handlers>,
    /// Empty outside of a record (punctuation).
    topic: RefCell<Rc<str>>,
    partition: Cell<i32>,
    offset: Cell<i64>,
    stream_time: Cell<i64>,
    wall_clock_ms: Cell<i64>,
    dropped: Cell<u64>,
    commit_requested: Cell<bool>,
    /// Time of the record in the processor that runs now, for the updates of its stores.
    current_time: Cell<i64>,
    /// Headers of that record, kept only where a record cache needs them.
    current_headers: RefCell<Headers>,
    /// Whether the record fills a global table: it belongs to no task's stream time and, by default, to no handler.
    in_global: Cell<bool>,
    keeps_source: bool,
    /// Whether some operator is the user's, who can change headers.
    headers_may_change: Cell<bool>,
    /// The bytes of the record that is processed, if they are kept; updates that wait share them.
    source: RefCell<Option<Rc<SourceRecord>>>,
    no_topic: Rc<str>,
    no_headers: Headers,
    stream_punctuations: PunctuationQueue,
    wall_punctuations: PunctuationQueue,
    /// What runs around operators, for what they schedule.
    wrapped: RefCell<BTreeMap<Arc<str>, Rc<dyn Around>>>,
    pub(super) shared: super::shared::SharedObjects,
}

/// The record that is processed: what stores keep of it is copied only when they do.
struct CurrentRecord<'a> {
    context: &'a TaskContext,
    timestamp: i64,
    headers: &'a Headers,
}

impl UpdateContext for CurrentRecord<'_> {
    fn timestamp(&self) -> i64 {
        self.timestamp
    }
    fn headers(&self) -> &Headers {
        self.headers
    }
    fn to_record_context(&self) -> RecordContext {
        self.context.record_context(self.timestamp, self.headers)
    }
}

impl TaskContext {
    pub(crate) fn new(environment: TaskEnvironment) -> Self {
        let no_topic: Rc<str> = "".into();
        let handlers = environment.handlers;
        Self {
            application_id: environment.application_id,
            task_id: environment.task_id,
            task_partition: Cell::new(environment.partition),
            collector: environment.collector,
            state: environment.state,
            keeps_source: handlers.dead_letter_topic.is_some() || handlers.keep_source_bytes,
            handlers,
            topic: RefCell::new(no_topic.clone()),
            partition: Cell::new(-1),
            offset: Cell::new(-1),
            stream_time: Cell::new(-1),
            wall_clock_ms: Cell::new(environment.wall_clock_ms),
            dropped: Cell::new(0),
            commit_requested: Cell::new(false),
            current_time: Cell::new(-1),
            current_headers: RefCell::new(Headers::new()),
            in_global: Cell::new(false),
            headers_may_change: Cell::new(false),
            source: RefCell::new(None),
            no_topic,
            no_headers: Headers::new(),
            stream_punctuations: PunctuationQueue::default(),
            wall_punctuations: PunctuationQueue::default(),
            wrapped: RefCell::default(),
            shared: super::shared::SharedObjects::default(),
        }
    }

    /// `application.id`.
    pub fn application_id(&self) -> &str {
        &self.application_id
    }
    /// `<subtopology>_<partition>`.
    pub fn task_id(&self) -> &str {
        &self.task_id
    }
    /// The partition this task is for.
    pub fn task_partition(&self) -> i32 {
        self.task_partition.get()
    }
    pub(crate) fn set_task_partition(&self, partition: i32) {
        self.task_partition.set(partition);
    }
    /// Topic of the record being processed; None inside a punctuation.
    pub fn topic(&self) -> Option<Rc<str>> {
        Some(self.topic.borrow().clone()).filter(|t| !t.is_empty())
    }
    /// Partition of the record being processed; -1 inside a punctuation.
    pub fn partition(&self) -> i32 {
        self.partition.get()
    }
    /// Offset of the record being processed; -1 inside a punctuation.
    pub fn offset(&self) -> i64 {
        self.offset.get()
    }
    /// Highest timestamp the task has seen, milliseconds since the epoch; -1 before the first record.
    pub fn stream_time(&self) -> i64 {
        self.stream_time.get()
    }
    /// Clock of this step, milliseconds since the epoch.
    pub fn wall_clock_ms(&self) -> i64 {
        self.wall_clock_ms.get()
    }
    /// Where output goes.
    pub fn collector(&self) -> &dyn Collector {
        &*self.collector
    }
    /// The stores of the task.
    pub fn state(&self) -> &TaskState {
        &self.state
    }
    /// The error handlers.
    pub fn handlers(&self) -> &Handlers {
        &self.handlers
    }
    /// Headers for records that have none. Must not be added to.
    pub fn no_headers(&self) -> &Headers {
        &self.no_headers
    }
    pub(crate) fn headers_may_change(&self) -> bool {
        self.headers_may_change.get()
    }
    pub(crate) fn let_headers_change(&self) {
        self.headers_may_change.set(true);
    }
    /// Asks for a commit soon.
    pub fn request_commit(&self) {
        self.commit_requested.set(true);
    }
    pub(crate) fn take_commit_request(&self) -> bool {
        self.commit_requested.replace(false)
    }
    /// Counts a record that was dropped (Kafka Streams: `dropped-records-total`).
    pub fn count_dropped(&self) {
        self.dropped.set(self.dropped.get() + 1);
    }
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }
    pub(crate) fn advance_stream_time(&self, timestamp: i64) {
        if timestamp > self.stream_time.get() && !self.in_global.get() {
            self.stream_time.set(timestamp);
        }
    }
    pub(crate) fn set_wall_clock(&self, now_ms: i64) {
        self.wall_clock_ms.set(now_ms);
    }

    /// The record that is processed, for updates of stores.
    pub fn update_context<'a>(&'a self, timestamp: i64, headers: &'a Headers) -> impl UpdateContext + 'a {
        CurrentRecord {
            context: self,
            timestamp,
            headers,
        }
    }

    /// The record context that stores keep beside an update. Allocates only when there are headers.
    fn record_context(&self, timestamp: i64, headers: &Headers) -> RecordContext {
        RecordContext {
            topic: self.topic.borrow().clone(),
            partition: self.partition.get(),
            offset: self.offset.get(),
            timestamp,
            headers: headers.clone(),
            source: self.source.borrow().clone(),
        }
    }

    /// Runs a processor at the time of its record; updates of its stores are logged with that time.
    pub(crate) fn at<T>(&self, timestamp: i64, headers: Option<&Headers>, f: impl FnOnce() -> T) -> T {
        let outer_time = self.current_time.replace(timestamp);
        let outer_headers = headers.map(|headers| self.current_headers.replace(headers.clone()));
        let result = f();
        self.current_time.set(outer_time);
        if let Some(outer) = outer_headers {
            self.current_headers.replace(outer);
        }
        result
    }
    pub(crate) fn current_time(&self) -> i64 {
        self.current_time.get()
    }
    pub(crate) fn current_context(&self) -> RecordContext {
        self.record_context(self.current_time.get(), &self.current_headers.borrow())
    }

    pub(crate) fn enter_record(&self, topic: &Rc<str>, raw: &RawRecord<'_>, global: bool) {
        self.in_global.set(global);
        {
            let mut current = self.topic.borrow_mut();
            if !Rc::ptr_eq(&current, topic) {
                *current = topic.clone();
            }
        }
        self.partition.set(self.task_partition.get());
        self.offset.set(raw.offset);
        if self.keeps_source {
            self.keep_source(raw);
        }
    }

    fn keep_source(&self, raw: &RawRecord<'_>) {
        let mut source = self.source.borrow_mut();
        // The last record's buffers are used again, unless one of its updates still waits.
        match source.as_mut().and_then(Rc::get_mut) {
            Some(kept) => {
                keep(&mut kept.key, raw.key);
                keep(&mut kept.value, raw.value);
            }
            None => {
                let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                *source = Some(Rc::new(SourceRecord {
                    key: owned(raw.key),
                    value: owned(raw.value),
                }));
            }
        }
    }

    /// Runs `f` as if the record of `context` were being processed: how updates leave a record cache.
    pub fn with_context<T>(&self, context: &RecordContext, f: impl FnOnce() -> T) -> T {
        let place = (context.topic.clone(), context.partition, context.offset);
        self.scoped(place, context.source.clone(), f)
    }
    pub(crate) fn punctuating<T>(&self, _now: i64, f: impl FnOnce() -> T) -> T {
        self.scoped((self.no_topic.clone(), -1, -1), None, f)
    }
    fn scoped<T>(
        &self,
        (topic, partition, offset): (Rc<str>, i32, i64),
        source: Option<Rc<SourceRecord>>,
        f: impl FnOnce() -> T,
    ) -> T {
        let saved_topic = self.topic.replace(topic);
        let (saved_partition, saved_offset) = (self.partition.replace(partition), self.offset.replace(offset));
        let saved_source = self.source.replace(source);
        let result = f();
        self.topic.replace(saved_topic);
        self.partition.set(saved_partition);
        self.offset.set(saved_offset);
        self.source.replace(saved_source);
        result
    }

    /// Something runs around the operator `node`.
    pub(crate) fn wrap(&self, node: &Arc<str>, around: Rc<dyn Around>) {
        self.wrapped.borrow_mut().insert(node.clone(), around);
    }
    /// Schedules `f` for the operator `node` every `interval_ms`.
    pub fn schedule(&self, node: &Arc<str>, interval_ms: i64, kind: PunctuationType, f: Punctuator) -> Cancellable {
        let around = self.wrapped.borrow().get(node).cloned();
        let f = match around {
            Some(around) => around_punctuator(node.clone(), around, kind, f),
            None => f,
        };
        match kind {
            PunctuationType::StreamTime => self.stream_punctuations.schedule(node, 0, interval_ms, f),
            PunctuationType::WallClock => {
                let due = self.wall_clock_ms.get().saturating_add(interval_ms);
                self.wall_punctuations.schedule(node, due, interval_ms, f)
            }
        }
    }
    pub(crate) fn punctuate_stream_time(&self) -> Result<bool, Box<ProcessError>> {
        match self.stream_time.get() {
            ..0 => Ok(false),
            now => self.stream_punctuations.run(self, now),
        }
    }
    pub(crate) fn punctuate_wall_clock(&self) -> Result<bool, Box<ProcessError>> {
        self.wall_punctuations.run(self, self.wall_clock_ms.get())
    }
    pub(crate) fn next_wall_clock_punctuation(&self) -> Option<i64> {
        self.wall_punctuations.next_due()
    }

    /// Calls a function of the user; a panic becomes an error of the operator.
    #[inline]
    pub fn call<T>(&self, node: &Arc<str>, f: impl FnOnce() -> T) -> Result<T, Box<ProcessError>> {
        // What the closure captures is either the record (by shared reference) or the user's own `Fn`, which other
        // records may call again: a broken invariant in there is the user's, exactly as after an exception in Java.
        catch_unwind(AssertUnwindSafe(f)).map_err(|payload| ProcessError::panicked(node, &*payload))
    }
    /// Calls a fallible function of the user; an error or a panic becomes an error of the operator.
    #[inline]
    pub fn try_call<T, E: Into<BoxError>>(
        &self,
        node: &Arc<str>,
        f: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, Box<ProcessError>> {
        self.call(node, f)?
            .map_err(|e| ProcessError::caused(ProcessErrorKind::UserFunction, node, e))
    }

    /// An operator failed on a record: asks the processing handler. `Ok`: the record is dropped (counted), go on with the next.
    #[cold]
    pub fn processing_failed(&self, error: Box<ProcessError>, timestamp: i64, headers: &Headers) -> ProcessResult {
        let handlers = self.handlers.clone();
        if self.in_global.get() && !handlers.processing_of_global_tables {
            return Err(error);
        }
        self.decide(error, timestamp, headers, |context, error| {
            handlers.processing.on_processing_error(context, error)
        })
    }
    /// Bytes could not be read: asks the deserialization handler.
    #[cold]
    pub(crate) fn deserialization_failed(
        &self,
        error: Box<ProcessError>,
        raw: &RawRecord<'_>,
        headers: &Headers,
    ) -> ProcessResult {
        self.keep_source(raw);
        let handlers = self.handlers.clone();
        let decided = self.decide(error, raw.timestamp, headers, |context, error| {
            handlers.deserialization.on_deserialization_error(context, error)
        });
        if !self.keeps_source {
            self.source.take();
        }
        decided
    }
    /// A record could not be written: asks the production handler.
    #[cold]
    pub fn production_failed(&self, error: Box<ProcessError>, timestamp: i64, headers: &Headers) -> ProcessResult {
        let handlers = self.handlers.clone();
        self.decide(error, timestamp, headers, |context, error| {
            handlers.production.on_production_error(context, error)
        })
    }

    fn decide(
        &self,
        error: Box<ProcessError>,
        timestamp: i64,
        headers: &Headers,
        ask: impl FnOnce(&ErrorContext<'_>, &ProcessError) -> Response,
    ) -> ProcessResult {
        let topic = self.topic();
        let source = self.source.borrow().clone().unwrap_or_default();
        let context = ErrorContext {
            task_id: &self.task_id,
            node: &error.node,
            topic: topic.as_deref(),
            partition: self.partition.get(),
            offset: self.offset.get(),
            timestamp,
            headers,
            source_key: source.key.as_deref(),
            source_value: source.value.as_deref(),
        };
        let response = ask(&context, &error);
        self.send_dead_letter(&context, &error)?;
        match response {
            Response::Fail => Err(error),
            Response::Continue => {
                self.count_dropped();
                Ok(())
            }
        }
    }

    /// Provenance headers of KIP-1034, so that existing tools understand them.
    fn send_dead_letter(&self, context: &ErrorContext<'_>, error: &ProcessError) -> ProcessResult {
        let Some(topic) = self
            .handlers
            .dead_letter_topic
            .as_ref()
            .filter(|_| !self.in_global.get())
        else {
            return Ok(());
        };
        let headers = context.headers.clone();
        let text = |name: &str, value: &str| headers.add(name, Some(value.as_bytes()));
        let topic_of_record = context.topic.map(str::as_bytes);
        text("__streams.errors.exception", &format!("{:?}", error.kind));
        text("__streams.errors.message", &error.message);
        text("__streams.errors.stacktrace", &chain(error));
        headers.add("__streams.errors.topic", topic_of_record);
        text("__streams.errors.partition", &context.partition.to_string());
        text("__streams.errors.offset", &context.offset.to_string());
        self.collector
            .send(OutgoingRecord {
                topic: SinkTopic::Dynamic(topic),
                partition: None,
                partition_key: None,
                key: context.source_key,
                value: context.source_value,
                timestamp: context.timestamp,
                headers: &headers,
            })
            .map_err(|e| ProcessError::caused(ProcessErrorKind::Production, &error.node, e))
    }

    /// A store failed: never handed to a handler, the task stops.
    #[cold]
    pub fn store_failed(&self, node: &Arc<str>, error: StateError) -> Box<ProcessError> {
        ProcessError::caused(ProcessErrorKind::Store, node, error)
    }
}

fn keep(slot: &mut Option<Vec<u8>>, bytes: Option<&[u8]>) {
    match bytes {
        None => *slot = None,
        Some(bytes) => {
            let buffer = slot.get_or_insert_with(Vec::new);
            buffer.clear();
            buffer.extend_from_slice(bytes);
        }
    }
}

/// The operator and every cause, one a line: what a stack trace says in Java.
fn chain(error: &ProcessError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(e) = cause {
        text.push_str("\ncaused by: ");
        text.push_str(&e.to_string());
        cause = e.source();
    }
    text
}
