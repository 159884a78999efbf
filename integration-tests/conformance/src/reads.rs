//! Reading stores: the reads of events, and the contents of all stores at the end of a run.
use std::rc::Rc;

use millstream_dsl::{
    driver::TopologyTestDriver,
    engine::{StoreDefinition, Topology},
};
use millstream_state::{
    KeyValueStore, SessionRow, SessionStore, StateError, StoreKind, TaskState, VersionedRow, WindowRow, WindowStore,
};
use serde_json::{Map, Value as Json, json};

use crate::{
    arguments::Args,
    serdes::SerdeKind,
    steps::{Catalogue, StoreSerdes},
    value::Dyn,
};

/// Stores of joins and buffers, which results leave out.
const HIDDEN: [&str; 12] = [
    "JOINTHIS",
    "JOINOTHER",
    "OUTERTHIS",
    "OUTEROTHER",
    "OUTERSHARED",
    "LEFTSHARED",
    "-this-join-store",
    "-other-join-store",
    "shared-join-store",
    "-subscription-store",
    "FK-JOIN",
    "SUPPRESS",
];
const HIDDEN_TOO: [&str; 2] = ["KSTREAM-JOIN-", "KSTREAM-LEFTJOIN-"];

type Rows = Result<Vec<Json>, String>;

fn failed(error: StateError) -> String {
    format!("store failed: {error}")
}

fn decoded(serde: &SerdeKind, bytes: &[u8]) -> Result<Json, String> {
    Ok(serde.lenient().decode(bytes).map_err(|e| e.to_string())?.to_json())
}

/// A row; the timestamp is left out where the store has none.
fn row(cells: Vec<Json>, timestamped: bool, timestamp: i64) -> Json {
    let mut cells = cells;
    if timestamped {
        cells.push(json!(timestamp));
    }
    Json::Array(cells)
}

struct View<'a> {
    serdes: &'a StoreSerdes,
    timestamped: bool,
    window_size_ms: i64,
}

impl View<'_> {
    fn key_value(&self, rows: impl Iterator<Item = millstream_state::Result<millstream_state::Row>>) -> Rows {
        rows.map(|r| {
            let r = r.map_err(failed)?;
            let cells = vec![
                decoded(&self.serdes.key, &r.key)?,
                decoded(&self.serdes.value, &r.value)?,
            ];
            Ok(row(cells, self.timestamped, r.timestamp))
        })
        .collect()
    }

    fn windows(&self, rows: impl Iterator<Item = millstream_state::Result<WindowRow>>, one_key: bool) -> Rows {
        rows.map(|r| {
            let r = r.map_err(failed)?;
            let value = decoded(&self.serdes.value, &r.value)?;
            let end = json!(r.start.saturating_add(self.window_size_ms));
            let cells = if one_key {
                vec![json!(r.start), value]
            } else {
                vec![decoded(&self.serdes.key, &r.key)?, json!(r.start), end, value]
            };
            Ok(row(cells, self.timestamped, r.timestamp))
        })
        .collect()
    }

    fn sessions(&self, rows: impl Iterator<Item = millstream_state::Result<SessionRow>>) -> Rows {
        rows.map(|r| {
            let r = r.map_err(failed)?;
            let (key, value) = (
                decoded(&self.serdes.key, &r.key)?,
                decoded(&self.serdes.value, &r.value)?,
            );
            Ok(json!([key, r.start, r.end, value]))
        })
        .collect()
    }

    fn version(&self, row: &VersionedRow) -> Result<Json, String> {
        Ok(json!([
            decoded(&self.serdes.value, &row.value)?,
            row.valid_from,
            row.valid_to
        ]))
    }
}

fn view<'a>(catalogue: &'a Catalogue, name: &str, kind: &StoreKind) -> View<'a> {
    let (timestamped, window_size_ms) = match kind {
        StoreKind::KeyValue { timestamped } | StoreKind::Lru { timestamped, .. } => (*timestamped, 0),
        StoreKind::Window {
            timestamped,
            window_size_ms,
            ..
        } => (*timestamped, *window_size_ms),
        _ => (false, 0),
    };
    View {
        serdes: catalogue.serdes(name),
        timestamped,
        window_size_ms,
    }
}

fn definitions(topology: &Topology) -> impl Iterator<Item = &StoreDefinition> {
    topology
        .subtopologies()
        .iter()
        .flat_map(|s| &s.stores)
        .chain(topology.global_stores())
}

/// The contents of all stores of which results speak.
pub(crate) fn stores(driver: &TopologyTestDriver, topology: &Topology, catalogue: &Catalogue) -> Result<Json, String> {
    let mut out = Map::new();
    for definition in definitions(topology) {
        let name = &*definition.spec.name;
        if HIDDEN.iter().chain(&HIDDEN_TOO).any(|part| name.contains(part)) {
            continue;
        }
        let view = view(catalogue, name, &definition.spec.kind);
        let state = driver.state().map_err(|e| e.to_string())?;
        let (kind, mut rows) = match &definition.spec.kind {
            StoreKind::KeyValue { .. } | StoreKind::Lru { .. } => {
                ("kv", view.key_value(key_value(state, name)?.range(None, None, false))?)
            }
            StoreKind::Window { .. } => ("window", view.windows(window(state, name)?.all(false), false)?),
            StoreKind::Session { .. } => (
                "session",
                view.sessions(session(state, name)?.find(None, None, 0, i64::MAX, false))?,
            ),
            StoreKind::Versioned { .. } | StoreKind::Raw | StoreKind::Suppress | StoreKind::RecordBuffer => continue,
        };
        if kind != "kv" {
            let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            rows.sort_by_key(|r| (text(&r[0]), r[1].as_i64(), r[2].as_i64()));
        }
        out.insert(name.to_owned(), json!({"type": kind, "rows": rows}));
    }
    Ok(Json::Object(out))
}

fn key_value(state: &TaskState, name: &str) -> Result<Rc<KeyValueStore>, String> {
    state
        .key_value(name)
        .ok_or_else(|| format!("no key-value store {name}"))
}

fn window(state: &TaskState, name: &str) -> Result<Rc<WindowStore>, String> {
    state.window(name).ok_or_else(|| format!("no window store {name}"))
}

fn session(state: &TaskState, name: &str) -> Result<Rc<SessionStore>, String> {
    state.session(name).ok_or_else(|| format!("no session store {name}"))
}

/// The arguments of a read, as bytes.
struct Query<'a> {
    args: Args<'a>,
    from: i64,
    to: i64,
    key: Option<Vec<u8>>,
    lo: Option<Vec<u8>>,
    hi: Option<Vec<u8>>,
}

impl<'a> Query<'a> {
    fn of(args: Args<'a>) -> Result<Self, String> {
        args.only(&[
            "store",
            "op",
            "key",
            "lo",
            "hi",
            "key_serde",
            "from_ms",
            "to_ms",
            "as_of_ms",
            "ascending",
        ])?;
        let name = args.text_or("key_serde", "string");
        let serde = SerdeKind::parse(name)?;
        let bytes = |field: &str| -> Result<Option<Vec<u8>>, String> {
            let Some(json) = args.get(field) else { return Ok(None) };
            let mut out = Vec::new();
            serde
                .encode(&Dyn::from_json(json, name)?, &mut out)
                .map_err(|e| e.to_string())?;
            Ok(Some(out))
        };
        Ok(Self {
            args,
            from: args.long_or("from_ms", 0),
            to: args.long_or("to_ms", i64::MAX),
            key: bytes("key")?,
            lo: bytes("lo")?,
            hi: bytes("hi")?,
        })
    }

    fn key(&self) -> Result<&[u8], String> {
        self.key
            .as_deref()
            .ok_or_else(|| format!("read without key: {}", self.args.0))
    }
}

/// One `read` event.
pub(crate) fn read(driver: &TopologyTestDriver, catalogue: &Catalogue, args: Args<'_>) -> Result<Json, String> {
    let name = args.need("store")?;
    let op = args.need("op")?;
    let query = Query::of(args)?;
    let Ok(spec) = driver.store_spec(name) else {
        return Ok(json!("no such store"));
    };
    let (state, kind) = (driver.state().map_err(|e| e.to_string())?, &spec.kind);
    let view = view(catalogue, name, kind);
    let rows = match kind {
        StoreKind::KeyValue { .. } | StoreKind::Lru { .. } => {
            return read_key_value(&key_value(state, name)?, &view, op, &query);
        }
        StoreKind::Versioned { .. } => return read_versioned(state, name, &view, op, &query),
        StoreKind::Window { .. } => {
            let store = window(state, name)?;
            let (lo, hi) = (query.lo.as_deref(), query.hi.as_deref());
            let (from, to) = (query.from, query.to);
            match op {
                "fetch-one" => {
                    let mut value = Vec::new();
                    let found = store.get(query.key()?, from, &mut value).map_err(failed)?;
                    return found.map_or(Ok(Json::Null), |timestamp| {
                        Ok(row(
                            vec![decoded(&view.serdes.value, &value)?],
                            view.timestamped,
                            timestamp,
                        ))
                    });
                }
                "fetch" => view.windows(store.fetch(query.key()?, from, to, false), true)?,
                "backward-fetch" => view.windows(store.fetch(query.key()?, from, to, true), true)?,
                "fetch-range" => view.windows(store.fetch_range(lo, hi, from, to, false), false)?,
                "fetch-all" => view.windows(store.fetch_range(None, None, from, to, false), false)?,
                "backward-fetch-all" => view.windows(store.fetch_range(None, None, from, to, true), false)?,
                "all" => view.windows(store.all(false), false)?,
                "reverse-all" => view.windows(store.all(true), false)?,
                _ => return Err(format!("unsupported: read {op} of a window store")),
            }
        }
        StoreKind::Session { .. } => {
            let store = session(state, name)?;
            let (lo, hi) = (query.lo.as_deref(), query.hi.as_deref());
            let key = query.key.as_deref();
            match op {
                "fetch" => view.sessions(store.find(key, key, 0, i64::MAX, false))?,
                "backward-fetch" => view.sessions(store.find(key, key, 0, i64::MAX, true))?,
                "fetch-range" => view.sessions(store.find(lo, hi, 0, i64::MAX, false))?,
                "find-sessions" => view.sessions(store.find(key, key, query.from, query.to, false))?,
                "fetch-session" => {
                    let mut value = Vec::new();
                    let found = store
                        .get(query.key()?, query.from, query.to, &mut value)
                        .map_err(failed)?;
                    return if found {
                        decoded(&view.serdes.value, &value)
                    } else {
                        Ok(Json::Null)
                    };
                }
                _ => return Err(format!("unsupported: read {op} of a session store")),
            }
        }
        StoreKind::Raw | StoreKind::Suppress | StoreKind::RecordBuffer => {
            return Err(format!("unsupported: read of {name}"));
        }
    };
    Ok(Json::Array(rows))
}

fn read_key_value(store: &Rc<KeyValueStore>, view: &View<'_>, op: &str, query: &Query<'_>) -> Result<Json, String> {
    let (lo, hi) = (query.lo.as_deref(), query.hi.as_deref());
    let rows = match op {
        "get" => {
            let mut value = Vec::new();
            let found = store.get(query.key()?, &mut value).map_err(failed)?;
            return found.map_or(Ok(Json::Null), |timestamp| {
                Ok(row(
                    vec![decoded(&view.serdes.value, &value)?],
                    view.timestamped,
                    timestamp,
                ))
            });
        }
        "count" => return Ok(json!(store.approximate_count().map_err(failed)?)),
        "all" => store.range(None, None, false),
        "reverse-all" => store.range(None, None, true),
        "range" => store.range(lo, hi, false),
        "reverse-range" => store.range(lo, hi, true),
        "prefix" => store.prefix(lo.unwrap_or_default()),
        _ => return Err(format!("unsupported: read {op} of a key-value store")),
    };
    view.key_value(rows).map(Json::Array)
}

fn read_versioned(state: &TaskState, name: &str, view: &View<'_>, op: &str, query: &Query<'_>) -> Result<Json, String> {
    let store = state
        .versioned(name)
        .ok_or_else(|| format!("no versioned store {name}"))?;
    let key = query.key()?;
    match op {
        "get" => {
            let found = match query.args.long("as_of_ms") {
                Some(time) => store.get_as_of(key, time),
                None => store.get(key),
            };
            // One version read alone does not say when it ended in Kafka Streams; ours does.
            let alone = found.map_err(failed)?.map(|row| VersionedRow { valid_to: None, ..row });
            alone.map_or(Ok(Json::Null), |row| view.version(&row))
        }
        "history" => {
            let from = query.args.long_or("from_ms", i64::MIN);
            let ascending = query.args.flag("ascending").unwrap_or(false);
            let rows = store.history(key, from, query.to, ascending).map_err(failed)?;
            Ok(Json::Array(
                rows.iter().map(|r| view.version(r)).collect::<Result<_, _>>()?,
            ))
        }
        _ => Err(format!("unsupported: read {op} of a versioned store")),
    }
}
