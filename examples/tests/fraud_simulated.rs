//! Fraud detection with three instances on a cluster where things go wrong: the alerts are the same as if nothing had.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use millstream::prelude::*;
use millstream::testing::{Faults, Simulator};
use millstream_examples::fraud::{self, Alert, CardPresent, Event, Generator, Payment, Profile};

fn simulator() -> Simulator {
    let mut generator = Generator::new(7, 12, 240);
    let profiles: Vec<(String, Profile, i64)> = generator.profiles().collect();
    let (mut payments, mut presents) = (Vec::new(), Vec::new());
    loop {
        let step = generator.step();
        if step.is_empty() {
            break;
        }
        for (card, event, at_ms) in step {
            match event {
                Event::Payment(payment) => payments.push((card, payment, at_ms)),
                Event::CardPresent(present) => presents.push((card, present, at_ms)),
            }
        }
    }
    let config = StreamsConfig::new("fraud")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .record_cache_bytes(0);
    Simulator::new(config, fraud::topology().unwrap())
        .instances(3)
        .topic(fraud::PROFILES, 4)
        .topic(fraud::PAYMENTS, 4)
        .topic(fraud::CARD_PRESENTS, 4)
        .topic(fraud::ALERTS, 4)
        .timed_records(fraud::PROFILES, StringSerde, json::<Profile>(), profiles)
        .timed_records(fraud::CARD_PRESENTS, StringSerde, json::<CardPresent>(), presents)
        .timed_records(fraud::PAYMENTS, StringSerde, json::<Payment>(), payments)
}

/// By card and alert: different questions about one payment may be answered in different orders.
fn alerts(simulator: &Simulator, seed: u64) -> Vec<String> {
    let run = simulator.run(seed).unwrap();
    let alerts = run.read(fraud::ALERTS, StringSerde, json::<Alert>()).unwrap();
    let mut alerts: Vec<String> = alerts.iter().map(|(card, alert)| format!("{card} {alert:?}")).collect();
    alerts.sort();
    alerts
}

#[test]
fn crashes_and_rebalances_change_no_alert() {
    let expected = alerts(&simulator().instances(1).faults(Faults::none()), 0);
    assert!(!expected.is_empty());
    let simulator = simulator();
    for seed in 0..30 {
        assert_eq!(alerts(&simulator, seed), expected, "seed {seed}");
    }
}
