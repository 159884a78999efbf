//! The text of Java's `Topology.describe()`, character by character.
use std::{cmp::Ordering, fmt::Write as _};

use super::{
    SinkTarget, SourceTopics,
    java_hash::{java_bucket, java_capacity, java_set_order},
    java_tree::JavaTree,
    node::{Node, NodeKind},
};

pub(super) fn describe(nodes: &[Node], groups: &[Vec<usize>]) -> String {
    let mut order = Order {
        nodes,
        sizes: vec![1; nodes.len()],
        links: vec![Links::default(); nodes.len()],
    };
    let mut out = String::from("Topologies:\n ");
    for (id, members) in groups.iter().enumerate() {
        order.link(members);
        let global = members.iter().filter_map(|i| nodes.get(*i)).any(Node::is_global_source);
        let suffix = if global {
            " for global store (will not generate tasks)"
        } else {
            ""
        };
        let _ = writeln!(out, "  Sub-topology: {id}{suffix}");
        for index in order.sorted(members) {
            order.describe(index, &mut out);
        }
        // Java sets a blank line behind a sub-topology, but none behind a global store.
        if !global {
            out.push('\n');
        }
    }
    out
}

/// Neighbours of a node in the order in which Java prints them.
#[derive(Clone, Default)]
struct Links {
    parents: JavaTree,
    children: JavaTree,
}

struct Order<'a> {
    nodes: &'a [Node],
    /// Nodes below, each counted once per path, plus one: what Java calls the size of a node.
    sizes: Vec<u64>,
    links: Vec<Links>,
}

impl Order<'_> {
    /// Links the nodes of a group as Java does: in the order of a `HashMap`, into sets sorted by sizes that still grow.
    /// Neighbours therefore stand where they belonged when they were linked, which is part of the text.
    fn link(&mut self, members: &[usize]) {
        let mut order: Vec<usize> = members.to_vec();
        let capacity = java_capacity(order.len());
        order.sort_by_key(|i| self.nodes.get(*i).map(|n| java_bucket(&n.name, capacity)));
        for node in order {
            let parents = self.nodes.get(node).map(|n| n.parents.clone()).unwrap_or_default();
            for parent in parents {
                self.insert(node, parent, |links| &mut links.parents);
                self.insert(parent, node, |links| &mut links.children);
                self.grow(parent, self.sizes.get(node).copied().unwrap_or_default());
            }
        }
    }
    fn insert(&mut self, at: usize, new: usize, set: fn(&mut Links) -> &mut JavaTree) {
        let Some(mut tree) = self.links.get_mut(at).map(|links| std::mem::take(set(links))) else {
            return;
        };
        tree.insert(new, |a, b| self.compare(a, b));
        if let Some(links) = self.links.get_mut(at) {
            *set(links) = tree;
        }
    }
    fn grow(&mut self, node: usize, by: u64) {
        if let Some(size) = self.sizes.get_mut(node) {
            *size = size.saturating_add(by);
        }
        for parent in self.links.get(node).map(|l| l.parents.in_order()).unwrap_or_default() {
            self.grow(parent, by);
        }
    }
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let name = |i: usize| self.nodes.get(i).map(|n| &n.name);
        self.sizes
            .get(b)
            .cmp(&self.sizes.get(a))
            .then_with(|| name(a).cmp(&name(b)))
    }
    fn sorted(&self, indices: &[usize]) -> Vec<usize> {
        let mut sorted: Vec<usize> = indices.to_vec();
        sorted.sort_by(|a, b| self.compare(*a, *b));
        sorted
    }
    fn names(&self, indices: &[usize]) -> String {
        if indices.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<&str> = indices
            .iter()
            .filter_map(|i| self.nodes.get(*i))
            .map(|n| &*n.name)
            .collect();
        names.join(", ")
    }
    fn describe(&self, index: usize, out: &mut String) {
        let (Some(node), Some(links)) = (self.nodes.get(index), self.links.get(index)) else {
            return;
        };
        let (children, parents) = (
            self.names(&links.children.in_order()),
            self.names(&links.parents.in_order()),
        );
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
                let stores = java_set_order(&node.stores).join(", ");
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
