//! StreamsGroupHeartbeat (key 88), version 0.
use bytes::{BufMut, Bytes, BytesMut};

use super::super::connection::Frame;
use super::primitives::{
    Decoded, Malformed, get_array, get_i8, get_i16, get_i32, get_nullable_array, get_nullable_string, get_string,
    get_u16, put_array, put_nullable_string, put_string, put_tags, put_varint, skip_tags,
};
use crate::cluster::{
    CopartitionGroup, HeartbeatRequest, HeartbeatResponse, SubtopologyDescription, TaskId, TaskLists, TopicInfo,
    TopologyDescription,
};

pub(in super::super) const KEY: i16 = 88;
pub(in super::super) const FRAME: Frame = Frame {
    key: KEY,
    version: 0,
    request_header: 2,
    response_header: 1,
};
const NULL: i8 = -1;
const PRESENT: i8 = 1;
/// The only topology epoch there is: topologies cannot be updated yet.
const TOPOLOGY_EPOCH: i32 = 0;

pub(in super::super) fn encode_request(group_id: &str, request: &HeartbeatRequest, out: &mut BytesMut) {
    put_string(out, group_id);
    put_string(out, &request.member_id);
    out.put_i32(request.member_epoch);
    out.put_i32(request.endpoint_epoch);
    put_nullable_string(out, None); // instance id: static membership does not exist yet
    put_nullable_string(out, None); // rack id
    out.put_i32(request.rebalance_timeout_ms);
    match &request.topology {
        Some(topology) => put_topology(out, topology),
        None => out.put_i8(NULL),
    }
    put_task_lists(out, request.owned.as_ref());
    put_nullable_string(out, request.process_id.as_deref());
    match &request.user_endpoint {
        Some((host, port)) => {
            out.put_i8(PRESENT);
            put_string(out, host);
            out.put_u16(*port);
            put_tags(out);
        }
        None => out.put_i8(NULL),
    }
    match &request.client_tags {
        Some(tags) => put_array(out, tags, put_pair),
        None => put_varint(out, 0),
    }
    put_varint(out, 0); // task offsets: not supported by brokers yet
    put_varint(out, 0); // task end offsets
    out.put_u8(u8::from(request.shutdown_application));
    put_tags(out);
}

fn put_topology(out: &mut BytesMut, topology: &TopologyDescription) {
    out.put_i8(PRESENT);
    out.put_i32(TOPOLOGY_EPOCH);
    put_array(out, &topology.subtopologies, put_subtopology);
    put_tags(out);
}

fn put_subtopology(out: &mut BytesMut, part: &SubtopologyDescription) {
    put_string(out, &part.id);
    put_array(out, &part.source_topics, |out, name| put_string(out, name));
    put_varint(out, 1); // patterns of source topics: refused by brokers
    put_array(out, &part.state_changelog_topics, put_topic);
    put_array(out, &part.repartition_sink_topics, |out, name| put_string(out, name));
    put_array(out, &part.repartition_source_topics, put_topic);
    put_array(out, &part.copartition_groups, put_copartition_group);
    put_tags(out);
}

fn put_copartition_group(out: &mut BytesMut, group: &CopartitionGroup) {
    put_array(out, &group.source_topics, |out, index| out.put_i16(*index));
    put_varint(out, 1);
    put_array(out, &group.repartition_source_topics, |out, index| out.put_i16(*index));
    put_tags(out);
}

fn put_topic(out: &mut BytesMut, topic: &TopicInfo) {
    put_string(out, &topic.name);
    out.put_i32(topic.partitions);
    out.put_i16(topic.replication_factor);
    put_array(out, &topic.configs, put_pair);
    put_tags(out);
}

fn put_pair(out: &mut BytesMut, (key, value): &(String, String)) {
    put_string(out, key);
    put_string(out, value);
    put_tags(out);
}

/// All three lists or none, as the broker demands.
fn put_task_lists(out: &mut BytesMut, lists: Option<&TaskLists>) {
    let Some(lists) = lists else {
        out.put_slice(&[0, 0, 0]);
        return;
    };
    for tasks in [&lists.active, &lists.standby, &lists.warmup] {
        put_tasks(out, tasks);
    }
}

fn put_tasks(out: &mut BytesMut, tasks: &[TaskId]) {
    let mut sorted: Vec<&TaskId> = tasks.iter().collect();
    sorted.sort();
    let parts: Vec<&[&TaskId]> = sorted.chunk_by(|a, b| a.subtopology == b.subtopology).collect();
    put_array(out, &parts, |out, part| {
        if let Some(first) = part.first() {
            put_string(out, &first.subtopology.to_string());
        }
        put_array(out, part, |out, task| out.put_i32(task.partition));
        put_tags(out);
    });
}

/// An answer with its error, if it is one.
#[derive(Debug)]
pub(in super::super) struct Answer {
    pub(in super::super) error_code: i16,
    pub(in super::super) error_message: Option<String>,
    pub(in super::super) response: HeartbeatResponse,
    /// Who answers queries for which partitions; None: unchanged. Read for the day queries are routed.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "queries over several instances do not exist yet")
    )]
    pub(in super::super) endpoints: Option<Vec<Endpoint>>,
}

/// One member's partitions of source topics: active, standby.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Endpoint {
    pub(in super::super) host: String,
    pub(in super::super) port: u16,
    pub(in super::super) active: Vec<(String, Vec<i32>)>,
    pub(in super::super) standby: Vec<(String, Vec<i32>)>,
}

pub(in super::super) fn decode_response(from: &mut Bytes) -> Result<Answer, Malformed> {
    let _throttle_ms = get_i32(from)?;
    let error_code = get_i16(from)?;
    let error_message = get_nullable_string(from)?;
    let _member_id = get_string(from)?;
    let member_epoch = get_i32(from)?;
    let heartbeat_interval_ms = get_i32(from)?;
    let _acceptable_lag = get_i32(from)?;
    let _task_offset_interval_ms = get_i32(from)?;
    let status = get_nullable_array(from, get_status)?.unwrap_or_default();
    let active = get_nullable_array(from, get_tasks)?;
    let standby = get_nullable_array(from, get_tasks)?;
    let warmup = get_nullable_array(from, get_tasks)?;
    let endpoint_epoch = get_i32(from)?;
    let endpoints = get_nullable_array(from, get_endpoint)?;
    skip_tags(from)?;
    let assigned = (active.is_some() || standby.is_some() || warmup.is_some()).then(|| TaskLists {
        active: flat(active),
        standby: flat(standby),
        warmup: flat(warmup),
    });
    let response = HeartbeatResponse {
        member_epoch,
        heartbeat_interval_ms,
        status,
        assigned,
        endpoint_epoch,
    };
    Ok(Answer {
        error_code,
        error_message,
        response,
        endpoints,
    })
}

fn get_status(from: &mut Bytes) -> Decoded<(i8, String)> {
    let status = (get_i8(from)?, get_string(from)?);
    skip_tags(from)?;
    Ok(status)
}

pub(super) fn get_tasks(from: &mut Bytes) -> Decoded<Vec<TaskId>> {
    let subtopology = get_string(from)?.parse().map_err(|_| Malformed)?;
    let tasks = get_array(from, |from| {
        Ok(TaskId {
            subtopology,
            partition: get_i32(from)?,
        })
    })?;
    skip_tags(from)?;
    Ok(tasks)
}

fn get_endpoint(from: &mut Bytes) -> Decoded<Endpoint> {
    let (host, port) = (get_string(from)?, get_u16(from)?);
    skip_tags(from)?;
    let (active, standby) = (
        get_array(from, get_topic_partitions)?,
        get_array(from, get_topic_partitions)?,
    );
    skip_tags(from)?;
    Ok(Endpoint {
        host,
        port,
        active,
        standby,
    })
}

fn get_topic_partitions(from: &mut Bytes) -> Decoded<(String, Vec<i32>)> {
    let topic = (get_string(from)?, get_array(from, get_i32)?);
    skip_tags(from)?;
    Ok(topic)
}

pub(super) fn flat(lists: Option<Vec<Vec<TaskId>>>) -> Vec<TaskId> {
    lists.unwrap_or_default().into_iter().flatten().collect()
}
