//! Brokers that are no help: one from before streams groups, and one that never answers.
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsResponse, BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
        MetadataResponse, RequestHeader, ResponseHeader, TopicName,
        api_versions_response::{ApiVersion, FinalizedFeatureKey},
        find_coordinator_response::Coordinator,
        metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    },
    protocol::{Decodable, Encodable, StrBytes},
};

const STREAMS_GROUP_HEARTBEAT: i16 = 88;

/// A broker with the topics `lines` and `counts` that has no streams groups. `early_access`: it has the API, as Kafka 4.1 has,
/// without the feature being finalized. Gives its port.
pub fn start(early_access: bool) -> u16 {
    serve_all(move |stream, port| while answer(stream, early_access, port).is_ok() {})
}

/// A broker that takes connections and says nothing.
pub fn start_silent() -> u16 {
    serve_all(|stream, _| {
        let mut nothing = [0; 1024];
        while stream.read(&mut nothing).is_ok_and(|n| n > 0) {}
    })
}

fn serve_all(serve: impl Fn(&mut TcpStream, u16) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(&mut stream, port));
        }
    });
    port
}

/// Reads one request and answers it; an API it does not have ends the connection.
fn answer(stream: &mut TcpStream, early_access: bool, port: u16) -> io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request)?;
    let mut request = Bytes::from(request);
    let (key, version) = ((&request[..2]).get_i16(), (&request[2..4]).get_i16());
    let api = ApiKey::try_from(key).map_err(|()| io::Error::other("an API of another age"))?;
    let header = RequestHeader::decode(&mut request, api.request_header_version(version)).map_err(io::Error::other)?;
    let mut answer = BytesMut::new();
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut answer, api.response_header_version(version))
        .map_err(io::Error::other)?;
    match api {
        ApiKey::ApiVersions => versions(early_access).encode(&mut answer, version),
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut request, version).map_err(io::Error::other)?;
            metadata(&request, port).encode(&mut answer, version)
        }
        ApiKey::FindCoordinator => {
            let request = FindCoordinatorRequest::decode(&mut request, version).map_err(io::Error::other)?;
            let coordinators = request.coordinator_keys.into_iter().map(|key| {
                let here = Coordinator::default().with_key(key).with_node_id(BrokerId(1));
                here.with_host(StrBytes::from_static_str("127.0.0.1"))
                    .with_port(i32::from(port))
            });
            FindCoordinatorResponse::default()
                .with_coordinators(coordinators.collect())
                .encode(&mut answer, version)
        }
        _ => return Err(io::Error::other("not here")),
    }
    .map_err(io::Error::other)?;
    stream.write_all(&u32::try_from(answer.len()).unwrap().to_be_bytes())?;
    stream.write_all(&answer)
}

fn versions(early_access: bool) -> ApiVersionsResponse {
    let api = |key: i16, max: i16| ApiVersion::default().with_api_key(key).with_max_version(max);
    let mut keys = vec![
        api(ApiKey::Produce as i16, 12),
        api(ApiKey::Fetch as i16, 17),
        api(ApiKey::ListOffsets as i16, 10),
        api(ApiKey::Metadata as i16, 12),
        api(ApiKey::OffsetCommit as i16, 9),
        api(ApiKey::OffsetFetch as i16, 9),
        api(ApiKey::FindCoordinator as i16, 4),
        api(ApiKey::ApiVersions as i16, 3),
        api(ApiKey::InitProducerId as i16, 5),
    ];
    if early_access {
        keys.push(api(STREAMS_GROUP_HEARTBEAT, 0));
    }
    let metadata = FinalizedFeatureKey::default()
        .with_name(StrBytes::from_static_str("metadata.version"))
        .with_min_version_level(1)
        .with_max_version_level(27);
    ApiVersionsResponse::default()
        .with_api_keys(keys)
        .with_finalized_features_epoch(1)
        .with_finalized_features(vec![metadata])
}

fn metadata(request: &MetadataRequest, port: u16) -> MetadataResponse {
    let here = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(StrBytes::from_static_str("127.0.0.1"))
        .with_port(i32::from(port));
    let asked = request.topics.clone().unwrap_or_default();
    let topics = asked.into_iter().filter_map(|topic| topic.name).map(|name: TopicName| {
        let partitions = (0..super::PARTITIONS).map(|index| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(BrokerId(1))
                .with_replica_nodes(vec![BrokerId(1)])
                .with_isr_nodes(vec![BrokerId(1)])
        });
        MetadataResponseTopic::default()
            .with_name(Some(name))
            .with_partitions(partitions.collect())
    });
    MetadataResponse::default()
        .with_brokers(vec![here])
        .with_controller_id(BrokerId(1))
        .with_cluster_id(Some(StrBytes::from_static_str("old")))
        .with_topics(topics.collect())
}
