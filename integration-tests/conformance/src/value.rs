//! The dynamic value of a case: what a topic's key or value may be.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value as Json, json};

/// A key or value of a case. Case format, section 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dyn {
    Null,
    Text(String),
    Long(i64),
    Int(i32),
    Double(f64),
    Bytes(Vec<u8>),
    Windowed { key: Box<Dyn>, start: i64, end: i64 },
}

/// A function of a case that failed, as one of a user may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FunctionFailed(pub String);

impl Dyn {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn of_text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// `text(x)` of the case format.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Text(s) => s.clone(),
            Self::Long(n) => n.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Double(n) => double_text(*n),
            Self::Bytes(b) => format!("bytes({})", b.len()),
            Self::Windowed { key, start, end } => format!("[{}@{start}/{end}]", key.text()),
        }
    }

    /// `num(x)` of the case format.
    pub(crate) fn number(&self) -> Result<i64, FunctionFailed> {
        match self {
            Self::Null => Ok(0),
            Self::Long(n) => Ok(*n),
            Self::Int(n) => Ok(i64::from(*n)),
            #[expect(clippy::cast_possible_truncation, reason = "as Java's longValue")]
            Self::Double(n) => Ok(*n as i64),
            Self::Text(s) => s.parse().map_err(|_| FunctionFailed(format!("not a number: {s}"))),
            other => Err(FunctionFailed(format!("not a number: {}", other.text()))),
        }
    }

    /// The JSON form of results.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Text(s) => json!(s),
            Self::Long(n) => json!(n),
            Self::Int(n) => json!(n),
            Self::Double(n) => json!(n),
            Self::Bytes(b) => json!(base64(b)),
            Self::Windowed { key, start, end } => json!({"key": key.to_json(), "start": start, "end": end}),
        }
    }

    /// A value of an event, by the serde of its topic.
    pub(crate) fn from_json(json: &Json, serde: &str) -> Result<Self, String> {
        let wrong = || format!("{json} is no {serde}");
        if json.is_null() {
            return Ok(Self::Null);
        }
        match serde {
            "long" => json.as_i64().map(Self::Long).ok_or_else(wrong),
            "int" => json
                .as_i64()
                .and_then(|n| i32::try_from(n).ok())
                .map(Self::Int)
                .ok_or_else(wrong),
            "double" => json.as_f64().map(Self::Double).ok_or_else(wrong),
            "bytes" => unbase64(json.as_str().ok_or_else(wrong)?).map(Self::Bytes),
            _ => Ok(Self::Text(
                json.as_str().map_or_else(|| json.to_string(), str::to_owned),
            )),
        }
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn unbase64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| format!("{text}: {e}"))
}

/// Decimal text of a double as Java prints the plain range (1.0, 0.25); enough for the numbers of cases.
fn double_text(n: f64) -> String {
    if n == n.trunc() && n.abs() < 1e7 {
        format!("{n:.1}")
    } else {
        n.to_string()
    }
}
