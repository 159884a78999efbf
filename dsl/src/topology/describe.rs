//! The text of Java's `Topology.describe()`, character by character.
use std::fmt::Write as _;

use super::{
    SinkTarget, SourceTopics,
    node::{Node, NodeKind},
};

pub(super) fn describe(nodes: &[Node], groups: &[Vec<usize>]) -> String {
    let sizes = sizes(nodes);
    let order = Order { nodes, sizes: &sizes };
    let mut out = String::from("Topologies:\n ");
    for (id, members) in groups.iter().enumerate() {
        let global = members.iter().filter_map(|i| nodes.get(*i)).any(Node::is_global_source);
        let suffix = if global {
            " for global store (will not generate tasks)"
        } else {
            ""
        };
        // Java sets the blank line of a sub-topology behind it and gives a global store none of its own.
        let _ = write!(out, "  Sub-topology: {id}{suffix}\n");
        if global {
            for index in members {
                order.describe(*index, &mut out);
            }
        } else {
            for index in order.sorted(members) {
                order.describe(index, &mut out);
            }
            out.push('\n');
        }
    }
    out
}

/// Nodes below, each counted once per path, plus one: what Java calls the size of a node.
fn sizes(nodes: &[Node]) -> Vec<u64> {
    let mut sizes = vec![1u64; nodes.len()];
    for index in (0..nodes.len()).rev() {
        let below: u64 = nodes
            .get(index)
            .map(|n| {
                n.children
                    .iter()
                    .filter_map(|c| sizes.get(*c))
                    .fold(0, |sum, s| u64::saturating_add(sum, *s))
            })
            .unwrap_or_default();
        if let Some(size) = sizes.get_mut(index) {
            *size = size.saturating_add(below);
        }
    }
    sizes
}

struct Order<'a> {
    nodes: &'a [Node],
    sizes: &'a [u64],
}
impl Order<'_> {
    fn sorted(&self, indices: &[usize]) -> Vec<usize> {
        let mut sorted: Vec<usize> = indices.to_vec();
        let name = |i: &usize| self.nodes.get(*i).map(|n| &n.name);
        let size = |i: &usize| self.sizes.get(*i).copied().unwrap_or_default();
        sorted.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| name(a).cmp(&name(b))));
        sorted
    }
    fn names(&self, indices: &[usize]) -> String {
        if indices.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<&str> = self
            .sorted(indices)
            .into_iter()
            .filter_map(|i| self.nodes.get(i))
            .map(|n| &*n.name)
            .collect();
        names.join(", ")
    }
    fn describe(&self, index: usize, out: &mut String) {
        let Some(node) = self.nodes.get(index) else { return };
        let (children, parents) = (self.names(&node.children), self.names(&node.parents));
        let name = &node.name;
        let _ = match &node.kind {
            NodeKind::Source { topics, .. } => {
                let topics = match topics {
                    SourceTopics::Names(names) => format!("[{}]", java_set_order(names).join(", ")),
                    SourceTopics::Internal(topic) => format!("[{}]", topic.name),
                    SourceTopics::Pattern(pattern) => pattern.to_string(),
                };
                write!(out, "    Source: {name} (topics: {topics})\n      --> {children}\n")
            }
            NodeKind::Processor { .. } => {
                let mut stores: Vec<&str> = node.stores.iter().map(|s| &**s).collect();
                stores.sort_unstable();
                let stores = stores.join(", ");
                write!(
                    out,
                    "    Processor: {name} (stores: [{stores}])\n      --> {children}\n      <-- {parents}\n"
                )
            }
            NodeKind::Sink { target, .. } => {
                let target = match target {
                    SinkTarget::Topic(topic) => format!("topic: {topic}"),
                    SinkTarget::Internal(topic) => format!("topic: {}", topic.name),
                    SinkTarget::Dynamic(text) => format!("extractor class: {text}"),
                };
                write!(out, "    Sink: {name} ({target})\n      <-- {parents}\n")
            }
        };
    }
}

/// Java prints the topics of a source in the order of a `HashSet<String>`, and people keep such texts in tests.
fn java_set_order(names: &[std::sync::Arc<str>]) -> Vec<&str> {
    let mut capacity = 16;
    while names.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let bucket = |name: &str| {
        let hash = name
            .encode_utf16()
            .fold(0i32, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit))) as u32;
        (hash ^ (hash >> 16)) as usize & (capacity - 1)
    };
    let mut sorted: Vec<&str> = names.iter().map(|n| &**n).collect();
    sorted.sort_by_key(|name| bucket(name));
    sorted
}
