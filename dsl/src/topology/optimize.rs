//! Rewrites of the logical graph before it is written: fewer topics and stores for the same results.
//!
//! Names, node order and what is merged follow Kafka Streams, because internal topics and `describe()` depend on them.
use std::{collections::BTreeSet, rc::Rc};

use super::{Builder, GraphId, TopologyWriter, graph_node::Role};

pub(super) fn optimize(builder: &mut Builder, writer: &mut TopologyWriter) {
    let wanted = builder.config.optimizations;
    if wanted.merge_repartition_topics {
        merge_repartition_topics(builder, writer);
    }
    if wanted.single_store_self_join {
        find_self_joins(builder, writer);
    }
    find_kept_null_keys(builder, writer);
}

/// A node that changes keys, or merges streams whose keys were changed, and the repartition topics behind it.
struct Sharing {
    changer: GraphId,
    repartitions: Vec<GraphId>,
}

fn merge_repartition_topics(builder: &mut Builder, writer: &mut TopologyWriter) {
    for sharing in sharings(builder) {
        let plans: Vec<_> = sharing
            .repartitions
            .iter()
            .filter_map(|id| match &builder.nodes.get(id.0)?.role {
                Role::Repartition(plan) => Some(plan.clone()),
                _ => None,
            })
            .collect();
        let Some(first) = plans.first().cloned() else { continue };
        let Some(mut merged) = first.merged(&plans, builder) else {
            continue;
        };
        merged.priority = builder.nodes.get(sharing.changer.0).map_or(0, |n| n.priority);
        let name = merged.name.clone();
        let id = GraphId(builder.nodes.len());
        builder.nodes.push(merged);
        for old in sharing.repartitions {
            replace(builder, sharing.changer, old, id);
            if let Some(old) = builder.nodes.get(old.0) {
                writer.replaced_sources.insert(old.name.clone(), name.clone());
            }
        }
        builder.link(sharing.changer, id);
    }
}

/// Hangs the way from `changer` to the repartition node `old` behind `new`, and takes `old` out of it.
fn replace(builder: &mut Builder, changer: GraphId, old: GraphId, new: GraphId) {
    // Without one the way already starts at the new node: another repartition topic shares its beginning.
    if let Some(child) = find(builder, old, &|id| parents(builder, id).contains(&changer)) {
        builder.link(new, child);
        builder.unlink(changer, child);
    }
    let above = parents(builder, old).to_vec();
    let below = builder.nodes.get(old.0).map(|n| n.children.clone()).unwrap_or_default();
    for child in &below {
        for parent in &above {
            builder.link(*parent, *child);
        }
    }
    for parent in above {
        builder.unlink(parent, old);
    }
    for child in below {
        builder.unlink(old, child);
    }
    if let Some(node) = builder.nodes.get_mut(old.0) {
        node.removed = true;
    }
}

fn sharings(builder: &Builder) -> Vec<Sharing> {
    let mut sharings: Vec<Sharing> = Vec::new();
    let mut merges = Vec::new();
    for (index, node) in builder.nodes.iter().enumerate() {
        let id = GraphId(index);
        if node.key_changing {
            sharings.push(Sharing {
                changer: id,
                repartitions: Vec::new(),
            });
        } else if matches!(&node.role, Role::Repartition(plan) if plan.can_be_merged()) {
            if let Some(changer) = changer_of(builder, id)
                && let Some(sharing) = sharings.iter_mut().find(|s| s.changer == changer)
            {
                sharing.repartitions.push(id);
            }
        } else if node.merge {
            merges.push(id);
        }
    }
    let mut taken = BTreeSet::new();
    let mut of_merges = Vec::new();
    for merge in merges {
        let mut repartitions: Vec<GraphId> = Vec::new();
        for sharing in &sharings {
            let all_behind = sharing
                .repartitions
                .iter()
                .all(|id| find(builder, *id, &|n| parents(builder, n).contains(&merge)).is_some());
            let above = find(builder, merge, &|n| parents(builder, n).contains(&sharing.changer)).is_some();
            if all_behind && above {
                let new = sharing.repartitions.iter().filter(|id| !repartitions.contains(id));
                let new: Vec<_> = new.copied().collect();
                repartitions.extend(new);
                taken.insert(sharing.changer);
            }
        }
        of_merges.push(Sharing {
            changer: merge,
            repartitions,
        });
    }
    sharings.retain(|s| !taken.contains(&s.changer));
    sharings.extend(of_merges);
    sharings.retain(|s| !s.repartitions.is_empty());
    sharings
}

/// The node that made this repartition topic necessary, unless values change between the two.
fn changer_of(builder: &Builder, repartition: GraphId) -> Option<GraphId> {
    let is = |id: GraphId, with_values: bool| {
        let node = builder.nodes.get(id.0);
        node.is_some_and(|n| n.key_changing || (with_values && n.value_changing))
    };
    let nearest = find(builder, repartition, &|id| is(id, true))?;
    find(builder, repartition, &|id| is(id, false)).filter(|changer| *changer == nearest)
}

/// Seeks up from `start` as Kafka Streams does: the nearest parent first, else whatever the last parent leads to.
fn find(builder: &Builder, start: GraphId, wanted: &dyn Fn(GraphId) -> bool) -> Option<GraphId> {
    if wanted(start) {
        return Some(start);
    }
    let mut found = None;
    for parent in parents(builder, start) {
        if wanted(*parent) {
            return Some(*parent);
        }
        found = find(builder, *parent, wanted);
    }
    found
}

fn parents(builder: &Builder, id: GraphId) -> &[GraphId] {
    builder
        .nodes
        .get(id.0)
        .map(|n| n.parents.as_slice())
        .unwrap_or_default()
}

/// A join whose sides are one stream keeps the records once.
fn find_self_joins(builder: &mut Builder, writer: &mut TopologyWriter) {
    for index in 0..builder.nodes.len() {
        let Some(node) = builder.nodes.get(index) else { continue };
        let (Role::StreamJoin { other_windowed }, [parent]) = (&node.role, node.parents.as_slice()) else {
            continue;
        };
        let (name, parent, other) = (node.name.clone(), *parent, *other_windowed);
        if let Some(other) = builder.nodes.get_mut(other.0) {
            other.removed = true;
        }
        builder.unlink(parent, other);
        writer.self_joins.insert(name);
    }
}

/// Repartition topics drop records without a key, except where a left or outer join behind them wants those too.
fn find_kept_null_keys(builder: &Builder, writer: &mut TopologyWriter) {
    let mut open: Vec<GraphId> = (0..builder.nodes.len())
        .map(GraphId)
        .filter(|id| builder.nodes.get(id.0).is_some_and(|n| n.joins_null_keys))
        .collect();
    let mut above = BTreeSet::new();
    while let Some(id) = open.pop() {
        for parent in parents(builder, id) {
            if above.insert(*parent) {
                open.push(*parent);
            }
        }
    }
    let names = above.iter().filter_map(|id| builder.nodes.get(id.0));
    writer.kept_null_keys.extend(
        names
            .filter(|n| matches!(n.role, Role::Repartition(_)))
            .map(|n| n.name.clone()),
    );
}

/// A repartition topic as the optimiser sees it.
pub(crate) type RepartitionRole = Rc<dyn MergeRepartition>;

/// What it takes to put several repartition topics into one.
pub(crate) trait MergeRepartition: std::any::Any {
    /// Whether it was made for an operator, and not by `repartition`.
    fn can_be_merged(&self) -> bool;
    /// One topic instead of `all` of these, with the name of this one. None: their types differ.
    fn merged(&self, all: &[RepartitionRole], builder: &mut Builder) -> Option<super::GraphNode>;
}
