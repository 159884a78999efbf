//! What a task is given when it is built.
use std::{rc::Rc, sync::Arc};

use millstream_state::TaskState;

use super::{Collector, Handlers};

/// What the runtime hands to a task when it is built.
pub struct TaskEnvironment {
    /// `application.id`.
    pub application_id: Arc<str>,
    /// `<subtopology>_<partition>`
    pub task_id: Arc<str>,
    /// Partition of every source of the task.
    pub partition: i32,
    /// Takes the output.
    pub collector: Rc<dyn Collector>,
    /// Opened with exactly the store specs of `Subtopology::stores`, in that order.
    pub state: TaskState,
    /// Error handlers.
    pub handlers: Arc<Handlers>,
    /// Clock at build, milliseconds since the epoch.
    pub wall_clock_ms: i64,
}
