//! The metadata of committed offsets may have been written by anybody who may commit for the group.

use crate::replay::decode_everything;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::metadata::CommittedMetadata;

#[test]
fn the_decoder_of_offset_metadata_takes_any_bytes() {
    decode_everything("offset-metadata", |bytes| {
        // As text of a broker, and as the bytes behind such a text.
        let texts = [String::from_utf8_lossy(bytes).into_owned(), STANDARD.encode(bytes)];
        for text in texts {
            let known = CommittedMetadata::decode(&text);
            assert_eq!(CommittedMetadata::decode(&known.encode()), known);
        }
    });
}
