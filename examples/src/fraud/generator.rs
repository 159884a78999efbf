//! Input with fraud planted in it, the same for the same seed.
use super::model::{CardPresent, Payment, Profile};
use super::rules::USUAL_COUNT;
use crate::random::Random;

/// First payment: 2025-01-01T00:00:00Z, in milliseconds.
const START_MS: i64 = 1_735_689_600_000;
const STEP_MS: i64 = 10;
const MINUTE_MS: i64 = 60_000;
const COUNTRIES: [&str; 8] = ["AT", "BR", "DE", "FR", "IN", "JP", "US", "ZA"];
const BURST: u64 = USUAL_COUNT + 4;

/// How much fraud was planted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// Payments that do not fit the customer.
    pub profile: u64,
    /// Minutes with too many payments.
    pub burst: u64,
    /// Payments while the card was elsewhere.
    pub elsewhere: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To `payments`.
    Payment(Payment),
    /// To `card-presents`.
    CardPresent(CardPresent),
}

/// Makes customers and events.
pub struct Generator {
    random: Random,
    cards: u64,
    next_payment: u64,
    payments: u64,
    planted: Planted,
}

impl Generator {
    /// So many payments of so many cards.
    pub fn new(seed: u64, cards: u64, payments: u64) -> Self {
        Self {
            random: Random::new(seed),
            cards: cards.max(1),
            next_payment: 0,
            payments,
            planted: Planted::default(),
        }
    }

    /// What was planted so far.
    pub fn planted(&self) -> Planted {
        self.planted
    }

    /// Every card with its profile; a minute before the first payment.
    pub fn profiles(&self) -> impl Iterator<Item = (String, Profile, i64)> {
        (0..self.cards).map(|card| (card_name(card), profile_of(card), START_MS - MINUTE_MS))
    }

    /// The next step: what happened, to which card, when. Empty at the end.
    pub fn step(&mut self) -> Vec<(String, Event, i64)> {
        if self.next_payment >= self.payments {
            return Vec::new();
        }
        let at_ms = START_MS + i64::try_from(self.next_payment).unwrap_or(0) * STEP_MS;
        let card = self.random.below(self.cards);
        match self.random.below(2_000) {
            0..10 => self.unlike_the_customer(card, at_ms),
            10..16 => self.elsewhere(card, at_ms),
            16..18 if at_ms % MINUTE_MS < MINUTE_MS / 2 => self.burst(card, at_ms),
            _ => self.ordinary(card, at_ms),
        }
    }

    fn payment(&mut self, card: u64, amount_cents: u64, country: &str) -> (String, Event) {
        let id = self.next_payment;
        self.next_payment += 1;
        let shop = format!("shop-{}", self.random.below(5_000));
        (
            card_name(card),
            Event::Payment(Payment {
                id,
                amount_cents,
                country: country.to_owned(),
                shop,
            }),
        )
    }

    fn abroad(&mut self, home: &str) -> &'static str {
        let others: Vec<&'static str> = COUNTRIES.into_iter().filter(|c| *c != home).collect();
        self.random.pick(&others).copied().unwrap_or("AQ")
    }

    fn ordinary(&mut self, card: u64, at_ms: i64) -> Vec<(String, Event, i64)> {
        let profile = profile_of(card);
        let cents = 100 + self.random.below(profile.limit_cents / 2);
        let (name, payment) = self.payment(card, cents, &profile.home_country);
        let mut all = vec![(name.clone(), payment, at_ms)];
        if self.random.below(4) == 0 {
            let present = CardPresent {
                country: profile.home_country,
                terminal: format!("terminal-{card}"),
            };
            all.push((name, Event::CardPresent(present), at_ms));
        }
        all
    }

    fn unlike_the_customer(&mut self, card: u64, at_ms: i64) -> Vec<(String, Event, i64)> {
        self.planted.profile += 1;
        let profile = profile_of(card);
        let country = self.abroad(&profile.home_country);
        let (name, payment) = self.payment(card, profile.limit_cents * 2, country);
        vec![(name, payment, at_ms)]
    }

    fn elsewhere(&mut self, card: u64, at_ms: i64) -> Vec<(String, Event, i64)> {
        self.planted.elsewhere += 1;
        let profile = profile_of(card);
        let country = self.abroad(&profile.home_country);
        let present = CardPresent {
            country: profile.home_country,
            terminal: format!("terminal-{card}"),
        };
        let (name, payment) = self.payment(card, 500, country);
        vec![
            (name.clone(), Event::CardPresent(present), at_ms),
            (name, payment, at_ms),
        ]
    }

    /// Small payments, one per step, all in the first half of a minute and the next seconds: one window.
    fn burst(&mut self, card: u64, at_ms: i64) -> Vec<(String, Event, i64)> {
        self.planted.burst += 1;
        let home = profile_of(card).home_country;
        let count = BURST.min(self.payments - self.next_payment);
        let each = (0..).take(usize::try_from(count).unwrap_or(0));
        each.map(|i| {
            let (name, payment) = self.payment(card, 100, &home);
            (name, payment, at_ms + i * STEP_MS)
        })
        .collect()
    }
}

fn card_name(card: u64) -> String {
    format!("card-{card:06}")
}

fn profile_of(card: u64) -> Profile {
    let mut random = Random::new(card);
    let home_country = random.pick(&COUNTRIES).copied().unwrap_or("AQ").to_owned();
    Profile {
        home_country,
        limit_cents: 20_000 + 10_000 * random.below(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(seed: u64) -> (Vec<(String, Event, i64)>, Planted) {
        let mut generator = Generator::new(seed, 500, 20_000);
        let mut events = Vec::new();
        loop {
            let step = generator.step();
            if step.is_empty() {
                return (events, generator.planted());
            }
            events.extend(step);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_events() {
        assert_eq!(all(1), all(1));
        assert_ne!(all(1).0, all(2).0);
    }

    #[test]
    fn every_kind_of_fraud_is_planted_and_payments_are_as_many_as_asked_for() {
        let (events, planted) = all(1);
        let payments = events.iter().filter(|(_, e, _)| matches!(e, Event::Payment(_))).count();
        assert_eq!(payments, 20_000);
        assert!(
            planted.profile > 0 && planted.burst > 0 && planted.elsewhere > 0,
            "{planted:?}"
        );
    }
}
