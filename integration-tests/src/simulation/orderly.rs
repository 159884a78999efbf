//! An orderly stop commits what was processed: whoever goes on does nothing again.

use millstream::testing::{Observation, Run};

use super::Scenario;
use crate::applications::Application;

/// In a run where nothing but orderly stops happened, every record of the input was processed once.
///
/// # Errors
/// How many were processed instead.
pub(super) fn nothing_was_repeated(scenario: &Scenario, run: &Run) -> Result<(), String> {
    let (mut fed, mut stops) = (0, 0);
    for observed in run.observed() {
        match &observed.what {
            Observation::Produced(_) => fed += 1,
            Observation::Fault { what, .. } if *what == "stopped in order" => stops += 1,
            Observation::Fault { .. } => return Ok(()),
            _ => {}
        }
    }
    let count = |what| run.happened().get(what).copied().unwrap_or(0);
    // The records of a repartition topic count, too; those of a global table do not.
    let of_each = match scenario.about.application {
        Application::RekeyedCount => 2,
        Application::GlobalTableJoin => return Ok(()),
        _ => 1,
    };
    let processed = count("record processed");
    let undisturbed = [
        "abort",
        "request lost",
        "answer lost",
        "session expired",
        "administration without answer",
    ]
    .iter()
    .all(|what| count(what) == 0);
    if stops > 0 && undisturbed && processed != fed * of_each {
        return Err(format!(
            "{processed} records were processed, only {} were there: an orderly stop did not commit",
            fed * of_each
        ));
    }
    Ok(())
}
