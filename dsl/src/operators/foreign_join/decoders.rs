//! The internal topics of a foreign-key join may hold anything after a reset or a downgrade.

use super::wire::{AnswerSerde, SubscriptionSerde};
use crate::serde::decoders::{decode_everything, survives};

#[test]
fn the_decoder_of_subscriptions_takes_any_bytes() {
    decode_everything("subscription", |bytes| survives(&SubscriptionSerde, bytes));
}

#[test]
fn the_decoder_of_answers_takes_any_bytes() {
    decode_everything("answer", |bytes| survives(&AnswerSerde, bytes));
}
