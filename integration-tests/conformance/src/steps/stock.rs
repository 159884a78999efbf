//! The stock processors of cases, on keys and values of any type.
use std::{marker::PhantomData, sync::Arc};

use millstream_dsl::{
    engine::{BoxError, PunctuationType, Record},
    processor::{Processor, ProcessorContext, Punctuation, RecordMetadata, Schedule},
    store::{KeyValueStore, VersionedKeyValueStore},
    window::Window,
};
use millstream_state::Headers;
use serde_json::Value as Json;

use super::{
    stock_stores::{Kept, put_session, put_timestamped, put_window, stored},
    stores::millis,
};
use crate::{
    arguments::Args,
    expression::Expr,
    like::{Like, Nullable, nullable},
    value::{Dyn, FunctionFailed},
};

pub(super) type Context<'c> = ProcessorContext<'c, Dyn, Nullable>;
pub(super) type Done = Result<(), BoxError>;

/// The processors there are; others are refused when the topology is built.
const KNOWN: [&str; 29] = [
    "forward",
    "duplicate",
    "count",
    "dedup",
    "put-if-absent",
    "store-put",
    "store-put-timestamped",
    "lookup",
    "scan",
    "window-put",
    "session-put",
    "versioned-put",
    "versioned-delete",
    "route",
    "add-header",
    "copy-then-add-header",
    "remove-header",
    "drop-headers",
    "read-header",
    "metadata",
    "times",
    "shift-time",
    "set-key",
    "commit",
    "fail-if",
    "tick",
    "schedule-on-record",
    "punctuate-where",
    "last-and-flush",
];

/// One stock processor of one task.
pub(crate) struct Stock<K, V> {
    step: Arc<Json>,
    key: Option<Arc<Expr>>,
    timer: Option<Schedule>,
    ticks: i64,
    of: PhantomData<fn(K, V)>,
}

/// The record as dynamic values.
struct Seen<'a> {
    key: Dyn,
    value: Dyn,
    timestamp: i64,
    headers: &'a Headers,
}

impl Seen<'_> {
    fn forward(&self, ctx: &Context<'_>, key: &Dyn, value: &Dyn, timestamp: i64) -> Done {
        send(ctx, None, (key, value), timestamp, self.headers)
    }

    fn again(&self, ctx: &Context<'_>) -> Done {
        // The record itself, though under other types.
        let value = nullable(self.value.clone());
        let same = Record::new(&self.key, &value, self.timestamp, self.headers).sharing_headers();
        Ok(ctx.forward(same)?)
    }

    fn with_value(&self, ctx: &Context<'_>, value: &Dyn) -> Done {
        self.forward(ctx, &self.key, value, self.timestamp)
    }

    fn with_text(&self, ctx: &Context<'_>, text: String) -> Done {
        self.with_value(ctx, &Dyn::Text(text))
    }

    fn present(&self) -> Option<&Dyn> {
        (!self.value.is_null()).then_some(&self.value)
    }
}

/// Forwards to all children, or to that one.
fn send(ctx: &Context<'_>, child: Option<&str>, (key, value): (&Dyn, &Dyn), timestamp: i64, headers: &Headers) -> Done {
    let value = nullable(value.clone());
    let record = Record::new(key, &value, timestamp, headers);
    match child {
        Some(child) => ctx.forward_to(child, record)?,
        None => ctx.forward(record)?,
    }
    Ok(())
}

pub(crate) fn place(metadata: Option<RecordMetadata>) -> String {
    metadata.map_or_else(
        // Java shows an empty context where there is none.
        || "null/-1/-1".to_owned(),
        |m| format!("{}/{}/{}", m.topic, m.partition, m.offset),
    )
}

pub(crate) fn header_text(headers: &Headers, name: &str) -> String {
    let mut values = Vec::new();
    headers.for_each(|n, value| {
        if n == name {
            values.push(value.map_or_else(|| "null".to_owned(), |v| String::from_utf8_lossy(v).into_owned()));
        }
    });
    if values.is_empty() {
        "none".to_owned()
    } else {
        values.join(",")
    }
}

impl<K: Like, V: Like> Stock<K, V> {
    /// Refuses unknown processors.
    pub(crate) fn supplier(a: Args<'_>) -> Result<impl Fn() -> Self + Send + Sync + 'static, String> {
        let name = a.need("processor")?;
        if !KNOWN.contains(&name) {
            return Err(format!("unknown processor: {name}"));
        }
        let key = a.text("key").map(Expr::parse).transpose()?.map(Arc::new);
        let step = Arc::new(a.0.clone());
        Ok(move || Self {
            step: step.clone(),
            key: key.clone(),
            timer: None,
            ticks: 0,
            of: PhantomData,
        })
    }

    fn args(&self) -> Args<'_> {
        Args(&self.step)
    }

    fn kind(&self) -> &str {
        self.args().text_or("processor", "")
    }

    fn store(&self) -> &str {
        let named = self.args().text_or("store_name", "");
        self.args().list("stores").first().copied().unwrap_or(named)
    }

    fn schedule(&mut self, ctx: &Context<'_>) -> Done {
        let kind = match self.args().text("type") {
            Some("wall-clock") => PunctuationType::WallClock,
            _ => PunctuationType::StreamTime,
        };
        self.timer = Some(ctx.schedule(millis(self.args().long_or("interval_ms", 1000)), kind)?);
        Ok(())
    }

    fn stateful(&self, ctx: &Context<'_>, r: &Seen<'_>) -> Done {
        let key_value = || ctx.store::<KeyValueStore<Dyn, Dyn>>(self.store());
        match self.kind() {
            "count" => {
                let store = key_value()?;
                let next = Dyn::Long(store.get(&r.key)?.map_or(Ok(0), |n| n.number())? + 1);
                store.put(&r.key, &next)?;
                r.with_value(ctx, &next)
            }
            "dedup" => {
                let store = key_value()?;
                if store.get(&r.key)?.unwrap_or(Dyn::Null) != r.value {
                    store.put(&r.key, &r.value)?;
                    r.again(ctx)?;
                }
                Ok(())
            }
            "put-if-absent" => {
                let old = key_value()?.put_if_absent(&r.key, &r.value)?;
                r.with_text(ctx, old.unwrap_or(Dyn::Null).text())
            }
            "store-put-timestamped" => {
                let row = Kept {
                    key: &r.key,
                    value: r.present(),
                    timestamp: r.timestamp + self.args().long_or("delta", 0),
                    headers: &self.kept_headers(r),
                };
                put_timestamped(ctx, self.store(), &row)
            }
            "lookup" => r.with_text(
                ctx,
                format!("{}+{}", r.value.text(), stored(ctx, self.store(), &r.key)?),
            ),
            "scan" => self.scan(ctx, r),
            "window-put" | "session-put" => self.windowed(ctx, r),
            "versioned-put" | "versioned-delete" => self.versioned(ctx, r),
            _ => Ok(key_value()?.put(&r.key, &r.value)?),
        }
    }

    fn scan(&self, ctx: &Context<'_>, r: &Seen<'_>) -> Done {
        let store = ctx.store::<KeyValueStore<Dyn, Dyn>>(self.store())?;
        let bound = |field: &str| self.args().text(field).map(Dyn::of_text);
        let (lo, hi) = (bound("lo"), bound("hi"));
        let rows: Vec<(Dyn, Dyn)> = match self.args().text_or("mode", "all") {
            "all" => store.all().collect::<Result<_, _>>()?,
            "reverse-all" => store.reverse_range(None, None)?.collect::<Result<_, _>>()?,
            "range" => store.range(lo.as_ref(), hi.as_ref())?.collect::<Result<_, _>>()?,
            "reverse-range" => store
                .reverse_range(lo.as_ref(), hi.as_ref())?
                .collect::<Result<_, _>>()?,
            _ => store
                .prefix(self.args().text_or("lo", "").as_bytes())
                .collect::<Result<_, _>>()?,
        };
        rows.iter()
            .try_for_each(|(key, value)| r.forward(ctx, key, value, r.timestamp))
    }

    /// Headers of a row: those of the record, and one more where the step says so.
    fn kept_headers(&self, r: &Seen<'_>) -> Headers {
        let headers = r.headers.clone();
        if let Some(name) = self.args().text("header") {
            headers.add(name, self.args().text("header_value").map(str::as_bytes));
        }
        headers
    }

    fn windowed(&self, ctx: &Context<'_>, r: &Seen<'_>) -> Done {
        let value = r.present();
        let row = Kept {
            key: &r.key,
            value,
            timestamp: r.timestamp + self.args().long_or("delta", 0),
            headers: &self.kept_headers(r),
        };
        let parts = if self.kind() == "window-put" {
            let from = r.timestamp - self.args().long_or("back_ms", 0);
            let to = r.timestamp + self.args().long_or("ahead_ms", 0);
            put_window(ctx, self.store(), &row, r.timestamp, (from, to))?
        } else {
            let start = r.timestamp - self.args().long_or("length_ms", 0);
            let end = r.timestamp;
            put_session(ctx, self.store(), &row, Window { start, end })?
        };
        r.with_text(ctx, parts.join(" "))
    }

    fn versioned(&self, ctx: &Context<'_>, r: &Seen<'_>) -> Done {
        let store = ctx.store::<VersionedKeyValueStore<Dyn, Dyn>>(self.store())?;
        let text = if self.kind() == "versioned-put" {
            match store.put(&r.key, r.present(), r.timestamp)? {
                -1 => "undefined".to_owned(),
                i64::MIN => "not-put".to_owned(),
                end => end.to_string(),
            }
        } else {
            let old = store.delete(&r.key, r.timestamp)?;
            old.map_or_else(
                || "none".to_owned(),
                |old| format!("{}@{}", old.value.text(), old.valid_from),
            )
        };
        r.with_text(ctx, text)
    }

    fn headers(&self, ctx: &Context<'_>, r: &Seen<'_>) -> Done {
        let name = self.args().text_or("header", "");
        let value = self.args().text_or("header_value", "").as_bytes();
        match self.kind() {
            "add-header" => {
                r.headers.add(name, Some(value));
                r.again(ctx)
            }
            "copy-then-add-header" => {
                let copy = r.headers.clone();
                copy.add(name, Some(value));
                send(ctx, None, (&r.key, &r.value), r.timestamp, &copy)
            }
            "remove-header" => {
                r.headers.remove(name);
                r.again(ctx)
            }
            "drop-headers" => send(ctx, None, (&r.key, &r.value), r.timestamp, &Headers::new()),
            _ => r.with_text(ctx, header_text(r.headers, name)),
        }
    }

    fn route(&self, ctx: &Context<'_>, r: &Seen<'_>) -> Done {
        for (prefix, child) in self
            .args()
            .get("routes")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            if r.value.text().starts_with(prefix.as_str()) {
                let child = child.as_str().unwrap_or_default();
                send(ctx, Some(child), (&r.key, &r.value), r.timestamp, r.headers)?;
            }
        }
        Ok(())
    }
}

impl<K: Like, V: Like> Processor<K, V, Dyn, Nullable> for Stock<K, V> {
    fn init(&mut self, ctx: &Context<'_>) -> Done {
        if matches!(self.kind(), "tick" | "last-and-flush" | "punctuate-where") {
            self.schedule(ctx)?;
        }
        Ok(())
    }

    fn process(&mut self, ctx: &Context<'_>, r: Record<'_, K, V>) -> Done {
        let seen = Seen {
            key: r.key.to_dyn(),
            value: r.value.to_dyn(),
            timestamp: r.timestamp,
            headers: r.headers,
        };
        match self.kind() {
            "forward" | "tick" => seen.again(ctx),
            "duplicate" => (0..self.args().long_or("times", 2)).try_for_each(|_| seen.again(ctx)),
            "route" => self.route(ctx, &seen),
            "metadata" => seen.with_text(ctx, format!("{}/{}", place(ctx.record_metadata()), r.timestamp)),
            "times" => seen.with_text(
                ctx,
                format!("stream={},wall={}", ctx.stream_time_ms(), ctx.wall_clock_ms()),
            ),
            "shift-time" => seen.forward(
                ctx,
                &seen.key,
                &seen.value,
                r.timestamp + self.args().long_or("delta", 0),
            ),
            "set-key" => match &self.key {
                Some(expr) => {
                    let key = expr.apply(&seen.key, &seen.value)?;
                    seen.forward(ctx, &key, &seen.value, r.timestamp)
                }
                None => Err(FunctionFailed("set-key without key".into()).into()),
            },
            "commit" => {
                ctx.commit();
                seen.again(ctx)
            }
            "schedule-on-record" => {
                if self.timer.is_none() {
                    self.schedule(ctx)?;
                }
                Ok(())
            }
            "punctuate-where" => Ok(()),
            "fail-if" if self.args().text("text") == Some(&seen.value.text()) => {
                Err(FunctionFailed("fail-if".into()).into())
            }
            "fail-if" => seen.again(ctx),
            "add-header" | "copy-then-add-header" | "remove-header" | "drop-headers" | "read-header" => {
                self.headers(ctx, &seen)
            }
            _ => self.stateful(ctx, &seen),
        }
    }

    fn punctuate(&mut self, ctx: &Context<'_>, punctuation: Punctuation) -> Done {
        let time = punctuation.timestamp;
        let none = Headers::new();
        self.ticks += 1;
        match self.kind() {
            "punctuate-where" => {
                let place = place(ctx.record_metadata());
                let text = format!("{place},stream={},wall={}", ctx.stream_time_ms(), ctx.wall_clock_ms());
                send(ctx, None, (&Dyn::of_text("where"), &Dyn::Text(text)), time, &none)?;
            }
            "last-and-flush" => {
                let store = ctx.store::<KeyValueStore<Dyn, Dyn>>(self.store())?;
                let rows: Vec<(Dyn, Dyn)> = store.all().collect::<Result<_, _>>()?;
                for (key, value) in rows {
                    send(ctx, None, (&key, &value), time, &none)?;
                    store.delete(&key)?;
                }
            }
            _ => {
                let text = Dyn::Text(format!("at={time},n={}", self.ticks));
                send(ctx, None, (&Dyn::of_text("tick"), &text), time, &none)?;
                let last = self.args().long("cancel_after").is_some_and(|n| self.ticks >= n);
                if let Some(timer) = self.timer.as_ref().filter(|_| last) {
                    timer.cancel();
                }
            }
        }
        Ok(())
    }
}
