//! The records of the example, as they are in the topics (JSON).
use serde::{Deserialize, Serialize};

/// A card was used to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Number of the payment.
    pub id: u64,
    /// Amount in cents.
    pub amount_cents: u64,
    /// Country of the shop.
    pub country: String,
    /// Shop.
    pub shop: String,
}

/// What is known about the owner of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Where the customer lives.
    pub home_country: String,
    /// Usual limit of one payment in cents.
    pub limit_cents: u64,
}

/// A card was in a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardPresent {
    /// Country of the terminal.
    pub country: String,
    /// Terminal.
    pub terminal: String,
}

/// Payments of one card in one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// How many.
    pub count: u64,
    /// How much, in cents.
    pub sum_cents: u64,
}

/// Which question found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Does not fit the customer.
    Profile,
    /// Too many or too much in a minute.
    Burst,
    /// The card was in another country.
    Elsewhere,
}

/// Somebody should look at this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Which question found it.
    pub kind: Kind,
    /// 0 to 100.
    pub score: u32,
    /// For a person to read.
    pub reasons: Vec<String>,
    /// The payment, if it is about one.
    pub payment: Option<u64>,
}
