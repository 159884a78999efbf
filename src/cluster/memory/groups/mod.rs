//! The group coordinator: members, their tasks and their committed offsets.
mod assign;
mod heartbeat;
mod layout;
mod member;
mod offsets;
mod streams;
mod validate;

use std::collections::BTreeMap;

use self::{offsets::Offsets, streams::StreamsGroup};
use super::{
    super::{ErrorClass, GroupIdentity, MemberDescription, OffsetToCommit, Result, TopicPartition},
    errors::Code,
};

/// One group: offsets, and, once a member has joined, its membership.
#[derive(Default)]
struct Group {
    offsets: Offsets,
    streams: Option<StreamsGroup>,
}

#[derive(Default)]
pub(super) struct Groups {
    by_id: BTreeMap<String, Group>,
    /// Members that were removed because nothing was heard of them in time.
    expired: u64,
}

impl Groups {
    /// Removes members whose session or rebalance time-out has passed.
    pub(super) fn expire_members(&mut self, now_ms: i64) {
        for streams in self.by_id.values_mut().filter_map(|g| g.streams.as_mut()) {
            self.expired += streams.expire_members(now_ms);
        }
    }

    pub(super) fn sessions_expired(&self) -> u64 {
        self.expired
    }

    pub(super) fn next_timeout_ms(&self) -> i64 {
        let groups = self.by_id.values().filter_map(|g| g.streams.as_ref());
        groups.map(StreamsGroup::next_timeout_ms).min().unwrap_or(i64::MAX)
    }

    pub(super) fn committed(&self, group: &str) -> Vec<OffsetToCommit> {
        self.by_id.get(group).map_or_else(Vec::new, |g| g.offsets.all())
    }

    pub(super) fn delete(&mut self, group: &str) -> Result<()> {
        match self.by_id.get(group) {
            None => Err(Code::GroupIdNotFound.error(format!("Group {group} not found."))),
            Some(found) if found.streams.as_ref().is_some_and(|s| !s.is_empty()) => {
                Err(Code::NonEmptyGroup.error(format!("The group {group} is not empty.")))
            }
            Some(_) => {
                self.by_id.remove(group);
                Ok(())
            }
        }
    }

    /// StreamsGroupDescribe, cut down to one member.
    pub(super) fn describe_member(&self, group: &str, member_id: &str) -> Option<MemberDescription> {
        let streams = self.by_id.get(group)?.streams.as_ref()?;
        let member = streams.members.get(member_id)?;
        Some(MemberDescription {
            member_epoch: member.epoch,
            assigned: member.assigned.lists(),
        })
    }

    pub(super) fn fetch_offsets(
        &self,
        group: &str,
        identity: Option<&GroupIdentity>,
        partitions: &[TopicPartition],
        require_stable: bool,
    ) -> Result<Vec<OffsetToCommit>> {
        let found = self.by_id.get(group);
        if let Some(identity) = identity {
            match found.and_then(|g| g.streams.as_ref()) {
                Some(streams) => streams.check_fetch(identity)?,
                None => return Err(unknown_member(identity)),
            }
        }
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        found.offsets.fetch(partitions, require_stable)
    }

    /// The rule for offsets outside of transactions.
    pub(super) fn check_commit(&self, identity: &GroupIdentity, offsets: &[OffsetToCommit]) -> Result<()> {
        let streams = self.by_id.get(&identity.group_id).and_then(|g| g.streams.as_ref());
        let simple = identity.member_id.is_empty() && identity.member_epoch < 0;
        match streams {
            Some(streams) if !streams.is_empty() => streams.check_commit(identity, offsets),
            _ if simple => Ok(()),
            _ => Err(unknown_member(identity)),
        }
    }

    /// The same rule inside of transactions, with two differences a broker makes: a refused epoch has another code,
    /// and no identity at all is accepted even while the group has members.
    pub(super) fn check_transactional_commit(
        &self,
        identity: &GroupIdentity,
        offsets: &[OffsetToCommit],
    ) -> Result<()> {
        if identity.member_id.is_empty() && identity.member_epoch < 0 {
            return Ok(());
        }
        self.check_commit(identity, offsets).map_err(|error| {
            if error.code == Code::StaleMemberEpoch as i32 {
                Code::IllegalGeneration.error(error.message)
            } else {
                error
            }
        })
    }

    pub(super) fn store_offsets(&mut self, group: &str, offsets: &[OffsetToCommit]) {
        self.by_id.entry(group.to_owned()).or_default().offsets.commit(offsets);
    }

    /// Offsets of an open transaction: kept aside until it is settled.
    pub(super) fn hold_offsets(&mut self, group: &str, producer_id: i64, offsets: &[OffsetToCommit]) {
        let group = self.by_id.entry(group.to_owned()).or_default();
        group.offsets.hold(producer_id, offsets);
    }

    pub(super) fn settle_offsets(&mut self, group: &str, producer_id: i64, commit: bool) {
        if let Some(group) = self.by_id.get_mut(group) {
            group.offsets.settle(producer_id, commit);
        }
    }
}

fn unknown_member(identity: &GroupIdentity) -> super::super::ClusterError {
    Code::UnknownMemberId.error(format!(
        "Member {} is not a member of group {}.",
        identity.member_id, identity.group_id
    ))
}

impl super::broker::Broker {
    /// OffsetCommit. One bad partition refuses all of them.
    pub(super) fn commit_offsets(&mut self, identity: &GroupIdentity, offsets: &[OffsetToCommit]) -> Result<()> {
        self.groups.check_commit(identity, offsets)?;
        for offset in offsets {
            let log = self.topics.log(&offset.partition);
            log.map_err(|e| e.of_class(ErrorClass::Retry))?;
        }
        self.groups.store_offsets(&identity.group_id, offsets);
        Ok(())
    }
}
