//! One behaviour, several clusters: what every implementation of `millstream::cluster` must do, one scenario per
//! function. They run against the cluster in memory and against real Kafka; a difference is a bug in the former.
//!
//! A scenario knows nothing about the cluster it runs on but the traits. It makes its own topics, groups and ids
//! through [`TestNames`], so that all of them can share one cluster at the same time.
mod clients;
pub mod groups;
mod member;
pub mod offsets;
pub mod rebalance;
pub mod records;
pub mod transactions;

use std::time::Duration;

use millstream::cluster::{Cluster, TopicPartition};

/// What a scenario returns: an error names what the cluster refused; assertions are panics.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// One scenario.
pub type Scenario = fn(&dyn Cluster, &TestNames) -> Outcome;

/// Names of one run of one scenario, and the time-outs of the cluster it runs on.
#[derive(Clone, Debug)]
pub struct TestNames {
    prefix: String,
    session_timeout: Duration,
}

impl TestNames {
    /// `prefix` must be used by nobody else on the cluster; `session_timeout` is that of its streams groups.
    pub fn new(prefix: impl Into<String>, session_timeout: Duration) -> Self {
        TestNames {
            prefix: prefix.into(),
            session_timeout,
        }
    }

    /// A topic of this scenario.
    pub fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A partition of a topic of this scenario.
    pub fn partition(&self, name: &str, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: self.topic(name).into(),
            partition,
        }
    }

    /// The group of this scenario.
    pub fn group(&self) -> String {
        format!("{}-group", self.prefix)
    }

    /// A transactional id of this scenario.
    pub fn transactional_id(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// After how much silence the cluster removes a member.
    pub fn session_timeout(&self) -> Duration {
        self.session_timeout
    }
}

macro_rules! scenarios {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Every scenario with its name.
        pub const ALL: &[(&str, Scenario)] = &[$((stringify!($name), $module::$name)),*];
    };
}

scenarios![
    records::records_arrive_in_order_with_their_offsets,
    records::an_offset_is_found_by_its_time,
    records::timestamps_headers_nulls_and_empty_bytes_are_kept,
    records::a_record_without_timestamp_gets_the_time_of_sending,
    records::the_end_is_reported_again_after_more_records,
    records::what_piled_up_is_not_cut_at_former_ends,
    records::seek_reads_again,
    records::an_offset_that_does_not_exist_is_corrupted,
    records::deleted_records_are_gone,
    records::a_missing_topic_is_named,
    records::acknowledged_offsets_are_reported_once,
    records::a_waiting_consumer_is_woken,
    transactions::committed_records_are_visible_and_the_end_is_behind_the_marker,
    transactions::aborted_records_are_invisible,
    transactions::an_open_transaction_holds_readers_back,
    transactions::a_second_producer_fences_the_first,
    transactions::a_forgotten_transaction_is_aborted,
    transactions::an_empty_transaction_commits,
    transactions::interleaved_transactions_are_told_apart,
    offsets::offsets_are_committed_with_their_metadata,
    offsets::offsets_of_a_committed_transaction_count_and_of_an_aborted_one_do_not,
    offsets::a_stable_read_never_sees_an_open_transaction,
    offsets::a_wrong_epoch_commits_nothing,
    offsets::an_unknown_member_commits_nothing,
    offsets::a_member_that_left_commits_nothing,
    offsets::an_old_epoch_commits_what_was_kept,
    groups::the_first_member_gets_every_task_once,
    groups::a_missing_source_topic_is_a_status_until_it_exists,
    groups::internal_topics_are_created_with_derived_partition_counts,
    groups::copartitioned_topics_of_different_size_are_a_status,
    groups::another_topology_is_refused,
    groups::the_order_of_source_topics_is_part_of_the_topology,
    groups::a_shutdown_is_told_to_every_member,
    groups::a_join_without_topology_is_refused,
    groups::a_heartbeat_of_a_stranger_is_refused,
    rebalance::a_second_member_takes_half_after_the_first_gave_it_back,
    rebalance::a_member_that_leaves_gives_its_tasks_back,
    rebalance::a_silent_member_loses_its_tasks,
    rebalance::a_wrong_epoch_is_fenced_and_a_rejoin_gets_the_tasks_again,
    rebalance::a_revocation_that_is_not_acknowledged_removes_the_member,
    rebalance::an_answer_that_nobody_heard_is_described_but_never_repeated,
];
