//! Heartbeats as a Kafka 4.3.1 broker and its Java client put them on the wire, byte for byte.
use std::sync::Arc;

use bytes::{Buf, Bytes};
use kafka_protocol::protocol::StrBytes;

use super::{
    super::connection::framed,
    describe,
    heartbeat::{Answer, Endpoint, FRAME, decode_response, encode_request},
};
use crate::cluster::{
    HeartbeatRequest, MemberDescription, SubtopologyDescription, TaskId, TaskLists, TopicInfo, TopologyDescription,
};

const JOIN: &str = "0058000000000001000163000267026d00000000ffffffff0000000493e001000000000202300204696e3401010101010000 \
     0101010270ff0100000000";
const JOIN_RESPONSE: &str = "000000010000000000000000026d000000020000138800000000000000000102023005000000000000000100000002000000 \
     03000101000000000100";
const ACK: &str = "0058000000000002000163000267026d00000002000000000000ffffffffff02023005000000000000000100000002000000 \
     0300010100ff0000000000";
const BEAT: &str = "0058000000000003000163000267026d00000002000000000000ffffffffff00000000ff0000000000";
const BEAT_RESPONSE: &str = "000000030000000000000000026d0000000200001388000000000000000001000000000000000000";
const LEAVE: &str = "0058000000000004000163000267026dffffffff000000000000ffffffffff00000000ff0000000000";
const LEAVE_RESPONSE: &str = "000000040000000000000000026dffffffff00000000000000000000000001000000000000000000";
const UNKNOWN_MEMBER_RESPONSE: &str = "0000000500000000000019254d656d626572206d206973206e6f742061206d656d626572206f662067726f757020672e0100 \
     00000000000000000000000000000001000000000000000000";
const JOIN_INTERNAL: &str = "0058000000000001000163000267026d00000000ffffffff0000000493e001000000000302300204696e3401010202720101 \
     0002310101020273000000000000020f636c65616e75702e706f6c69637908636f6d70616374000001020272000000000000 \
     020f636c65616e75702e706f6c6963790764656c657465000001000001010102700102680009000100000000";
const WAIT_RESPONSE: &str = "000000010000000000000000026d0000000100001388000000000000000003054241737369676e6d656e742064656c617965 \
     642064756520746f2074686520636f6e6669677572656420696e697469616c20726562616c616e63652064656c61792e0003 \
     22496e7465726e616c20746f7069637320617265206d697373696e673a20722c207300010101000000000202680009000101 \
     0000";
const READY_RESPONSE: &str = "000000060000000000000000026d000000030000138800000000000000000103023005000000000000000100000002000000 \
     0300023105000000000000000100000002000000030001010000000102026800090003027205000000000000000100000002 \
     000000030004696e34050000000000000001000000020000000300010000";
const JAVA_JOIN: &str = "005800000000001700426a617070332d38373037393239642d303833392d346564642d393533332d35333962626131336131 \
     35332d53747265616d5468726561642d312d636f6e73756d657200066a61707033174b62702d5f5f364c54544b6771373351 \
     43486476626700000000ffffffff0000000493e001000000000302300204696e340101021b6a617070332d62792d76616c75 \
     652d7265706172746974696f6e0101000231010102176a617070332d636f756e74732d6368616e67656c6f6700000000ffff \
     030f636c65616e75702e706f6c69637908636f6d7061637400176d6573736167652e74696d657374616d702e747970650b43 \
     726561746554696d65000001021b6a617070332d62792d76616c75652d7265706172746974696f6e00000000ffff050f636c \
     65616e75702e706f6c6963790764656c65746500176d6573736167652e74696d657374616d702e747970650b437265617465 \
     54696d65000d726574656e74696f6e2e6d73032d31000e7365676d656e742e62797465730935323432383830300000010000 \
     0101012538373037393239642d303833392d346564642d393533332d353339626261313361313533010a6c6f63616c686f73 \
     741b9e000100000000";

const DESCRIBE: &str = "00590000 00000002 000b 70726f62652d61646d696e 00 02 0267 00 00";
const DESCRIPTION: &str = "00000002 00 00000000 02 0000 00 0267 07537461626c65 00000002 00000002 01 00000000 02 0230 02 04696e34 \
     01 01 01 00 00 02 026d 00000002 00 00 0263 0b2f3132372e302e302e31 00000000 0270 ff 01 01 01 02 0230 05 \
     00000000 00000001 00000002 00000003 00 01 01 00 02 0230 05 00000000 00000001 00000002 00000003 00 01 01 00 \
     00 00 00000d48 00 00";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[track_caller]
fn check_request(correlation: i32, client: &'static str, group: &str, request: &HeartbeatRequest, hex: &str) {
    let client = StrBytes::from_static_str(client);
    let encoded = framed(FRAME, correlation, &client, |body| {
        encode_request(group, request, body);
        Ok(())
    });
    let encoded = encoded.expect("encodes");
    assert_eq!(encoded[..4], (encoded.len() as u32 - 4).to_be_bytes());
    assert_eq!(encoded[4..], bytes(hex));
}

/// The answer, with all bytes read; its header has only the correlation id and no tags.
fn decode(correlation: i32, hex: &str) -> Answer {
    let mut frame = Bytes::from(bytes(hex));
    assert_eq!((frame.get_i32(), frame.get_u8()), (correlation, 0));
    // Cut anywhere, it is damage and not a panic.
    for cut in 0..frame.len() {
        assert!(decode_response(&mut frame.slice(..cut)).is_err(), "cut at {cut}");
    }
    let answer = decode_response(&mut frame).expect("decodes");
    assert!(frame.is_empty(), "{} bytes left", frame.len());
    answer
}

fn active(subtopologies: &[u32]) -> TaskLists {
    let tasks = subtopologies
        .iter()
        .flat_map(|&subtopology| (0..4).map(move |partition| TaskId { subtopology, partition }));
    TaskLists {
        active: tasks.collect(),
        ..TaskLists::default()
    }
}

fn plain(member_epoch: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        member_id: "m".into(),
        member_epoch,
        rebalance_timeout_ms: -1,
        ..HeartbeatRequest::default()
    }
}

fn join(subtopologies: Vec<SubtopologyDescription>) -> HeartbeatRequest {
    HeartbeatRequest {
        endpoint_epoch: -1,
        rebalance_timeout_ms: 300_000,
        topology: Some(Arc::new(TopologyDescription { subtopologies })),
        owned: Some(TaskLists::default()),
        process_id: Some("p".into()),
        client_tags: Some(Vec::new()),
        ..plain(0)
    }
}

fn topic(name: &str, replication_factor: i16, configs: &[(&str, &str)]) -> TopicInfo {
    let configs = configs
        .iter()
        .map(|&(name, value)| (name.into(), value.into()))
        .collect();
    TopicInfo {
        name: name.into(),
        partitions: 0,
        replication_factor,
        configs,
    }
}

fn source(id: &str, topic: &str, sink: Option<&str>) -> SubtopologyDescription {
    SubtopologyDescription {
        id: id.into(),
        source_topics: vec![topic.into()],
        repartition_sink_topics: sink.map(str::to_owned).into_iter().collect(),
        ..SubtopologyDescription::default()
    }
}

#[test]
fn a_join_with_one_stateless_subtopology() {
    check_request(1, "c", "g", &join(vec![source("0", "in4", None)]), JOIN);
}

#[test]
fn the_answer_to_a_join_has_the_tasks() {
    let answer = decode(1, JOIN_RESPONSE);
    assert_eq!((answer.error_code, answer.error_message), (0, None));
    assert_eq!(
        (answer.response.member_epoch, answer.response.heartbeat_interval_ms),
        (2, 5_000)
    );
    assert_eq!(answer.response.assigned, Some(active(&[0])));
    assert_eq!((answer.response.status, answer.endpoints), (vec![], Some(vec![])));
}

#[test]
fn an_acknowledgement_carries_the_lists_and_nothing_else() {
    check_request(
        2,
        "c",
        "g",
        &HeartbeatRequest {
            owned: Some(active(&[0])),
            ..plain(2)
        },
        ACK,
    );
}

#[test]
fn a_plain_heartbeat_and_its_answer_say_that_nothing_changed() {
    check_request(3, "c", "g", &plain(2), BEAT);
    let answer = decode(3, BEAT_RESPONSE);
    assert_eq!(
        (answer.response.member_epoch, answer.response.assigned, answer.endpoints),
        (2, None, None)
    );
}

#[test]
fn leaving_and_the_answer_to_leaving_twice() {
    check_request(4, "c", "g", &plain(-1), LEAVE);
    assert_eq!(decode(4, LEAVE_RESPONSE).response.member_epoch, -1);
    let twice = decode(5, UNKNOWN_MEMBER_RESPONSE);
    assert_eq!(twice.error_code, 25);
    assert_eq!(
        twice.error_message.as_deref(),
        Some("Member m is not a member of group g.")
    );
}

#[test]
fn a_join_with_internal_topics_and_an_endpoint() {
    let counting = SubtopologyDescription {
        id: "1".into(),
        state_changelog_topics: vec![topic("s", 0, &[("cleanup.policy", "compact")])],
        repartition_source_topics: vec![topic("r", 0, &[("cleanup.policy", "delete")])],
        ..SubtopologyDescription::default()
    };
    let request = join(vec![source("0", "in4", Some("r")), counting]);
    check_request(
        1,
        "c",
        "g",
        &HeartbeatRequest {
            user_endpoint: Some(("h".into(), 9)),
            ..request
        },
        JOIN_INTERNAL,
    );
}

#[test]
fn the_answer_while_the_group_waits_and_when_it_is_ready() {
    let endpoint = |active| Endpoint {
        host: "h".into(),
        port: 9,
        active,
        standby: vec![],
    };
    let wait = decode(1, WAIT_RESPONSE);
    let delayed = "Assignment delayed due to the configured initial rebalance delay.";
    let missing = "Internal topics are missing: r, s";
    assert_eq!(
        wait.response.status,
        [(5, delayed.to_string()), (3, missing.to_string())]
    );
    assert_eq!(wait.response.assigned, Some(TaskLists::default()));
    assert_eq!(wait.endpoints, Some(vec![endpoint(vec![])]));

    let ready = decode(6, READY_RESPONSE);
    assert_eq!((ready.response.member_epoch, ready.response.endpoint_epoch), (3, 1));
    assert_eq!(ready.response.assigned, Some(active(&[0, 1])));
    let all = vec![0, 1, 2, 3];
    assert_eq!(
        ready.endpoints,
        Some(vec![endpoint(vec![("r".into(), all.clone()), ("in4".into(), all)])])
    );
}

#[test]
fn the_join_of_the_java_client() {
    let counting = SubtopologyDescription {
        id: "1".into(),
        state_changelog_topics: vec![topic(
            "japp3-counts-changelog",
            -1,
            &[("cleanup.policy", "compact"), ("message.timestamp.type", "CreateTime")],
        )],
        repartition_source_topics: vec![topic(
            "japp3-by-value-repartition",
            -1,
            &[
                ("cleanup.policy", "delete"),
                ("message.timestamp.type", "CreateTime"),
                ("retention.ms", "-1"),
                ("segment.bytes", "52428800"),
            ],
        )],
        ..SubtopologyDescription::default()
    };
    let request = HeartbeatRequest {
        member_id: "Kbp-__6LTTKgq73QCHdvbg".into(),
        process_id: Some("8707929d-0839-4edd-9533-539bba13a153".into()),
        user_endpoint: Some(("localhost".into(), 7070)),
        ..join(vec![source("0", "in4", Some("japp3-by-value-repartition")), counting])
    };
    let client = "japp3-8707929d-0839-4edd-9533-539bba13a153-StreamThread-1-consumer";
    check_request(23, client, "japp3", &request, JAVA_JOIN);
}

#[test]
fn tasks_are_grouped_by_subtopology_in_order() {
    let task = |subtopology, partition| TaskId { subtopology, partition };
    let owned = TaskLists {
        active: vec![task(1, 0), task(0, 1), task(0, 0)],
        ..TaskLists::default()
    };
    let mut body = bytes::BytesMut::new();
    encode_request(
        "g",
        &HeartbeatRequest {
            owned: Some(owned),
            ..plain(2)
        },
        &mut body,
    );
    let lists = bytes("03 0230 03 00000000 00000001 00 0231 02 00000000 00 01 01");
    assert!(body.windows(lists.len()).any(|window| window == lists));
}

#[test]
fn a_described_group_names_the_tasks_of_its_members() {
    let client = StrBytes::from_static_str("probe-admin");
    let encoded = framed(describe::FRAME, 2, &client, |body| {
        describe::encode_request("g", body);
        Ok(())
    });
    assert_eq!(encoded.expect("encodes")[4..], bytes(DESCRIBE));

    let mut frame = Bytes::from(bytes(DESCRIPTION));
    assert_eq!((frame.get_i32(), frame.get_u8()), (2, 0));
    for cut in 0..frame.len() {
        assert!(
            describe::decode_response(&mut frame.slice(..cut)).is_err(),
            "cut at {cut}"
        );
    }
    let groups = describe::decode_response(&mut frame).expect("decodes");
    assert!(frame.is_empty(), "{} bytes left", frame.len());
    let member = MemberDescription {
        member_epoch: 2,
        assigned: active(&[0]),
    };
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].error_code, &groups[0].error_message), (0, &None));
    assert_eq!(groups[0].members, [("m".to_string(), member)]);
}
