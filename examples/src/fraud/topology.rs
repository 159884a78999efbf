//! The topology: three questions about every payment, one topic of alerts.
use std::time::Duration;

use millstream::prelude::*;

use super::model::{CardPresent, Minute, Payment, Profile};
use super::{ALERTS, CARD_PRESENTS, PAYMENTS, PROFILES, rules};

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
const GRACE: Duration = Duration::from_secs(5);

/// Payments, profiles and card-present events in; alerts out.
pub fn topology() -> Result<Topology, BuildError> {
    let builder = StreamsBuilder::new();
    let payments = builder.stream(Consumed::topic(PAYMENTS).with(StringSerde, json::<Payment>()));
    let profiles = builder.table(Consumed::topic(PROFILES).with(StringSerde, json::<Profile>()));
    let presents = builder.stream(Consumed::topic(CARD_PRESENTS).with(StringSerde, json::<CardPresent>()));

    let unlike_the_customer = payments.left_join(&profiles, rules::against_profile);

    let too_many = payments
        .group_by_key()
        .windowed_by(TimeWindows::of(MINUTE).grace(GRACE))
        .aggregate_with(
            Minute::default,
            |_, payment, minute| rules::with_payment(minute, payment),
            Materialized::named("minutes").with(StringSerde, json::<Minute>()),
        )
        .to_stream()
        .map(|window, minute| {
            (
                window.key.clone(),
                rules::in_a_minute(minute.as_ref().unwrap_or(&Minute::default())),
            )
        });

    let within = JoinWindows::of(FIVE_MINUTES).grace(GRACE);
    let elsewhere = payments.join_stream(&presents, rules::elsewhere, within);

    unlike_the_customer
        .merge(&too_many)
        .merge(&elsewhere)
        .filter(|_, alert| rules::is_suspicious(alert))
        .to(Produced::topic(ALERTS).with(StringSerde, json()));
    builder.build()
}
