//! The fraud topology without a cluster: what is an alert, and what is not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use millstream::prelude::*;
use millstream::testing::{TestInput, TestOutput, TopologyTestDriver};
use millstream_examples::fraud::{self, Alert, CardPresent, Kind, Payment, Profile};

struct Desk {
    payments: TestInput<String, Payment>,
    profiles: TestInput<String, Profile>,
    presents: TestInput<String, CardPresent>,
    alerts: TestOutput<String, Alert>,
}

impl Desk {
    fn open() -> Self {
        let topology = fraud::topology().unwrap();
        let driver = TopologyTestDriver::builder(&topology).cache_bytes(0).build().unwrap();
        Self {
            payments: driver.input(fraud::PAYMENTS, StringSerde, json()).unwrap(),
            profiles: driver.input(fraud::PROFILES, StringSerde, json()).unwrap(),
            presents: driver.input(fraud::CARD_PRESENTS, StringSerde, json()).unwrap(),
            alerts: driver.output(fraud::ALERTS, StringSerde, json()).unwrap(),
        }
    }

    fn customer(&self) {
        let profile = Profile {
            home_country: "AT".to_owned(),
            limit_cents: 50_000,
        };
        self.profiles.at_ms(0).pipe("card", profile).unwrap();
    }

    fn pay(&self, id: u64, amount_cents: u64, country: &str, at_ms: i64) {
        let payment = Payment {
            id,
            amount_cents,
            country: country.to_owned(),
            shop: "shop".to_owned(),
        };
        self.payments.at_ms(at_ms).pipe("card", payment).unwrap();
    }

    fn present(&self, country: &str, at_ms: i64) {
        let present = CardPresent {
            country: country.to_owned(),
            terminal: "terminal".to_owned(),
        };
        self.presents.at_ms(at_ms).pipe("card", present).unwrap();
    }

    fn alerts(&self) -> Vec<(Kind, Option<u64>)> {
        let all = self.alerts.read_key_values().unwrap();
        all.into_iter().map(|(_, alert)| (alert.kind, alert.payment)).collect()
    }
}

#[test]
fn an_ordinary_payment_is_no_alert() {
    let desk = Desk::open();
    desk.customer();
    desk.pay(1, 50_000, "AT", 1_000);
    desk.pay(2, 100, "JP", 2_000);
    assert_eq!(desk.alerts(), []);
}

#[test]
fn a_large_payment_abroad_does_not_fit_the_customer() {
    let desk = Desk::open();
    desk.customer();
    desk.pay(1, 50_001, "JP", 1_000);
    assert_eq!(desk.alerts(), [(Kind::Profile, Some(1))]);
}

#[test]
fn the_ninth_payment_in_a_minute_is_an_alert_and_the_next_minute_starts_anew() {
    let desk = Desk::open();
    desk.customer();
    for i in 0..8 {
        desk.pay(i, 100, "AT", 60_000 + i64::try_from(i).unwrap());
    }
    assert_eq!(desk.alerts(), []);
    desk.pay(8, 100, "AT", 119_999);
    assert_eq!(desk.alerts(), [(Kind::Burst, None)]);
    desk.pay(9, 100, "AT", 120_000);
    assert_eq!(desk.alerts(), []);
}

#[test]
fn a_card_in_a_terminal_at_home_five_minutes_before_a_payment_abroad_is_an_alert() {
    let desk = Desk::open();
    desk.customer();
    desk.present("AT", 1_000);
    desk.pay(1, 100, "AT", 2_000);
    desk.pay(2, 100, "JP", 301_000);
    desk.pay(3, 100, "JP", 301_001);
    assert_eq!(desk.alerts(), [(Kind::Elsewhere, Some(2))]);
}
