//! What a broker, or something that is none, may answer.

use bytes::Bytes;

use crate::replay::decode_everything;

use super::{describe, heartbeat::decode_response};

#[test]
fn the_decoder_of_heartbeat_answers_takes_any_bytes() {
    decode_everything("heartbeat-answer", |bytes| {
        let mut from = Bytes::copy_from_slice(bytes);
        if let Ok(answer) = decode_response(&mut from) {
            let tasks = answer.response.assigned.map_or(0, |lists| lists.active.len());
            // Lengths are not believed: nothing is larger than what came.
            assert!(tasks <= bytes.len());
        }
    });
}

#[test]
fn the_decoder_of_described_groups_takes_any_bytes() {
    decode_everything("describe-answer", |bytes| {
        let mut from = Bytes::copy_from_slice(bytes);
        if let Ok(groups) = describe::decode_response(&mut from) {
            let members: usize = groups.iter().map(|group| group.members.len()).sum();
            assert!(members <= bytes.len());
        }
    });
}
