//! Typed reads from one JSON object of a case; absent and null fields mean the same.
use serde_json::Value as Json;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a>(pub(crate) &'a Json);

impl<'a> Args<'a> {
    pub(crate) fn get(self, field: &str) -> Option<&'a Json> {
        self.0.get(field).filter(|v| !v.is_null())
    }

    pub(crate) fn has(self, field: &str) -> bool {
        self.get(field).is_some()
    }

    pub(crate) fn text(self, field: &str) -> Option<&'a str> {
        self.get(field).and_then(Json::as_str)
    }

    pub(crate) fn text_or(self, field: &str, default: &'a str) -> &'a str {
        self.text(field).unwrap_or(default)
    }

    pub(crate) fn need(self, field: &str) -> Result<&'a str, String> {
        self.text(field)
            .ok_or_else(|| format!("field {field} is missing in {}", self.0))
    }

    pub(crate) fn long(self, field: &str) -> Option<i64> {
        self.get(field).and_then(Json::as_i64)
    }

    pub(crate) fn long_or(self, field: &str, default: i64) -> i64 {
        self.long(field).unwrap_or(default)
    }

    pub(crate) fn flag(self, field: &str) -> Option<bool> {
        self.get(field).and_then(Json::as_bool)
    }

    pub(crate) fn part(self, field: &str) -> Option<Args<'a>> {
        self.get(field).map(Args)
    }

    /// A list of texts, or one text as a list of one.
    pub(crate) fn list(self, field: &str) -> Vec<&'a str> {
        match self.get(field) {
            Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect(),
            Some(Json::String(one)) => vec![one],
            Some(_) | None => Vec::new(),
        }
    }

    /// Refuses fields that nobody would read.
    pub(crate) fn only(self, known: &[&str]) -> Result<(), String> {
        match self
            .0
            .as_object()
            .into_iter()
            .flatten()
            .find(|(name, v)| !v.is_null() && !known.contains(&name.as_str()))
        {
            Some((name, _)) => Err(format!("unknown field {name} in {}", self.0)),
            None => Ok(()),
        }
    }
}
