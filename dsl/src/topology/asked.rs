//! Which topics does Kafka Streams ask to be co-partitioned? Not quite those that need it.
//!
//! A rule that overlaps with several groups is added to one of them only: that of the topic that comes first in a Java
//! `HashSet`. Topics of that group are then in two.
use std::{collections::HashMap, sync::Arc};

use super::{TopicRef, describe::java_set_order};

/// The groups with more than one topic, sorted.
pub(super) fn groups(rules: &[Vec<TopicRef>], application_id: &str) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<Arc<str>>> = Vec::new();
    let mut group_of: HashMap<Arc<str>, usize> = HashMap::new();
    for rule in rules {
        let mut topics: Vec<Arc<str>> = rule.iter().map(|t| t.full_name(application_id).into()).collect();
        topics.sort();
        topics.dedup();
        let known = java_set_order(&topics)
            .into_iter()
            .find_map(|topic| group_of.get(topic).copied());
        let index = known.unwrap_or_else(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        for topic in topics {
            if let Some(group) = groups.get_mut(index).filter(|group| !group.contains(&topic)) {
                group.push(topic.clone());
            }
            group_of.insert(topic, index);
        }
    }
    let mut used: Vec<usize> = group_of.into_values().collect();
    used.sort_unstable();
    used.dedup();
    let used = used
        .into_iter()
        .filter_map(|index| groups.get(index))
        .filter(|group| group.len() > 1);
    let mut named: Vec<Vec<String>> = used
        .map(|group| group.iter().map(|topic| topic.to_string()).collect())
        .collect();
    named.iter_mut().for_each(|group| group.sort());
    named.sort();
    named.dedup();
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> Vec<TopicRef> {
        names.iter().map(|name| TopicRef::External((*name).into())).collect()
    }

    #[test]
    fn a_rule_that_overlaps_with_two_groups_goes_to_one_of_them() {
        let rules = [topics(&["s0", "s1"]), topics(&["t0"]), topics(&["s1", "t0"])];
        assert_eq!(groups(&rules, "app"), [["s0", "s1"], ["s1", "t0"]]);
        let rules = [topics(&["s0", "s1"]), topics(&["s1", "s2"]), topics(&["x"])];
        assert_eq!(groups(&rules, "app"), [["s0", "s1", "s2"]]);
    }
}
