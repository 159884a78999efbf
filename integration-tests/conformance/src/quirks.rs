//! Which cases may differ? Quirks of Kafka Streams for which `dsl/README.md` says why Millstream does otherwise.

const README: &str = include_str!("../../../dsl/README.md");
const HEADING: &str = "## Quirks that Millstream does not share";

/// Names of the cases in the table below the heading.
pub(crate) fn deviating() -> Vec<&'static str> {
    let section = README.split_once(HEADING).map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deviating_case_is_in_the_table_with_a_reason() {
        let names = deviating();
        assert!(!names.is_empty());
        assert!(names.iter().all(|name| name.contains('/')), "{names:?}");
    }
}
