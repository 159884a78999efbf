//! Which serdes does a store have? Stores hold bytes; the steps of a case know what they mean.
use std::collections::{HashMap, VecDeque};

use millstream_dsl::engine::Topology;

use crate::{arguments::Args, serdes::SerdeKind};

/// Serdes of one store.
#[derive(Clone, Debug)]
pub(crate) struct StoreSerdes {
    pub(crate) key: SerdeKind,
    pub(crate) value: SerdeKind,
}

impl StoreSerdes {
    pub(crate) fn parse(key: &str, value: &str) -> Result<Self, String> {
        Ok(Self {
            key: SerdeKind::parse(key)?,
            value: SerdeKind::parse(value)?,
        })
    }
}

/// The stores of a topology by name.
#[derive(Debug)]
pub(crate) struct Catalogue {
    named: HashMap<String, StoreSerdes>,
    /// For generated names: what comes before the number, in the order of the steps.
    generated: HashMap<String, VecDeque<StoreSerdes>>,
    text: StoreSerdes,
}

impl Default for Catalogue {
    fn default() -> Self {
        let text = StoreSerdes {
            key: SerdeKind::Text,
            value: SerdeKind::Text,
        };
        Self {
            named: HashMap::new(),
            generated: HashMap::new(),
            text,
        }
    }
}

impl Catalogue {
    /// Notes the store that a step makes. `prefix`: how its generated name starts.
    pub(crate) fn note(&mut self, step: Args<'_>, prefix: &str, serdes: StoreSerdes) {
        match step.part("store").and_then(|s| s.text("name")) {
            Some(name) => self.note_named(name, serdes),
            None => self.generated.entry(prefix.to_owned()).or_default().push_back(serdes),
        }
    }

    pub(crate) fn note_named(&mut self, name: &str, serdes: StoreSerdes) {
        self.named.insert(name.to_owned(), serdes);
    }

    /// Finds the generated names in the topology; their numbers grow with the steps.
    pub(crate) fn resolve(&mut self, topology: &Topology) {
        let mut names: Vec<&str> = topology
            .subtopologies()
            .iter()
            .flat_map(|s| &s.stores)
            .chain(topology.global_stores())
            .map(|s| &*s.spec.name)
            .collect();
        names.sort_by_key(|name| name.rsplit('-').next().and_then(|n| n.parse::<u64>().ok()));
        for name in names {
            let waiting = self
                .generated
                .iter_mut()
                .find(|(prefix, _)| name.starts_with(prefix.as_str()));
            if let Some(serdes) = waiting.and_then(|(_, waiting)| waiting.pop_front()) {
                self.named.insert(name.to_owned(), serdes);
            }
        }
    }

    /// Text where nothing else is known, as the default serdes of cases.
    pub(crate) fn serdes(&self, store: &str) -> &StoreSerdes {
        self.named.get(store).unwrap_or(&self.text)
    }
}
