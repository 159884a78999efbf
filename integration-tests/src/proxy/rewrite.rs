//! An answer with another error code: what the broker would say if it had refused.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnResponse, FetchResponse, FindCoordinatorResponse,
    InitProducerIdResponse, OffsetFetchResponse, ProduceResponse, ResponseHeader, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::frame::api;

/// Why an answer stays as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRewritten {
    #[error("answers of this API are not known to the proxy")]
    UnknownApi,
    #[error("the answer cannot be read or written: {0}")]
    Malformed(String),
}

/// Every error code of the answer becomes `code`.
pub(super) fn rewrite(api_key: i16, version: i16, answer: &[u8], code: i16) -> Result<Vec<u8>, NotRewritten> {
    match api_key {
        api::PRODUCE => change(answer, version, |r: &mut ProduceResponse| {
            let partitions = r.responses.iter_mut().flat_map(|t| &mut t.partition_responses);
            partitions.for_each(|p| {
                p.error_code = code;
                p.base_offset = -1;
            });
        }),
        api::FETCH => change(answer, version, |r: &mut FetchResponse| {
            let partitions = r.responses.iter_mut().flat_map(|t| &mut t.partitions);
            partitions.for_each(|p| {
                p.error_code = code;
                // As a broker does it: none. Null is what librdkafka cannot read, and so takes for no answer at all.
                p.records = Some(Bytes::new());
            });
        }),
        api::OFFSET_FETCH => change(answer, version, |r: &mut OffsetFetchResponse| {
            r.groups.iter_mut().for_each(|g| g.error_code = code);
            let partitions = r.groups.iter_mut().flat_map(|g| &mut g.topics);
            partitions
                .flat_map(|t| &mut t.partitions)
                .for_each(|p| p.error_code = code);
        }),
        api::FIND_COORDINATOR => change(answer, version, |r: &mut FindCoordinatorResponse| {
            // Since version 4 each coordinator has a code of its own.
            if version < 4 {
                r.error_code = code;
            }
            r.coordinators.iter_mut().for_each(|c| c.error_code = code);
        }),
        api::INIT_PRODUCER_ID => change(answer, version, |r: &mut InitProducerIdResponse| r.error_code = code),
        api::ADD_PARTITIONS_TO_TXN => change(answer, version, |r: &mut AddPartitionsToTxnResponse| {
            let topics = r.results_by_topic_v3_and_below.iter_mut();
            topics
                .flat_map(|t| &mut t.results_by_partition)
                .for_each(|p| p.partition_error_code = code);
        }),
        api::ADD_OFFSETS_TO_TXN => change(answer, version, |r: &mut AddOffsetsToTxnResponse| r.error_code = code),
        api::END_TXN => change(answer, version, |r: &mut EndTxnResponse| r.error_code = code),
        api::TXN_OFFSET_COMMIT => change(answer, version, |r: &mut TxnOffsetCommitResponse| {
            let partitions = r.topics.iter_mut().flat_map(|t| &mut t.partitions);
            partitions.for_each(|p| p.error_code = code);
        }),
        api::STREAMS_GROUP_HEARTBEAT => patched(answer, 9, code),
        // One group is described, as the length of the list says, plus one.
        api::STREAMS_GROUP_DESCRIBE if answer.get(9) == Some(&2) => patched(answer, 10, code),
        _ => Err(NotRewritten::UnknownApi),
    }
}

/// For answers the codec does not know: correlation id, no tagged fields, throttle time; then, or soon after, the error code.
fn patched(answer: &[u8], at: usize, code: i16) -> Result<Vec<u8>, NotRewritten> {
    let mut rewritten = answer.to_vec();
    match rewritten.get_mut(at..at + 2) {
        Some(field) => field.copy_from_slice(&code.to_be_bytes()),
        None => return Err(NotRewritten::Malformed("too short".to_owned())),
    }
    Ok(rewritten)
}

fn change<R>(answer: &[u8], version: i16, edit: impl FnOnce(&mut R)) -> Result<Vec<u8>, NotRewritten>
where
    R: Decodable + Encodable + HeaderVersion,
{
    let malformed = |e: &dyn std::fmt::Display| NotRewritten::Malformed(e.to_string());
    let header_version = R::header_version(version);
    let mut bytes = Bytes::copy_from_slice(answer);
    let header = ResponseHeader::decode(&mut bytes, header_version).map_err(|e| malformed(&e))?;
    let mut body = R::decode(&mut bytes, version).map_err(|e| malformed(&e))?;
    edit(&mut body);
    let mut rewritten = BytesMut::new();
    header
        .encode(&mut rewritten, header_version)
        .map_err(|e| malformed(&e))?;
    body.encode(&mut rewritten, version).map_err(|e| malformed(&e))?;
    Ok(rewritten.to_vec())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};

    use super::*;

    #[test]
    fn an_answer_keeps_its_correlation_id_and_gets_the_code() {
        // Correlation id 7, throttle time 0, no error.
        let fine = [0, 0, 0, 7, 0, 0, 0, 0, 0, 0];
        let refused = rewrite(api::END_TXN, 1, &fine, 51).unwrap();
        assert_eq!(refused, [0, 0, 0, 7, 0, 0, 0, 0, 0, 51]);
    }

    #[test]
    fn a_description_of_one_group_gets_the_code_and_of_several_stays_as_it_is() {
        // Correlation id 7, no tags, throttle time 0, so many groups and one, the code of the first.
        let described = |groups: u8| [0, 0, 0, 7, 0, 0, 0, 0, 0, groups + 1, 0, 0];
        let refused = rewrite(api::STREAMS_GROUP_DESCRIBE, 0, &described(1), 16).unwrap();
        assert_eq!(refused, [0, 0, 0, 7, 0, 0, 0, 0, 0, 2, 0, 16]);
        assert!(rewrite(api::STREAMS_GROUP_DESCRIBE, 0, &described(2), 16).is_err());
    }

    #[test]
    fn fetched_partitions_have_the_code_and_no_records_but_not_null() {
        let partition = PartitionData::default().with_records(Some(Bytes::from_static(b"some")));
        let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
        let mut fine = BytesMut::new();
        ResponseHeader::default().encode(&mut fine, 1).unwrap();
        FetchResponse::default()
            .with_responses(vec![topic])
            .encode(&mut fine, 16)
            .unwrap();
        let mut refused = Bytes::from(rewrite(api::FETCH, 16, &fine, 29).unwrap());
        ResponseHeader::decode(&mut refused, 1).unwrap();
        let refused = FetchResponse::decode(&mut refused, 16).unwrap();
        let partition = &refused.responses[0].partitions[0];
        assert_eq!((partition.error_code, &partition.records), (29, &Some(Bytes::new())));
    }

    #[test]
    fn what_the_proxy_does_not_know_is_an_error() {
        assert!(matches!(rewrite(3, 1, &[], 1), Err(NotRewritten::UnknownApi)));
        assert!(matches!(
            rewrite(api::END_TXN, 1, &[0], 1),
            Err(NotRewritten::Malformed(_))
        ));
    }
}
