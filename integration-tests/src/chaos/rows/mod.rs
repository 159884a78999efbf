//! The rows of the table, by what they break.

mod app;
mod brokers;
mod network;

use super::Row;

pub(super) fn all() -> Vec<Row> {
    [app::ROWS, brokers::ROWS, network::ROWS].concat()
}
