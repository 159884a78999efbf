//! Frames of the Kafka protocol: a length, then a head of which only the first fields matter here.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// API keys that scenarios name.
pub mod api {
    /// Produce.
    pub const PRODUCE: i16 = 0;
    /// Fetch.
    pub const FETCH: i16 = 1;
    /// OffsetFetch.
    pub const OFFSET_FETCH: i16 = 9;
    /// FindCoordinator.
    pub const FIND_COORDINATOR: i16 = 10;
    /// InitProducerId.
    pub const INIT_PRODUCER_ID: i16 = 22;
    /// AddPartitionsToTxn.
    pub const ADD_PARTITIONS_TO_TXN: i16 = 24;
    /// AddOffsetsToTxn.
    pub const ADD_OFFSETS_TO_TXN: i16 = 25;
    /// EndTxn.
    pub const END_TXN: i16 = 26;
    /// TxnOffsetCommit.
    pub const TXN_OFFSET_COMMIT: i16 = 28;
    /// StreamsGroupHeartbeat.
    pub const STREAMS_GROUP_HEARTBEAT: i16 = 88;
    /// StreamsGroupDescribe.
    pub const STREAMS_GROUP_DESCRIBE: i16 = 89;
}

/// No frame of a broker or client of ours is larger.
const LARGEST: usize = 128 << 20;

/// Everything after the length.
pub(super) type Frame = Vec<u8>;

/// Reads one frame; an error also at the end of the stream.
pub(super) async fn read(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Frame> {
    let length = usize::try_from(from.read_i32().await?).unwrap_or(usize::MAX);
    if length > LARGEST {
        return Err(io::Error::other("not a frame of the Kafka protocol"));
    }
    let mut frame = vec![0; length];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Writes a frame, or only its first bytes (the length counts as four of them).
pub(super) async fn write(
    to: &mut (impl AsyncWriteExt + Unpin),
    frame: &[u8],
    at_most: Option<usize>,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(frame.len() + 4);
    bytes.extend(u32::try_from(frame.len()).map_err(io::Error::other)?.to_be_bytes());
    bytes.extend(frame);
    let end = at_most.unwrap_or(bytes.len()).min(bytes.len());
    to.write_all(bytes.get(..end).unwrap_or_default()).await?;
    to.flush().await
}

/// The beginning of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) api_key: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
    pub(super) client_id: String,
    /// Of an EndTxn: commit (true) or abort.
    pub(super) commits: Option<bool>,
}

impl RequestHead {
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let api_key = i16_at(frame, 0)?;
        let version = i16_at(frame, 2)?;
        let correlation = correlation_at(frame, 4)?;
        // Nullable: -1 has no bytes.
        let length = usize::try_from(i16_at(frame, 8)?).unwrap_or(0);
        let client_id = String::from_utf8_lossy(frame.get(10..10 + length)?).into_owned();
        // The flag is the last field; flexible versions end with an empty list of tagged fields.
        let flag = frame.len().checked_sub(if version >= 3 { 2 } else { 1 });
        let commits = (api_key == api::END_TXN).then(|| flag.and_then(|at| frame.get(at)) == Some(&1));
        Some(Self {
            api_key,
            version,
            correlation,
            client_id,
            commits,
        })
    }
}

fn i16_at(frame: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

/// The correlation id of a response is its first field, that of a request its third.
pub(super) fn correlation_at(frame: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EndTxn v1 as librdkafka sends it: client "c", transactional id "t", producer 5, epoch 2.
    fn end_txn(commit: u8) -> Frame {
        let mut frame = vec![0, 26, 0, 1, 0, 0, 0, 9, 0, 1, b'c', 0, 1, b't'];
        frame.extend(5_i64.to_be_bytes());
        frame.extend(2_i16.to_be_bytes());
        frame.push(commit);
        frame
    }

    #[test]
    fn the_head_of_a_request_tells_api_client_and_whether_it_commits() {
        let head = RequestHead::parse(&end_txn(1)).unwrap();
        assert_eq!((head.api_key, head.version, head.correlation), (api::END_TXN, 1, 9));
        assert_eq!((head.client_id.as_str(), head.commits), ("c", Some(true)));
        assert_eq!(RequestHead::parse(&end_txn(0)).unwrap().commits, Some(false));
    }

    #[test]
    fn a_client_without_a_name_and_a_frame_cut_short() {
        let nameless = [0, 3, 0, 9, 0, 0, 0, 1, 255, 255];
        assert_eq!(RequestHead::parse(&nameless).unwrap().client_id, "");
        assert_eq!(RequestHead::parse(&nameless[..9]), None);
    }

    #[tokio::test]
    async fn a_frame_comes_back_as_it_was_written_and_a_huge_one_is_refused() {
        let mut wire = Vec::new();
        write(&mut wire, b"abc", None).await.unwrap();
        assert_eq!(read(&mut wire.as_slice()).await.unwrap(), b"abc");
        assert!(read(&mut [127, 0, 0, 0, 1].as_slice()).await.is_err());
        wire.clear();
        write(&mut wire, b"abc", Some(5)).await.unwrap();
        assert_eq!(wire, [0, 0, 0, 3, b'a']);
    }
}
