//! The rules: what makes a payment suspicious, with a score and reasons. Plain functions, no streams.
use super::model::{Alert, CardPresent, Kind, Minute, Payment, Profile};

/// From this score on, somebody looks.
pub const ALERT_SCORE: u32 = 70;
/// Payments of a card in one minute that are still usual.
pub const USUAL_COUNT: u64 = 8;
/// Cents of a card in one minute that are still usual.
pub const USUAL_SUM_CENTS: u64 = 1_000_000;

/// Cents as an amount.
fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// How well a payment fits the customer.
pub fn against_profile(payment: &Payment, profile: Option<&Profile>) -> Alert {
    let mut score = 0;
    let mut reasons = Vec::new();
    match profile {
        None => {
            score += 40;
            reasons.push("nothing is known about the owner of the card".to_owned());
        }
        Some(profile) => {
            if payment.amount_cents > profile.limit_cents {
                score += 50;
                let (paid, limit) = (amount(payment.amount_cents), amount(profile.limit_cents));
                reasons.push(format!("{paid} is above the limit of {limit}"));
            }
            if payment.country != profile.home_country {
                score += 30;
                reasons.push(format!(
                    "paid in {}, lives in {}",
                    payment.country, profile.home_country
                ));
            }
        }
    }
    Alert {
        kind: Kind::Profile,
        score,
        reasons,
        payment: Some(payment.id),
    }
}

/// A minute of a card with one more payment.
pub fn with_payment(minute: Minute, payment: &Payment) -> Minute {
    Minute {
        count: minute.count + 1,
        sum_cents: minute.sum_cents.saturating_add(payment.amount_cents),
    }
}

/// Whether a minute is more than usual.
pub fn in_a_minute(minute: &Minute) -> Alert {
    let mut reasons = Vec::new();
    if minute.count > USUAL_COUNT {
        reasons.push(format!("{} payments in one minute", minute.count));
    }
    if minute.sum_cents > USUAL_SUM_CENTS {
        reasons.push(format!("{} in one minute", amount(minute.sum_cents)));
    }
    let score = match reasons.len() {
        0 => 0,
        1 => 75,
        _ => 100,
    };
    Alert {
        kind: Kind::Burst,
        score,
        reasons,
        payment: None,
    }
}

/// Whether the card was in another country than the payment, five minutes apart at most.
pub fn elsewhere(payment: &Payment, present: &CardPresent) -> Alert {
    if payment.country == present.country {
        return Alert {
            kind: Kind::Elsewhere,
            score: 0,
            reasons: Vec::new(),
            payment: Some(payment.id),
        };
    }
    let reason = format!(
        "paid in {} while the card was in {} ({})",
        payment.country, present.country, present.terminal
    );
    Alert {
        kind: Kind::Elsewhere,
        score: 90,
        reasons: vec![reason],
        payment: Some(payment.id),
    }
}

/// Whether somebody looks.
pub fn is_suspicious(alert: &Alert) -> bool {
    alert.score >= ALERT_SCORE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(amount_cents: u64, country: &str) -> Payment {
        Payment {
            id: 7,
            amount_cents,
            country: country.to_owned(),
            shop: "shop".to_owned(),
        }
    }

    fn profile() -> Profile {
        Profile {
            home_country: "AT".to_owned(),
            limit_cents: 50_000,
        }
    }

    #[test]
    fn one_odd_thing_is_noted_and_two_are_an_alert() {
        assert_eq!(against_profile(&payment(50_000, "AT"), Some(&profile())).score, 0);
        assert!(!is_suspicious(&against_profile(
            &payment(50_001, "AT"),
            Some(&profile())
        )));
        assert!(!is_suspicious(&against_profile(&payment(10, "JP"), Some(&profile()))));
        let both = against_profile(&payment(60_000, "JP"), Some(&profile()));
        assert!(is_suspicious(&both));
        assert_eq!(
            both.reasons,
            ["600.00 is above the limit of 500.00", "paid in JP, lives in AT"]
        );
    }

    #[test]
    fn a_minute_is_an_alert_from_the_ninth_payment_on() {
        let eight = (0..8).fold(Minute::default(), |m, _| with_payment(m, &payment(100, "AT")));
        assert!(!is_suspicious(&in_a_minute(&eight)));
        assert!(is_suspicious(&in_a_minute(&with_payment(eight, &payment(100, "AT")))));
    }

    #[test]
    fn a_card_in_two_countries_is_an_alert() {
        let present = CardPresent {
            country: "AT".to_owned(),
            terminal: "t".to_owned(),
        };
        assert!(is_suspicious(&elsewhere(&payment(1, "JP"), &present)));
        assert!(!is_suspicious(&elsewhere(&payment(1, "AT"), &present)));
    }
}
