//! Bytes from topics are anybody's bytes: no decoder panics, and what one understands it writes so that it reads the same again.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use std::fmt::Debug;
use std::sync::Arc;

use super::{
    BytesSerde, F64Serde, GroupedChangeSerde, I32Serde, I64Serde, OptionSerde, Serde, SessionWindowedSerde,
    StringSerde, TimeWindowedSerde, json,
};
pub(crate) use replay::decode_everything;

/// Reads, and if that is possible writes and reads again.
pub(crate) fn survives<T: PartialEq + Debug>(serde: &impl Serde<T>, bytes: &[u8]) {
    let _partition = serde.partition_bytes(bytes);
    let Ok(value) = serde.deserialize(bytes) else { return };
    let mut written = Vec::new();
    serde
        .serialize(&value, &mut written)
        .expect("what was read can be written");
    let again = serde.deserialize(&written).expect("what was written can be read");
    // A NaN equals nothing, but has the same bytes.
    let mut twice = Vec::new();
    serde.serialize(&again, &mut twice).expect("again");
    assert!(written == twice, "{value:?} became {again:?}");
}

#[test]
fn plain_decoders_take_any_bytes() {
    decode_everything("serde-plain", |bytes| {
        survives(&StringSerde, bytes);
        survives(&BytesSerde, bytes);
        survives(&I32Serde, bytes);
        survives(&I64Serde, bytes);
        survives(&F64Serde, bytes);
        survives(&OptionSerde::new(StringSerde), bytes);
    });
}

#[test]
fn json_decoders_take_any_bytes() {
    decode_everything("serde-json", |bytes| {
        survives(&json::<String>(), bytes);
        survives(&json::<Vec<Option<i64>>>(), bytes);
        survives(
            &json::<std::collections::BTreeMap<String, Vec<Option<String>>>>(),
            bytes,
        );
    });
}

#[test]
fn decoders_of_windowed_keys_take_any_bytes() {
    decode_everything("serde-windowed", |bytes| {
        survives(&TimeWindowedSerde::new(StringSerde, 10_000), bytes);
        survives(&TimeWindowedSerde::new(StringSerde, i64::MAX), bytes);
        survives(&SessionWindowedSerde::new(BytesSerde), bytes);
    });
}

#[test]
fn the_decoder_of_grouped_changes_takes_any_bytes() {
    decode_everything("grouped-change", |bytes| {
        survives(&GroupedChangeSerde::new(Arc::new(BytesSerde)), bytes);
        survives(&GroupedChangeSerde::new(Arc::new(StringSerde)), bytes);
    });
}
