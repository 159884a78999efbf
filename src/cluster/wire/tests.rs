//! The group client against a broker that misbehaves: too old, switched off, or gone in the middle of a request.
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsResponse, FindCoordinatorResponse,
        api_versions_response::{ApiVersion, FinalizedFeatureKey},
        find_coordinator_response::Coordinator,
    },
    protocol::{Encodable, StrBytes},
};

use super::{WireClient, WireConfig};
use crate::cluster::{ErrorClass, GroupClient, GroupRequest, GroupResponse, HeartbeatRequest, Result, Waker};

struct Nobody;
impl Waker for Nobody {
    fn wake(&self) {}
}

/// Offers these APIs (all from 0 to 9) with or without the feature, is the coordinator of every group, and hangs up on
/// everything else. Gives its port.
fn broker(apis: &'static [i16], streams: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, apis, streams, port));
        }
    });
    port
}

fn serve(mut stream: TcpStream, apis: &[i16], streams: bool, port: u16) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let mut request = &request[..];
        let (key, _version, correlation) = (request.get_i16(), request.get_i16(), request.get_i32());
        let mut answer = BytesMut::new();
        answer.extend_from_slice(&correlation.to_be_bytes());
        let encoded = match key {
            18 => {
                let api = |&key| ApiVersion::default().with_api_key(key).with_max_version(9);
                let feature = FinalizedFeatureKey::default().with_name(StrBytes::from_static_str("streams.version"));
                let features = if streams {
                    vec![feature.with_max_version_level(1)]
                } else {
                    Vec::new()
                };
                let response = ApiVersionsResponse::default().with_api_keys(apis.iter().map(api).collect());
                response
                    .with_finalized_features_epoch(1)
                    .with_finalized_features(features)
                    .encode(&mut answer, 3)
            }
            10 => {
                answer.extend_from_slice(&[0]);
                let here = Coordinator::default().with_host(StrBytes::from_static_str("127.0.0.1"));
                let response = FindCoordinatorResponse::default();
                response
                    .with_coordinators(vec![here.with_port(i32::from(port))])
                    .encode(&mut answer, 4)
            }
            _ => return Ok(()),
        };
        encoded.expect("encodes");
        stream.write_all(&(answer.len() as u32).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
}

fn group(port: u16) -> impl GroupClient {
    let config = WireConfig::from_properties(&format!("127.0.0.1:{port}"), &[]).expect("legal");
    WireClient::new(config)
        .expect("a client")
        .group("c", "g", Arc::new(Nobody))
}

fn beat(group: &mut impl GroupClient) -> Result<GroupResponse> {
    let request = HeartbeatRequest {
        member_id: "m".into(),
        ..HeartbeatRequest::default()
    };
    let id = group.send(GroupRequest::Heartbeat(request));
    let start = Instant::now();
    loop {
        if let Some((answered, answer)) = group.poll() {
            assert_eq!(answered, id);
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no answer");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_broker_without_streams_groups_is_fatal_and_says_which_version_is_needed() {
    for (apis, streams) in [(&[10, 18][..], true), (&[10, 18, 88], false)] {
        let error = beat(&mut group(broker(apis, streams))).expect_err("refused");
        assert_eq!((error.class, error.code), (ErrorClass::Fatal, 35));
        assert!(
            error
                .message
                .contains("needs Kafka 4.2 or newer with streams groups enabled"),
            "{error}"
        );
    }
}

#[test]
fn a_connection_lost_in_the_middle_of_a_request_is_told_from_one_that_was_never_made() {
    let mut group_of_hangups = group(broker(&[10, 18, 88], true));
    for _ in 0..3 {
        let error = beat(&mut group_of_hangups).expect_err("hangs up");
        assert_eq!(
            (error.class, error.code),
            (ErrorClass::Retry, super::errors::LOST),
            "{error}"
        );
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let error = beat(&mut group(closed)).expect_err("nobody there");
    assert_eq!(
        (error.class, error.code),
        (ErrorClass::Retry, super::errors::NOT_SENT),
        "{error}"
    );
    assert!(error.message.contains(&closed.to_string()), "{error}");
}
