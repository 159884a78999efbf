//! The topology for tools: as JSON, and as a Mermaid flowchart.
use std::{fmt::Write as _, sync::Arc};

use serde_json::{Value as Json, json};

use super::{
    SinkTarget, SourceTopics, TopologyData,
    node::{Node, NodeKind},
};

/// The sub-topologies of a topology with their nodes, global ones included, by id.
fn parts(data: &TopologyData) -> Vec<(u32, bool, &[usize])> {
    let tasks = data.subtopologies.iter().map(|s| (s.id, false, s.nodes.as_slice()));
    let globals = data.globals.iter().map(|(id, nodes)| (*id, true, nodes.as_slice()));
    let mut parts: Vec<_> = tasks.chain(globals).collect();
    parts.sort_by_key(|(id, ..)| *id);
    parts
}

fn names(data: &TopologyData, indices: &[usize]) -> Vec<Arc<str>> {
    let nodes = indices.iter().filter_map(|i| data.nodes.get(*i));
    nodes.map(|n| n.name.clone()).collect()
}

pub(super) fn json(data: &TopologyData) -> String {
    let parts = parts(data).into_iter().map(|(id, global, nodes)| {
        let nodes = nodes.iter().filter_map(|i| data.nodes.get(*i));
        let nodes: Vec<_> = nodes.map(|node| json_node(data, node)).collect();
        json!({"id": id, "global": global, "nodes": nodes})
    });
    let definitions = data.subtopologies.iter().flat_map(|s| &s.stores);
    let stores = definitions.chain(&data.global_stores).map(|store| {
        json!({
            "name": &*store.spec.name,
            "changelog": store.changelog.as_ref().map(|topic| &*topic.name),
            "source_changelog": store.source_changelog.as_deref(),
        })
    });
    json!({"subtopologies": parts.collect::<Vec<_>>(), "stores": stores.collect::<Vec<_>>()}).to_string()
}

fn json_node(data: &TopologyData, node: &Node) -> Json {
    let mut out = json!({
        "name": &*node.name,
        "predecessors": texts(&names(data, &node.parents)),
        "successors": texts(&names(data, &node.children)),
    });
    let (kind, field, value) = match &node.kind {
        NodeKind::Source { topics, .. } => match topics {
            SourceTopics::Names(names) => ("source", "topics", texts(names)),
            SourceTopics::Internal(topic) => ("source", "topics", json!([&*topic.name])),
            SourceTopics::Pattern(pattern) => ("source", "pattern", json!(&**pattern)),
        },
        NodeKind::Processor { .. } => ("processor", "stores", texts(&node.stores)),
        NodeKind::Sink { target, .. } => match target {
            SinkTarget::Topic(topic) => ("sink", "topic", json!(&**topic)),
            SinkTarget::Internal(topic) => ("sink", "topic", json!(&*topic.name)),
            SinkTarget::Dynamic(text) => ("sink", "topic_chosen_by", json!(&**text)),
        },
    };
    if let Some(fields) = out.as_object_mut() {
        fields.insert("type".into(), json!(kind));
        fields.insert(field.into(), value);
    }
    out
}

fn texts(names: &[Arc<str>]) -> Json {
    json!(names.iter().map(|n| &**n).collect::<Vec<_>>())
}

pub(super) fn mermaid(data: &TopologyData) -> String {
    let mut drawing = Drawing {
        out: String::from("flowchart TD\n"),
        topics: Vec::new(),
        stores: Vec::new(),
        edges: String::new(),
    };
    for (id, global, nodes) in parts(data) {
        let title = if global { " (global)" } else { "" };
        let _ = writeln!(drawing.out, "  subgraph s{id}[\"Sub-topology {id}{title}\"]");
        for index in nodes {
            if let Some(node) = data.nodes.get(*index) {
                drawing.node(*index, node);
            }
        }
        drawing.out.push_str("  end\n");
    }
    drawing.finish()
}

/// Topics and stores are drawn once, outside of the sub-topologies that share them.
struct Drawing {
    out: String,
    topics: Vec<Arc<str>>,
    stores: Vec<Arc<str>>,
    edges: String,
}

impl Drawing {
    fn node(&mut self, index: usize, node: &Node) {
        let _ = writeln!(self.out, "    n{index}[\"{}\"]", escape(&node.name));
        for child in &node.children {
            let _ = writeln!(self.edges, "  n{index} --> n{child}");
        }
        for store in &node.stores {
            let place = place_of(&mut self.stores, store);
            let _ = writeln!(self.edges, "  n{index} -.- d{place}");
        }
        match &node.kind {
            NodeKind::Source { topics, .. } => {
                for topic in topics.refs() {
                    let place = place_of(&mut self.topics, topic.name());
                    let _ = writeln!(self.edges, "  t{place} --> n{index}");
                }
            }
            NodeKind::Processor { .. } => {}
            NodeKind::Sink { target, .. } => {
                let topic = match target {
                    SinkTarget::Topic(name) | SinkTarget::Dynamic(name) => name,
                    SinkTarget::Internal(topic) => &topic.name,
                };
                let place = place_of(&mut self.topics, topic);
                let _ = writeln!(self.edges, "  n{index} --> t{place}");
            }
        }
    }

    fn finish(mut self) -> String {
        for (place, topic) in self.topics.iter().enumerate() {
            let _ = writeln!(self.out, "  t{place}([\"{}\"])", escape(topic));
        }
        for (place, store) in self.stores.iter().enumerate() {
            let _ = writeln!(self.out, "  d{place}[(\"{}\")]", escape(store));
        }
        self.out + &self.edges
    }
}

fn place_of(all: &mut Vec<Arc<str>>, name: &Arc<str>) -> usize {
    all.iter().position(|known| known == name).unwrap_or_else(|| {
        all.push(name.clone());
        all.len() - 1
    })
}

/// Patterns and texts of users may hold what Mermaid reads as its own.
fn escape(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;")
}
