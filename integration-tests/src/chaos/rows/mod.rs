//! The rows of the table, by what they break.

mod app;
mod brokers;
mod codes;
mod crash_points;
mod disk;
mod network;
mod user_code;

use super::Row;

/// In the order of their numbers.
pub(super) fn all() -> Vec<Row> {
    let mut all = [
        app::ROWS,
        crash_points::ROWS,
        user_code::ROWS,
        brokers::ROWS,
        network::ROWS,
        codes::ROWS,
        disk::ROWS,
    ]
    .concat();
    all.sort_by_key(|row| row.id);
    all
}
