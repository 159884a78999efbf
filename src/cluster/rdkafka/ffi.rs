//! librdkafka behind safe types: the only file of the project that contains `unsafe`.
//!
//! Rules that make it sound, referred to below:
//! - **Owner**: everything made from a client (queue, topic, message) holds an `Arc` of its [`Handle`], so the client
//!   outlives it. librdkafka's handles may be used from any thread.
//! - **Callbacks**: the wake-up, log, error and request callbacks may run on librdkafka's threads and touch only `Sync` state.
//!   Delivery reports run inside `rd_kafka_poll`, `flush` and the transaction calls of the thread that owns the
//!   [`ProducerHandle`], never elsewhere while it lives; they alone touch [`Deliveries`] then.
//! - **Codes**: error codes are read as integers: a broker may send a code that the bindings' enum does not know.
use std::{
    cell::UnsafeCell,
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr::{self, NonNull},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use millstream_dsl::engine::{HeaderSource, RawHeaders, RawRecord};
use millstream_state::Headers;
use rdkafka_sys as sys;

use super::{deliveries::Deliveries, unanswered::Unanswered};
use crate::cluster::Waker;

/// How long destroying a client may take before it is reported; it goes on in the background.
const DESTROY_DEADLINE: Duration = Duration::from_secs(10);

unsafe extern "C" {
    // Declared here as well because the bindings give an enum, which an unknown code would make invalid.
    #[link_name = "rd_kafka_error_code"]
    fn error_code(error: *const sys::rd_kafka_error_t) -> c_int;
    // The same for an argument: the code of a broker may be none of the enum's.
    #[link_name = "rd_kafka_err2str"]
    fn error_text(code: c_int) -> *const c_char;
}

/// What a call of librdkafka reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RawError {
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) fatal: bool,
    pub(super) retriable: bool,
    pub(super) requires_abort: bool,
}

impl RawError {
    pub(super) fn local(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            ..Self::default()
        }
    }
}

/// librdkafka's words for a code.
pub(super) fn describe(code: i32) -> String {
    // SAFETY: takes any integer; the text is static.
    unsafe { text(error_text(code)) }
}

type Result<T> = std::result::Result<T, RawError>;

const INVALID_ARG: i32 = -186;
const NO_ERROR: sys::rd_kafka_resp_err_t = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
/// What librdkafka knows our request callbacks as.
const NAME: &CStr = c"millstream";

/// Takes an error object over and frees it; null is success.
fn check(error: *mut sys::rd_kafka_error_t) -> Result<()> {
    let Some(error) = NonNull::new(error) else {
        return Ok(());
    };
    // SAFETY: a non-null error object returned by librdkafka belongs to us, is valid until destroyed, and is
    // destroyed exactly once, here; its string is copied before.
    unsafe {
        let raw = error.as_ptr();
        let described = RawError {
            code: error_code(raw),
            message: text(sys::rd_kafka_error_string(raw)),
            fatal: sys::rd_kafka_error_is_fatal(raw) != 0,
            retriable: sys::rd_kafka_error_is_retriable(raw) != 0,
            requires_abort: sys::rd_kafka_error_txn_requires_abort(raw) != 0,
        };
        sys::rd_kafka_error_destroy(raw);
        Err(described)
    }
}

/// Copies a C string; null gives "".
///
/// # Safety
/// `string` is null or points to a NUL-terminated string that lives during the call.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| RawError::local(INVALID_ARG, "a name or value contains a NUL byte"))
}

/// What callbacks see. Lives from before the client is made until after it is destroyed.
struct Shared {
    waker: Arc<dyn Waker>,
    client_error: Mutex<Option<RawError>>,
    unanswered: Unanswered,
    deliveries: UnsafeCell<Deliveries>,
}

/// Which kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Consumer,
    Producer,
}

/// A client. Destroyed when the last thing made from it is gone, on a thread of its own.
pub(super) struct Handle {
    rk: NonNull<sys::rd_kafka_t>,
    shared: NonNull<Shared>,
}

// SAFETY: librdkafka's client handle is made for use from several threads. Of `Shared`, `waker`, `client_error` and
// `unanswered` are `Sync`, and `deliveries` follows the rule "Callbacks".
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Makes a client from settings. An unknown or wrong setting is an error that names it, never its value.
    pub(super) fn new(kind: Kind, settings: &[(String, String)], waker: Arc<dyn Waker>) -> Result<Arc<Self>> {
        let mut error = [0 as c_char; 512];
        // SAFETY: no preconditions; the configuration is ours until `rd_kafka_new` succeeds.
        let conf = unsafe { sys::rd_kafka_conf_new() };
        for (name, value) in settings {
            if let Err(refused) = set(conf, name, value) {
                // SAFETY: `conf` is ours and not used any more.
                unsafe { sys::rd_kafka_conf_destroy(conf) };
                return Err(refused);
            }
        }
        let shared = Box::new(Shared {
            waker,
            client_error: Mutex::new(None),
            unanswered: Unanswered::default(),
            deliveries: UnsafeCell::new(Deliveries::default()),
        });
        // SAFETY: a box is never null. From here on only shared references to it are made, until it is freed.
        let shared = unsafe { NonNull::new_unchecked(Box::into_raw(shared)) };
        let kind = match kind {
            Kind::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            Kind::Producer => sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
        };
        // SAFETY: `conf` is valid; the callbacks have the types librdkafka expects and `shared` outlives the client;
        // `error` is a buffer of the length given.
        let rk = unsafe {
            sys::rd_kafka_conf_set_opaque(conf, shared.as_ptr().cast());
            sys::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            sys::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            if kind == sys::rd_kafka_type_t::RD_KAFKA_PRODUCER {
                sys::rd_kafka_conf_set_dr_msg_cb(conf, Some(on_delivery));
                sys::rd_kafka_conf_interceptor_add_on_new(conf, NAME.as_ptr(), Some(on_new), shared.as_ptr().cast());
            }
            sys::rd_kafka_new(kind, conf, error.as_mut_ptr(), error.len())
        };
        let Some(rk) = NonNull::new(rk) else {
            // SAFETY: after a failure `conf` is still ours, no client exists that could use `shared`, and librdkafka
            // wrote a terminated text.
            return Err(unsafe {
                sys::rd_kafka_conf_destroy(conf);
                drop(Box::from_raw(shared.as_ptr()));
                RawError::local(INVALID_ARG, text(error.as_ptr()))
            });
        };
        let handle = Arc::new(Self { rk, shared });
        if kind == sys::rd_kafka_type_t::RD_KAFKA_CONSUMER {
            // SAFETY: the client is a live consumer.
            unsafe { sys::rd_kafka_poll_set_consumer(rk.as_ptr()) };
        }
        Ok(handle)
    }

    fn raw(&self) -> *mut sys::rd_kafka_t {
        self.rk.as_ptr()
    }

    fn shared(&self) -> &Shared {
        // SAFETY: freed only after the client is destroyed, which is after `self` is gone; never borrowed mutably.
        unsafe { self.shared.as_ref() }
    }

    fn take_client_error(&self) -> Option<RawError> {
        self.shared()
            .client_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What librdkafka has against these settings, by name and without values.
pub(super) fn refusals<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    // SAFETY: no preconditions; the configuration is ours alone and destroyed below.
    let conf = unsafe { sys::rd_kafka_conf_new() };
    let refused = settings.filter_map(|(name, value)| set(conf, name, value).err());
    let refused = refused.map(|error| error.message).collect();
    // SAFETY: `conf` is ours and not used any more.
    unsafe { sys::rd_kafka_conf_destroy(conf) };
    refused
}

fn set(conf: *mut sys::rd_kafka_conf_t, name: &str, value: &str) -> Result<()> {
    let (c_name, c_value) = (c_string(name)?, c_string(value)?);
    // SAFETY: `conf` is valid (the caller made it); strings are terminated and copied; a null error buffer of size 0
    // is allowed. The text librdkafka would write there is not used because it may repeat the value.
    let result = unsafe { sys::rd_kafka_conf_set(conf, c_name.as_ptr(), c_value.as_ptr(), ptr::null_mut(), 0) };
    match result {
        sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
        sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => Err(RawError::local(
            INVALID_ARG,
            format!("unknown property {name}, or not supported by this build"),
        )),
        sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => Err(RawError::local(
            INVALID_ARG,
            format!("property {name} has an invalid value"),
        )),
    }
}

/// The pointers of a client on their way to the thread that destroys it.
struct Doomed(NonNull<sys::rd_kafka_t>, NonNull<Shared>);
// SAFETY: both may be used from any thread, and nobody else has them any more.
unsafe impl Send for Doomed {}

impl Doomed {
    fn destroy(self) {
        // SAFETY: the last owner is gone (rule "Owner"), so nothing made from the client exists; each pointer is freed
        // once, and `Shared` only after the client, whose callbacks may use it until then.
        unsafe {
            sys::rd_kafka_destroy(self.0.as_ptr());
            drop(Box::from_raw(self.1.as_ptr()));
        }
    }
}

impl Drop for Handle {
    /// Destroying may block (on broker threads, on unreachable brokers), so it happens elsewhere, and if it takes
    /// longer than the deadline a line in the log says so.
    fn drop(&mut self) {
        let doomed = Doomed(self.rk, self.shared);
        let (done, finished) = mpsc::channel();
        let worker = move || {
            doomed.destroy();
            let _ = done.send(());
        };
        let spawned = std::thread::Builder::new()
            .name("millstream-close".into())
            .spawn(worker);
        let watcher = move || {
            if finished.recv_timeout(DESTROY_DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!(
                    "a Kafka client is still closing after {DESTROY_DEADLINE:?}; it goes on in the background"
                );
            }
        };
        let watched = spawned.and_then(|_| {
            std::thread::Builder::new()
                .name("millstream-close".into())
                .spawn(watcher)
        });
        if let Err(error) = watched {
            tracing::warn!(%error, "no thread to close a Kafka client on");
        }
    }
}

extern "C" fn on_log(_: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, message: *const c_char) {
    // SAFETY: librdkafka passes terminated strings that live during the call.
    let (facility, message) = unsafe { (text(facility), text(message)) };
    super::log::tell(level, &facility, &message);
}

extern "C" fn on_error(_: *mut sys::rd_kafka_t, code: c_int, reason: *const c_char, opaque: *mut c_void) {
    // SAFETY: `opaque` is the `Shared` given at creation, which outlives the client; `reason` is a terminated string.
    let (shared, message) = unsafe { (&*opaque.cast::<Shared>(), text(reason)) };
    let error = RawError {
        code,
        message,
        ..RawError::default()
    };
    *shared.client_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    shared.waker.wake();
}

extern "C" fn on_wake(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: as in `on_error`; only `Sync` state is touched.
    unsafe { &*opaque.cast::<Shared>() }.waker.wake();
}

extern "C" fn on_delivery(_: *mut sys::rd_kafka_t, message: *const sys::rd_kafka_message_t, opaque: *mut c_void) {
    // SAFETY: the message lives during the call, its error code is read as an integer (rule "Codes"). `deliveries` is
    // ours alone now: this runs inside a call of the owning thread, which holds no reference to it (rule "Callbacks").
    unsafe {
        let code = ptr::addr_of!((*message).err).cast::<i32>().read();
        let deliveries = &mut *(*opaque.cast::<Shared>()).deliveries.get();
        // The topic's number travels as the message's opaque, one too high so that it is never null.
        let topic = ((*message)._private as usize).wrapping_sub(1) as u32;
        deliveries.report(topic, (*message).partition, (*message).offset, code);
    }
}

/// Runs while the client is made: from here on every request and every answer is counted.
extern "C" fn on_new(
    rk: *mut sys::rd_kafka_t,
    _: *const sys::rd_kafka_conf_t,
    opaque: *mut c_void,
    _: *mut c_char,
    _: usize,
) -> sys::rd_kafka_resp_err_t {
    // SAFETY: the client is being made and valid; name and callbacks are static, `opaque` outlives the client.
    unsafe {
        let sent = sys::rd_kafka_interceptor_add_on_request_sent(rk, NAME.as_ptr(), Some(on_request_sent), opaque);
        let answered =
            sys::rd_kafka_interceptor_add_on_response_received(rk, NAME.as_ptr(), Some(on_response_received), opaque);
        if sent != NO_ERROR { sent } else { answered }
    }
}

/// The whole request is in the system's hands: it may arrive, now or much later.
extern "C" fn on_request_sent(
    _: *mut sys::rd_kafka_t,
    _: c_int,
    _: *const c_char,
    _: i32,
    api_key: i16,
    _: i16,
    _: i32,
    _: usize,
    opaque: *mut c_void,
) -> sys::rd_kafka_resp_err_t {
    // SAFETY: as in `on_error`; only `Sync` state is touched.
    unsafe { &*opaque.cast::<Shared>() }.unanswered.sent(api_key);
    NO_ERROR
}

/// Also called, without an answer (`size` 0), for requests that were given up.
extern "C" fn on_response_received(
    _: *mut sys::rd_kafka_t,
    _: c_int,
    _: *const c_char,
    _: i32,
    api_key: i16,
    _: i16,
    _: i32,
    size: usize,
    _: i64,
    _: sys::rd_kafka_resp_err_t,
    opaque: *mut c_void,
) -> sys::rd_kafka_resp_err_t {
    if size > 0 {
        // SAFETY: as in `on_error`; only `Sync` state is touched.
        unsafe { &*opaque.cast::<Shared>() }.unanswered.answered(api_key);
    }
    NO_ERROR
}

// ---- lists

/// A list of partitions with offsets.
pub(super) struct PartitionList(NonNull<sys::rd_kafka_topic_partition_list_t>);

// SAFETY: it belongs to whoever holds it and may be read and freed on any thread.
unsafe impl Send for PartitionList {}

impl PartitionList {
    /// Topic, partition, offset (or a logical one), metadata of each.
    pub(super) fn new<'a>(items: impl IntoIterator<Item = (&'a str, i32, i64, &'a str)>) -> Result<Self> {
        // SAFETY: no preconditions.
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(1) };
        let list = Self(NonNull::new(list).ok_or_else(|| RawError::local(INVALID_ARG, "out of memory"))?);
        for (topic, partition, offset, metadata) in items {
            let topic = c_string(topic)?;
            // SAFETY: the list is ours, the name is copied, and the element returned is valid until the next addition.
            // Metadata becomes the element's own: librdkafka frees it with `free`, so it is allocated with `malloc`
            // (by `strdup` of a terminated string, of which the length without the NUL is stored).
            unsafe {
                let element = sys::rd_kafka_topic_partition_list_add(self_ptr(&list), topic.as_ptr(), partition);
                (*element).offset = offset;
                if !metadata.is_empty() {
                    let copy = c_string(metadata)?;
                    (*element).metadata = strdup(copy.as_ptr()).cast();
                    (*element).metadata_size = metadata.len();
                }
            }
        }
        Ok(list)
    }
}

fn self_ptr(list: &PartitionList) -> *mut sys::rd_kafka_topic_partition_list_t {
    list.0.as_ptr()
}

unsafe extern "C" {
    fn strdup(string: *const c_char) -> *mut c_char;
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once; librdkafka copies lists it keeps.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) }
    }
}

// ---- consumer

/// A consumer that is assigned partitions and never subscribes.
pub(super) struct ConsumerHandle(Arc<Handle>);

impl ConsumerHandle {
    pub(super) fn new(settings: &[(String, String)], waker: Arc<dyn Waker>) -> Result<Self> {
        Handle::new(Kind::Consumer, settings, waker).map(Self)
    }

    /// Splits a partition off the main queue: before it is assigned, so that nothing leaks into the main queue.
    /// The waker is called whenever its queue stops being empty.
    pub(super) fn split(&self, topic: &str, partition: i32) -> Result<PartitionQueue> {
        let topic = c_string(topic)?;
        // SAFETY: the client is live; the queue returned is ours until destroyed. `Shared` outlives the client, and
        // the queue stops calling back before it is destroyed.
        unsafe {
            let queue = sys::rd_kafka_queue_get_partition(self.0.raw(), topic.as_ptr(), partition);
            let queue = NonNull::new(queue).ok_or_else(|| RawError::local(INVALID_ARG, "no such partition queue"))?;
            sys::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(on_wake), self.0.shared.as_ptr().cast());
            Ok(PartitionQueue {
                queue,
                owner: self.0.clone(),
            })
        }
    }

    pub(super) fn assign(&self, list: &PartitionList) -> Result<()> {
        // SAFETY: client and list are live; the list is only read.
        check(unsafe { sys::rd_kafka_incremental_assign(self.0.raw(), self_ptr(list)) })
    }

    pub(super) fn unassign(&self, list: &PartitionList) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::rd_kafka_incremental_unassign(self.0.raw(), self_ptr(list)) })
    }

    /// Serves callbacks and takes what came to the main queue (no records, as every partition is split off). Never blocks.
    pub(super) fn serve(&self) -> Option<RawError> {
        // SAFETY: the client is live; a message returned is ours.
        while let Some(message) = NonNull::new(unsafe { sys::rd_kafka_consumer_poll(self.0.raw(), 0) }) {
            let message = Message(message);
            if message.code() != 0 {
                return Some(message.error());
            }
        }
        self.0.take_client_error()
    }
}

/// The queue of one split partition.
pub(super) struct PartitionQueue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    owner: Arc<Handle>,
}

// SAFETY: queues may be used from any thread.
unsafe impl Send for PartitionQueue {}

impl PartitionQueue {
    /// Appends at most `max` messages (records and events) that have arrived. Never blocks.
    pub(super) fn take(&self, max: usize, messages: &mut Vec<Message>) -> Result<()> {
        messages.reserve(max);
        // SAFETY: the queue is live; the spare capacity holds `max` pointers, and `Message` is a transparent non-null
        // pointer. librdkafka writes as many valid messages, which become ours, as it returns.
        unsafe {
            let room = messages
                .as_mut_ptr()
                .add(messages.len())
                .cast::<*mut sys::rd_kafka_message_t>();
            let taken = sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, room, max);
            match usize::try_from(taken) {
                Ok(taken) => messages.set_len(messages.len() + taken),
                Err(_) => return Err(RawError::local(INVALID_ARG, "the partition's queue refused to be read")),
            }
        }
        Ok(())
    }

    /// Keeps the client alive as long as messages of it are.
    pub(super) fn batch(&self, messages: Vec<Message>) -> Batch {
        Batch {
            messages,
            _owner: self.owner.clone(),
        }
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once; first no more callbacks.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// A record, or an event such as the end of the partition.
#[repr(transparent)]
pub(super) struct Message(NonNull<sys::rd_kafka_message_t>);

// SAFETY: a message belongs to whoever holds it and may be freed on any thread.
unsafe impl Send for Message {}

impl Message {
    /// 0 for a record.
    pub(super) fn code(&self) -> i32 {
        // SAFETY: the message is live until dropped; rule "Codes".
        unsafe { ptr::addr_of!((*self.0.as_ptr()).err).cast::<i32>().read() }
    }

    pub(super) fn offset(&self) -> i64 {
        // SAFETY: the message is live until dropped.
        unsafe { (*self.0.as_ptr()).offset }
    }

    pub(super) fn error(&self) -> RawError {
        // SAFETY: the message is live; the text belongs to it or is static.
        let message = unsafe { text(sys::rd_kafka_message_errstr(self.0.as_ptr())) };
        RawError {
            code: self.code(),
            message,
            ..RawError::default()
        }
    }

    fn record(&self) -> RawRecord<'_> {
        let raw = self.0.as_ptr();
        // SAFETY: the message is live as long as `self` is borrowed, and so are key and payload, which are null or
        // point to as many bytes as their length says; nobody writes to them. The time's type is not asked for.
        unsafe {
            RawRecord {
                topic: None,
                key: bytes((*raw).key, (*raw).key_len),
                value: bytes((*raw).payload, (*raw).len),
                timestamp: sys::rd_kafka_message_timestamp(raw, ptr::null_mut()),
                offset: (*raw).offset,
                headers: RawHeaders::Lazy(self),
            }
        }
    }

    fn headers(&self) -> Option<NonNull<sys::rd_kafka_headers_t>> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is live; the headers, if any, belong to it. They are parsed at the first call: `Message`
        // is not `Sync`, so by one thread at a time.
        unsafe { sys::rd_kafka_message_headers(self.0.as_ptr(), &mut headers) };
        NonNull::new(headers)
    }
}

/// # Safety
/// `data` is null or points to `len` bytes that live, unchanged, for `'a`.
unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

impl HeaderSource for Message {
    fn len(&self) -> usize {
        // SAFETY: the headers belong to the live message.
        self.headers()
            .map_or(0, |headers| unsafe { sys::rd_kafka_header_cnt(headers.as_ptr()) })
    }

    fn read_into(&self, target: &Headers) {
        let Some(headers) = self.headers() else { return };
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers belong to the live message; name and value live as long as they do, and are copied
            // before the next call. An index past the end gives an error.
            unsafe {
                let found = sys::rd_kafka_header_get_all(headers.as_ptr(), index, &mut name, &mut value, &mut size);
                if found as i32 != 0 {
                    return;
                }
                target.add(&text(name), bytes(value, size));
            }
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once. A message that is never destroyed would make destroying the client hang.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// Records of one partition, lent from librdkafka's receive buffers.
pub(super) struct Batch {
    // Before the owner: fields are dropped in this order.
    messages: Vec<Message>,
    _owner: Arc<Handle>,
}

impl crate::cluster::RecordBatch for Batch {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn get(&self, index: usize) -> RawRecord<'_> {
        match self.messages.get(index) {
            Some(message) => message.record(),
            // The trait has no other answer; only a caller's mistake gets here.
            None => RawRecord {
                topic: None,
                key: None,
                value: None,
                timestamp: -1,
                offset: -1,
                headers: RawHeaders::None,
            },
        }
    }
}

// ---- producer

/// A producer, with its topics. Used by one thread at a time: every call that serves delivery reports takes `&mut`.
pub(super) struct ProducerHandle {
    topics: Vec<Topic>,
    handle: Arc<Handle>,
}

struct Topic {
    raw: NonNull<sys::rd_kafka_topic_t>,
    _owner: Arc<Handle>,
}

// SAFETY: topic handles may be used from any thread.
unsafe impl Send for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once; the client is live (rule "Owner").
        unsafe { sys::rd_kafka_topic_destroy(self.raw.as_ptr()) }
    }
}

/// A record to send. Everything is copied.
pub(super) struct Outgoing<'a> {
    pub(super) topic: u32,
    pub(super) partition: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// 0: the time of sending.
    pub(super) timestamp: i64,
    pub(super) headers: Option<&'a Headers>,
}

impl ProducerHandle {
    pub(super) fn new(settings: &[(String, String)], waker: Arc<dyn Waker>) -> Result<Self> {
        let handle = Handle::new(Kind::Producer, settings, waker)?;
        Ok(Self {
            topics: Vec::new(),
            handle,
        })
    }

    /// Numbers topics from 0 in the order of the calls.
    pub(super) fn add_topic(&mut self, name: &str) -> Result<u32> {
        let name = c_string(name)?;
        // SAFETY: the client is live, the name is copied, a null configuration means the default.
        let raw = unsafe { sys::rd_kafka_topic_new(self.handle.raw(), name.as_ptr(), ptr::null_mut()) };
        let raw = NonNull::new(raw).ok_or_else(|| RawError::local(INVALID_ARG, "not a legal topic name"))?;
        let number = self.topics.len() as u32;
        self.topics.push(Topic {
            raw,
            _owner: self.handle.clone(),
        });
        Ok(number)
    }

    /// Blocks for at most `timeout_ms`.
    pub(super) fn partition_count(&mut self, topic: u32, timeout_ms: i32) -> Result<i32> {
        let topic = self.topics.get(topic as usize).ok_or_else(unknown_topic)?;
        let mut metadata: *const sys::rd_kafka_metadata = ptr::null();
        // SAFETY: client and topic are live. On success the metadata is ours until destroyed; it describes at least as
        // many topics as its count says. Codes are read as integers.
        unsafe {
            let result =
                sys::rd_kafka_metadata(self.handle.raw(), 0, topic.raw.as_ptr(), &mut metadata, timeout_ms) as i32;
            if result != 0 || metadata.is_null() {
                return Err(RawError::local(result, describe(result)));
            }
            let mut answer = Err(unknown_topic());
            if (*metadata).topic_cnt > 0 {
                let first = (*metadata).topics;
                let code = ptr::addr_of!((*first).err).cast::<i32>().read();
                answer = match code {
                    0 => Ok((*first).partition_cnt),
                    code => Err(RawError::local(code, describe(code))),
                };
            }
            sys::rd_kafka_metadata_destroy(metadata);
            answer
        }
    }

    /// Queues a record; `_QUEUE_FULL` when there is no room.
    pub(super) fn produce(&mut self, record: &Outgoing<'_>) -> Result<()> {
        use sys::rd_kafka_vtype_t as tag;
        let topic = self
            .topics
            .get(record.topic as usize)
            .ok_or_else(unknown_topic)?
            .raw
            .as_ptr();
        let headers = match record.headers {
            Some(headers) if !headers.is_empty() => Some(OutgoingHeaders::new(headers)?),
            _ => None,
        };
        let opaque = (record.topic as usize + 1) as *mut c_void;
        type Value = sys::rd_kafka_vu_s__bindgen_ty_1;
        let arguments = [
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_RKT,
                u: Value { rkt: topic },
            },
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_PARTITION,
                u: Value { i32_: record.partition },
            },
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_MSGFLAGS,
                u: Value {
                    i: sys::RD_KAFKA_MSG_F_COPY,
                },
            },
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_VALUE,
                u: Value {
                    mem: memory(record.value),
                },
            },
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_KEY,
                u: Value {
                    mem: memory(record.key),
                },
            },
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_TIMESTAMP,
                u: Value { i64_: record.timestamp },
            },
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_OPAQUE,
                u: Value { ptr: opaque },
            },
            sys::rd_kafka_vu_t {
                vtype: tag::RD_KAFKA_VTYPE_HEADERS,
                u: Value {
                    headers: headers.as_ref().map_or(ptr::null_mut(), |headers| headers.0.as_ptr()),
                },
            },
        ];
        let count = if headers.is_some() {
            arguments.len()
        } else {
            arguments.len() - 1
        };
        // SAFETY: client and topic are live; each argument has the member its tag stands for, and `count` of them are
        // given; key and value are copied (F_COPY) before the call returns. Headers become librdkafka's on success.
        check(unsafe { sys::rd_kafka_produceva(self.handle.raw(), arguments.as_ptr(), count) })?;
        std::mem::forget(headers);
        Ok(())
    }

    /// Serves delivery reports and errors; waits at most `timeout_ms` for the first. Gives an error of the client.
    pub(super) fn poll(&mut self, timeout_ms: i32) -> Option<RawError> {
        // SAFETY: the client is live; delivery reports run here (rule "Callbacks").
        unsafe { sys::rd_kafka_poll(self.handle.raw(), timeout_ms) };
        self.handle.take_client_error()
    }

    /// Sends what is queued without waiting for more of it. True: nothing is under way any more.
    pub(super) fn flush(&mut self, timeout_ms: i32) -> bool {
        // SAFETY: as in `poll`.
        unsafe {
            sys::rd_kafka_flush(self.handle.raw(), timeout_ms);
            sys::rd_kafka_outq_len(self.handle.raw()) == 0
        }
    }

    /// What delivery reports said so far.
    pub(super) fn deliveries(&mut self) -> &mut Deliveries {
        // SAFETY: rule "Callbacks": reports run only inside calls that need `&mut self`, which this borrow excludes.
        unsafe { &mut *self.handle.shared().deliveries.get() }
    }

    /// Requests of transactions that were sent and never answered: each may still take effect.
    pub(super) fn unanswered(&self) -> u64 {
        self.handle.shared().unanswered.count()
    }

    pub(super) fn init_transactions(&mut self, timeout_ms: i32) -> Result<()> {
        // SAFETY: the client is live.
        check(unsafe { sys::rd_kafka_init_transactions(self.handle.raw(), timeout_ms) })
    }

    pub(super) fn begin_transaction(&mut self) -> Result<()> {
        // SAFETY: the client is live.
        check(unsafe { sys::rd_kafka_begin_transaction(self.handle.raw()) })
    }

    pub(super) fn offsets_sender(&self) -> OffsetsSender {
        OffsetsSender(self.handle.clone())
    }

    pub(super) fn commit_transaction(&mut self, timeout_ms: i32) -> Result<()> {
        // SAFETY: the client is live; delivery reports run here.
        check(unsafe { sys::rd_kafka_commit_transaction(self.handle.raw(), timeout_ms) })
    }

    pub(super) fn abort_transaction(&mut self, timeout_ms: i32) -> Result<()> {
        // SAFETY: the client is live; delivery reports run here.
        check(unsafe { sys::rd_kafka_abort_transaction(self.handle.raw(), timeout_ms) })
    }
}

/// For the one call that may wait for ever, on whichever thread makes it; the client lives as long as it does.
pub(super) struct OffsetsSender(Arc<Handle>);

impl OffsetsSender {
    pub(super) fn send(&self, offsets: &PartitionList, group: &GroupMetadata, timeout_ms: i32) -> Result<()> {
        // SAFETY: client, list and metadata are live and only read; no delivery report runs here.
        check(unsafe {
            sys::rd_kafka_send_offsets_to_transaction(self.0.raw(), self_ptr(offsets), group.0.as_ptr(), timeout_ms)
        })
    }
}

fn unknown_topic() -> RawError {
    RawError::local(-188, "unknown topic")
}

fn memory(data: Option<&[u8]>) -> sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    // Null stands for null; an empty slice has a pointer that is not null and stays "empty".
    let (ptr, size) = data.map_or((ptr::null(), 0), |data| (data.as_ptr(), data.len()));
    sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
        ptr: ptr.cast_mut().cast(),
        size,
    }
}

struct OutgoingHeaders(NonNull<sys::rd_kafka_headers_t>);

impl OutgoingHeaders {
    fn new(headers: &Headers) -> Result<Self> {
        // SAFETY: no preconditions.
        let raw = unsafe { sys::rd_kafka_headers_new(headers.len()) };
        let list = Self(NonNull::new(raw).ok_or_else(|| RawError::local(INVALID_ARG, "out of memory"))?);
        headers.for_each(|name, value| {
            let (data, size) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len() as isize));
            // SAFETY: the list is ours; name (with its length) and value are copied.
            unsafe {
                sys::rd_kafka_header_add(raw, name.as_ptr().cast(), name.len() as isize, data.cast(), size);
            }
        });
        Ok(list)
    }
}

impl Drop for OutgoingHeaders {
    fn drop(&mut self) {
        // SAFETY: still ours (they are forgotten when librdkafka takes them), destroyed once.
        unsafe { sys::rd_kafka_headers_destroy(self.0.as_ptr()) }
    }
}

/// The identity under which a transaction commits offsets.
pub(super) struct GroupMetadata(NonNull<sys::rd_kafka_consumer_group_metadata_t>);

// SAFETY: it belongs to whoever holds it and may be read and freed on any thread.
unsafe impl Send for GroupMetadata {}

impl GroupMetadata {
    pub(super) fn new(group_id: &str, member_id: &str, epoch: i32) -> Result<Self> {
        let (group_id, member_id) = (c_string(group_id)?, c_string(member_id)?);
        // SAFETY: strings are terminated and copied; a null instance id is allowed.
        let raw = unsafe {
            sys::rd_kafka_consumer_group_metadata_new_with_genid(
                group_id.as_ptr(),
                epoch,
                member_id.as_ptr(),
                ptr::null(),
            )
        };
        NonNull::new(raw)
            .map(Self)
            .ok_or_else(|| RawError::local(INVALID_ARG, "no group metadata"))
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) }
    }
}
