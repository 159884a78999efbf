//! One heartbeat from arrival to answer: identity, news for the group, a new assignment when one is due, one step of
//! the member towards it.
use std::sync::Arc;

use super::{
    super::{
        super::{HeartbeatRequest, HeartbeatResponse, Result, TaskLists, TopicInfo},
        broker::Broker,
        config::MemoryClusterConfig,
        errors::Code,
        topics::Topics,
    },
    assign::{Candidate, assign},
    layout::{ASSIGNMENT_DELAYED, Layout, SHUTDOWN_APPLICATION, configure},
    member::{Member, Occupancy},
    streams::{StreamsGroup, TopicFingerprint},
    validate,
};

impl Broker {
    pub(in super::super) fn heartbeat(
        &mut self,
        group_id: &str,
        request: &HeartbeatRequest,
        now_ms: i64,
    ) -> Result<HeartbeatResponse> {
        let Broker {
            config, topics, groups, ..
        } = self;
        if request.member_epoch == 0 {
            let topology = validate::join(request)?;
            let group = groups.by_id.entry(group_id.to_owned()).or_default();
            let streams = group
                .streams
                .get_or_insert_with(|| StreamsGroup::new(Arc::new(topology.clone())));
            streams.join(request, config, now_ms)?;
            return Ok(streams.answer(request, config, topics, now_ms));
        }
        let known = groups.by_id.get_mut(group_id).and_then(|g| g.streams.as_mut());
        let Some(streams) = known else {
            return Err(Code::GroupIdNotFound.error(format!("Streams group {group_id} not found.")));
        };
        if !streams.members.contains_key(&request.member_id) {
            return Err(Code::UnknownMemberId.error(format!(
                "Member {} is not a member of group {group_id}.",
                request.member_id
            )));
        }
        if request.member_epoch == -1 {
            return Ok(streams.leave(request));
        }
        validate::live(request, &streams.topology)?;
        streams.update(request, config, now_ms)?;
        Ok(streams.answer(request, config, topics, now_ms))
    }
}

impl StreamsGroup {
    fn join(&mut self, request: &HeartbeatRequest, config: &MemoryClusterConfig, now_ms: i64) -> Result<()> {
        let known = self.members.contains_key(&request.member_id);
        if !known && self.members.len() >= config.max_group_size {
            return Err(Code::GroupMaxSizeReached.error(format!(
                "The streams group has reached its maximum capacity of {} members.",
                config.max_group_size
            )));
        }
        if let Some(topology) = &request.topology
            && !validate::same_topology(&self.topology, topology)
        {
            return Err(Code::InvalidRequest.error("Topology updates are not supported yet."));
        }
        if self.members.is_empty() {
            self.delay_until_ms = now_ms.saturating_add(config.initial_rebalance_delay_ms);
            self.last_assignment_ms = None;
        }
        if !known {
            self.epoch += 1;
            self.members.insert(request.member_id.clone(), Member::default());
        }
        self.refresh_member(request, config, now_ms);
        Ok(())
    }

    fn leave(&mut self, request: &HeartbeatRequest) -> HeartbeatResponse {
        if request.shutdown_application {
            self.shutdown_by = Some(request.member_id.clone());
        }
        self.remove(&request.member_id);
        HeartbeatResponse {
            member_epoch: -1,
            ..HeartbeatResponse::default()
        }
    }

    fn update(&mut self, request: &HeartbeatRequest, config: &MemoryClusterConfig, now_ms: i64) -> Result<()> {
        let epoch = request.member_epoch;
        if let Some(member) = self.members.get(&request.member_id)
            && !member.accepts_epoch(epoch, request.owned.as_ref())
        {
            let relation = if epoch < member.epoch { "smaller" } else { "greater" };
            return Err(Code::FencedMemberEpoch.error(format!(
                "The streams group member has a {relation} member epoch ({epoch}) than the one known by the group \
                 coordinator ({}). The member must abandon all its tasks and rejoin.",
                member.epoch
            )));
        }
        self.refresh_member(request, config, now_ms);
        Ok(())
    }

    /// Takes over what the request says of the member; news of its identity asks for a new assignment.
    fn refresh_member(&mut self, request: &HeartbeatRequest, config: &MemoryClusterConfig, now_ms: i64) {
        if request.shutdown_application {
            self.shutdown_by = Some(request.member_id.clone());
        }
        let Some(member) = self.members.get_mut(&request.member_id) else {
            return;
        };
        let fresh = member.session_deadline_ms == 0;
        member.session_deadline_ms = now_ms.saturating_add(config.session_timeout_ms);
        if request.rebalance_timeout_ms >= 0 {
            member.rebalance_timeout_ms = i64::from(request.rebalance_timeout_ms);
        }
        let mut changed = false;
        if let Some(process_id) = request.process_id.as_ref().filter(|p| **p != member.process_id) {
            member.process_id.clone_from(process_id);
            changed = true;
        }
        if let Some(tags) = request.client_tags.as_ref().filter(|t| **t != member.client_tags) {
            member.client_tags.clone_from(tags);
            changed = true;
        }
        if request.user_endpoint.is_some() && request.user_endpoint != member.user_endpoint {
            member.user_endpoint.clone_from(&request.user_endpoint);
            changed = true;
            self.endpoint_epoch += i32::from(fresh);
        }
        // Joining has moved the epoch already.
        self.epoch += i32::from(changed && !fresh);
    }

    fn answer(
        &mut self,
        request: &HeartbeatRequest,
        config: &MemoryClusterConfig,
        topics: &mut Topics,
        now_ms: i64,
    ) -> HeartbeatResponse {
        let fingerprint = self.fingerprint(topics);
        if fingerprint != self.topics {
            // The very first look is part of the join that brought the topology.
            self.epoch += i32::from(!self.topics.is_empty());
            self.topics = fingerprint;
        }
        let topology = Arc::clone(&self.topology);
        let layout = configure(&topology, |name| Some(topics.get(name)?.partitions.len() as i32));
        let mut status = Vec::new();
        if self.epoch > self.target_epoch {
            match self.reason_to_wait(config, now_ms) {
                Some(reason) => status.push((ASSIGNMENT_DELAYED, reason)),
                None => self.assign(&layout, config, now_ms),
            }
        }
        status.extend(self.topic_status(&layout));
        if let Some(member) = &self.shutdown_by {
            let text = format!(
                "Streams group member {member} encountered a fatal error and requested a shutdown for the entire application."
            );
            status.push((SHUTDOWN_APPLICATION, text));
        }
        let assigned = self.reconcile(request, now_ms);
        self.create_internal_topics(&layout.missing, topics);
        HeartbeatResponse {
            member_epoch: self.members.get(&request.member_id).map_or(0, |m| m.epoch),
            heartbeat_interval_ms: config.heartbeat_interval_ms,
            status,
            assigned,
            endpoint_epoch: self.endpoint_epoch,
        }
    }

    fn fingerprint(&self, topics: &Topics) -> TopicFingerprint {
        let seen = |name: &str| topics.get(name).map(|t| (t.id, t.partitions.len()));
        let names = StreamsGroup::topic_names(&self.topology);
        names.into_iter().map(|name| (name.to_owned(), seen(name))).collect()
    }

    fn reason_to_wait(&self, config: &MemoryClusterConfig, now_ms: i64) -> Option<String> {
        if now_ms < self.delay_until_ms {
            return Some("Assignment delayed due to the configured initial rebalance delay.".to_owned());
        }
        let last = self.last_assignment_ms?;
        (now_ms < last.saturating_add(config.assignment_interval_ms))
            .then(|| "Assignment delayed due to the configured assignment interval.".to_owned())
    }

    /// A new target for everybody; empty while the topics are not as the topology needs them.
    fn assign(&mut self, layout: &Layout, config: &MemoryClusterConfig, now_ms: i64) {
        let before = |id: &String, member: &Member| match self.target.get(id) {
            // While topics were missing nobody had a target: what the member still holds counts instead.
            Some(lists) if !lists.active.is_empty() || !lists.standby.is_empty() => lists.clone(),
            _ => member.assigned.lists(),
        };
        let candidates: Vec<Candidate<'_>> = self
            .members
            .iter()
            .map(|(id, member)| Candidate {
                id,
                process: &member.process_id,
                before: before(id, member),
            })
            .collect();
        let target = assign(
            &candidates,
            &layout.tasks,
            &layout.stateful,
            config.num_standby_replicas,
        );
        self.target = target;
        self.target_epoch = self.epoch;
        self.last_assignment_ms = Some(now_ms);
    }

    fn topic_status(&self, layout: &Layout) -> Option<(i8, String)> {
        let (code, mut text) = layout.status.clone()?;
        let failures: Vec<String> = layout
            .missing
            .iter()
            .filter_map(|t| Some(format!("{} ({})", t.name, self.creation_failures.get(&t.name)?)))
            .collect();
        if !failures.is_empty() {
            text = format!("{text}; Creation failed: {}.", failures.join(", "));
        }
        Some((code, text))
    }

    /// Moves the member one step; the lists go into the answer only if it joins or if they have just changed.
    fn reconcile(&mut self, request: &HeartbeatRequest, now_ms: i64) -> Option<TaskLists> {
        let id = &request.member_id;
        let mut member = self.members.remove(id)?;
        let target = self.target.get(id).cloned().unwrap_or_default();
        let before = member.assigned.lists();
        let members = &self.members;
        let occupancy = |me: &Member| Occupancy::of(members.iter().chain(std::iter::once((id, me))));
        member.reconcile(&target, self.target_epoch, request.owned.as_ref(), occupancy, now_ms);
        let after = member.assigned.lists();
        let changed = before != after;
        if changed && member.user_endpoint.is_some() {
            self.endpoint_epoch += 1;
        }
        self.members.insert(id.clone(), member);
        (changed || request.member_epoch == 0).then_some(after)
    }

    /// The broker creates internal topics itself; the next heartbeat finds them.
    fn create_internal_topics(&mut self, missing: &[TopicInfo], topics: &mut Topics) {
        self.creation_failures.clear();
        for topic in missing {
            if let Err(error) = topics.create(topic, topic.partitions) {
                self.creation_failures.insert(topic.name.clone(), error.message);
            }
        }
    }
}
