//! StreamsGroupDescribe (key 89), version 0: what a group believes of its members.
use bytes::{BufMut, Bytes, BytesMut};

use super::super::connection::Frame;
use super::heartbeat::{flat, get_tasks};
use super::primitives::{
    Decoded, Malformed, get_array, get_i8, get_i16, get_i32, get_i64, get_nullable, get_nullable_array,
    get_nullable_string, get_string, get_u16, put_array, put_string, put_tags, skip_tags,
};
use crate::cluster::{MemberDescription, TaskLists};

pub(in super::super) const KEY: i16 = 89;
pub(in super::super) const FRAME: Frame = Frame {
    key: KEY,
    version: 0,
    request_header: 2,
    response_header: 1,
};

pub(in super::super) fn encode_request(group_id: &str, out: &mut BytesMut) {
    put_array(out, &[group_id], |out, id| put_string(out, id));
    out.put_u8(0); // nobody asks what we may do with the group
    put_tags(out);
}

/// A group with its error, if there is one.
#[derive(Debug)]
pub(in super::super) struct Group {
    pub(in super::super) error_code: i16,
    pub(in super::super) error_message: Option<String>,
    /// By member id.
    pub(in super::super) members: Vec<(String, MemberDescription)>,
}

pub(in super::super) fn decode_response(from: &mut Bytes) -> Result<Vec<Group>, Malformed> {
    let _throttle_ms = get_i32(from)?;
    let groups = get_array(from, get_group)?;
    skip_tags(from)?;
    Ok(groups)
}

fn get_group(from: &mut Bytes) -> Decoded<Group> {
    let error_code = get_i16(from)?;
    let error_message = get_nullable_string(from)?;
    let (_group_id, _state) = (get_string(from)?, get_string(from)?);
    let (_epoch, _assignment_epoch) = (get_i32(from)?, get_i32(from)?);
    get_nullable(from, skip_topology)?;
    let members = get_array(from, get_member)?;
    let _authorized_operations = get_i32(from)?;
    skip_tags(from)?;
    Ok(Group {
        error_code,
        error_message,
        members,
    })
}

fn skip_topology(from: &mut Bytes) -> Decoded<()> {
    let _epoch = get_i32(from)?;
    get_nullable_array(from, |from| {
        let _id = get_string(from)?;
        get_array(from, get_string)?;
        get_array(from, get_string)?;
        get_array(from, skip_topic)?;
        get_array(from, skip_topic)?;
        skip_tags(from)
    })?;
    skip_tags(from)
}

fn skip_topic(from: &mut Bytes) -> Decoded<()> {
    let _name = get_string(from)?;
    let (_partitions, _replicas) = (get_i32(from)?, get_i16(from)?);
    get_array(from, skip_pair)?;
    skip_tags(from)
}

fn skip_pair(from: &mut Bytes) -> Decoded<()> {
    get_string(from)?;
    get_string(from)?;
    skip_tags(from)
}

fn get_member(from: &mut Bytes) -> Decoded<(String, MemberDescription)> {
    let id = get_string(from)?;
    let member_epoch = get_i32(from)?;
    let (_instance, _rack) = (get_nullable_string(from)?, get_nullable_string(from)?);
    let (_client, _host) = (get_string(from)?, get_string(from)?);
    let _topology_epoch = get_i32(from)?;
    let _process = get_string(from)?;
    get_nullable(from, |from| {
        let _address = (get_string(from)?, get_u16(from)?);
        skip_tags(from)
    })?;
    get_array(from, skip_pair)?;
    get_array(from, skip_task_offset)?;
    get_array(from, skip_task_offset)?;
    let assigned = get_assignment(from)?;
    let _target = get_assignment(from)?;
    let _is_classic = get_i8(from)?;
    skip_tags(from)?;
    Ok((id, MemberDescription { member_epoch, assigned }))
}

fn skip_task_offset(from: &mut Bytes) -> Decoded<()> {
    let _subtopology = get_string(from)?;
    let (_partition, _offset) = (get_i32(from)?, get_i64(from)?);
    skip_tags(from)
}

fn get_assignment(from: &mut Bytes) -> Decoded<TaskLists> {
    let mut tasks = || get_array(from, get_tasks).map(|lists| flat(Some(lists)));
    let lists = TaskLists {
        active: tasks()?,
        standby: tasks()?,
        warmup: tasks()?,
    };
    skip_tags(from)?;
    Ok(lists)
}
