//! What was found so far, for the terminal.
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::generator::Planted;
use super::model::{Alert, Kind};

/// Counts alerts.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    alerts: BTreeMap<Kind, u64>,
    payments: HashSet<(Kind, u64)>,
    cards: HashSet<String>,
    last: Option<(String, Alert)>,
}

impl Summary {
    /// One more alert.
    pub fn add(&mut self, card: &str, alert: Alert) {
        *self.alerts.entry(alert.kind).or_default() += 1;
        self.payments.extend(alert.payment.map(|id| (alert.kind, id)));
        self.cards.insert(card.to_owned());
        self.last = Some((card.to_owned(), alert));
    }

    /// All alerts.
    pub fn alerts(&self) -> u64 {
        self.alerts.values().sum()
    }

    /// Alerts of a kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.alerts.get(&kind).copied().unwrap_or(0)
    }

    /// Different payments that alerts of a kind are about.
    pub fn payments(&self, kind: Kind) -> u64 {
        self.payments.iter().filter(|(k, _)| *k == kind).count() as u64
    }

    /// The most recent alert, for a person.
    pub fn last(&self) -> Option<String> {
        let (card, alert) = self.last.as_ref()?;
        Some(format!("{card}: score {}, {}", alert.score, alert.reasons.join("; ")))
    }

    /// Whether everything planted was found. Chance makes some ordinary payments suspicious too, so more is fine; how
    /// often a burst is reported depends on the record cache.
    pub fn covers(&self, planted: &Planted) -> bool {
        self.payments(Kind::Profile) >= planted.profile
            && self.payments(Kind::Elsewhere) >= planted.elsewhere
            && (planted.burst == 0 || self.of(Kind::Burst) > 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} alerts on {} cards (unlike the customer {}, too many in a minute {}, card elsewhere {})",
            self.alerts(),
            self.cards.len(),
            self.of(Kind::Profile),
            self.of(Kind::Burst),
            self.of(Kind::Elsewhere),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(kind: Kind, payment: u64) -> Alert {
        Alert {
            kind,
            score: 80,
            reasons: vec!["why".to_owned()],
            payment: Some(payment),
        }
    }

    #[test]
    fn a_payment_reported_twice_covers_one_planted_fraud() {
        let mut summary = Summary::default();
        summary.add("card", alert(Kind::Profile, 1));
        summary.add("card", alert(Kind::Profile, 1));
        let planted = |profile| Planted {
            profile,
            ..Planted::default()
        };
        assert!(summary.covers(&planted(1)) && !summary.covers(&planted(2)));
        assert_eq!(summary.alerts(), 2);
    }
}
