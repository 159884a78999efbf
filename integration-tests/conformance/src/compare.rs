//! Does a result equal what was recorded? One rule per section of the case format, section 7.
use serde_json::Value as Json;

pub(crate) const SECTIONS: [&str; 11] = [
    "error",
    "outputs",
    "dropped",
    "peeks",
    "branches",
    "reads",
    "stores",
    "describe",
    "subtopologies",
    "copartition",
    "internal",
];

/// The sections that differ, each with a readable difference.
pub(crate) fn compare(case: &Json, result: &Json) -> Vec<(&'static str, String)> {
    let expected = &case["expected"];
    SECTIONS
        .into_iter()
        .filter_map(|section| {
            let (want, got) = (&expected[section], &result[section]);
            difference(section, want, got, case).map(|text| (section, text))
        })
        .collect()
}

fn difference(section: &str, want: &Json, got: &Json, case: &Json) -> Option<String> {
    match section {
        "error" => {
            let bare = |e: &Json| (!e.is_null()).then(|| (e["phase"].clone(), e["at"].clone(), e["category"].clone()));
            (bare(want) != bare(got)).then(|| format!("expected {} but got {}", short(want), short(got)))
        }
        "outputs" => records(list(want), list(got)),
        "internal" => internal(want, got, case),
        _ => values("", want, got),
    }
}

fn list(json: &Json) -> Vec<&Json> {
    json.as_array().map(|items| items.iter().collect()).unwrap_or_default()
}

fn internal(want: &Json, got: &Json, case: &Json) -> Option<String> {
    let names = |json: &Json| {
        json.as_object()
            .map(|o| o.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    let (mut want_names, mut got_names) = (names(want), names(got));
    want_names.sort();
    got_names.sort();
    if want_names != got_names {
        return Some(format!("expected topics {want_names:?} but got {got_names:?}"));
    }
    want_names.iter().find_map(|topic| {
        let (mut w, mut g) = (list(&want[topic]), list(&got[topic]));
        if is_suppress_changelog(topic, case) {
            let order = |r: &&Json| (r["at"].as_i64(), r["key64"].as_str().unwrap_or_default().to_owned());
            w.sort_by_key(order);
            g.sort_by_key(order);
        }
        records(w, g).map(|text| format!("{topic}: {text}"))
    })
}

fn is_suppress_changelog(topic: &str, case: &Json) -> bool {
    topic.contains("SUPPRESS-STATE-STORE")
        || list(&case["topology"]).iter().any(|step| {
            step["op"] == "suppress"
                && step["name"]
                    .as_str()
                    .is_some_and(|name| topic.ends_with(&format!("-{name}-store-changelog")))
        })
}

fn records(want: Vec<&Json>, got: Vec<&Json>) -> Option<String> {
    for i in 0..want.len().max(got.len()) {
        match (want.get(i), got.get(i)) {
            (Some(w), Some(g)) if same_record(w, g) => {}
            (Some(w), Some(g)) => return Some(format!("record {i}: expected {} but got {}", short(w), short(g))),
            (Some(w), None) => return Some(format!("record {i} is missing: {}", short(w))),
            (None, Some(g)) => return Some(format!("record {i} is too much: {}", short(g))),
            (None, None) => {}
        }
    }
    None
}

fn same_record(want: &Json, got: &Json) -> bool {
    let (w, g) = (list(&want["headers"]), list(&got["headers"]));
    ["at", "topic", "ts", "key64", "value64"]
        .iter()
        .all(|field| want[field] == got[field])
        && w.len() == g.len()
        && w.iter()
            .zip(&g)
            .all(|(w, g)| w[0] == g[0] && (w[1] == "*" || w[1] == g[1]))
}

fn empty(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// The first place where two values differ; numbers are equal by value.
fn values(at: &str, want: &Json, got: &Json) -> Option<String> {
    match (want, got) {
        _ if at.is_empty() && empty(want) && empty(got) => None,
        (Json::Object(w), Json::Object(g)) => {
            let missing = w
                .iter()
                .find_map(|(name, value)| values(&format!("{at}/{name}"), value, g.get(name).unwrap_or(&Json::Null)));
            missing.or_else(|| {
                g.iter()
                    .find(|(name, _)| !w.contains_key(*name))
                    .map(|(name, v)| format!("{at}/{name} is too much: {}", short(v)))
            })
        }
        (Json::Array(w), Json::Array(g)) => (0..w.len().max(g.len())).find_map(|i| match (w.get(i), g.get(i)) {
            (Some(w), Some(g)) => values(&format!("{at}/{i}"), w, g),
            (Some(w), None) => Some(format!("{at}/{i} is missing: {}", short(w))),
            (None, Some(g)) => Some(format!("{at}/{i} is too much: {}", short(g))),
            (None, None) => None,
        }),
        (Json::Number(w), Json::Number(g)) if w.as_f64() == g.as_f64() && w.as_i64() == g.as_i64() => None,
        _ if want == got => None,
        _ => Some(format!("{at}: expected {} but got {}", short(want), short(got))),
    }
}

fn short(json: &Json) -> String {
    let text = json.to_string();
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
