//! Faults of the application's own processes.

use super::super::{Attempt, Row, Scenario, SceneOptions};

pub(super) const ROWS: &[Row] = &[Row {
    id: "R01",
    fault: "`kill -9` of an instance under load, restarted at once on its state",
    full_count: 300,
    seconds_each: 6.0,
    seconds_around: 15.0,
    run: hard_kill,
}];

fn hard_kill(s: &mut Scenario<'_>) -> Attempt {
    let mut to_running = Vec::new();
    let options = SceneOptions::default();
    let instances = options.instances as u64;
    let mut open = 0;
    let mut scene = s.scene(options)?;
    s.rounds(&mut scene, |s, scene, round| {
        s.world.random_pause(500, 2_500);
        let index = (round % instances) as usize;
        let in_transaction = s.world.proxy.in_transaction(&scene.client(index));
        open += u64::from(in_transaction);
        s.outcome.sometimes("killed inside a transaction", in_transaction);
        scene.kill(index)?;
        scene.start(index, &[])?;
        to_running.push(scene.wait_until_running(index)?.0);
        Ok(())
    })?;
    s.close(scene)?;
    if open * 10 < s.outcome.injected * 3 {
        s.outcome.violation(format!(
            "only {open} kills hit an open transaction: the row proves little"
        ));
    }
    to_running.sort_unstable();
    if let (Some(p50), Some(max)) = (to_running.get(to_running.len() / 2), to_running.last()) {
        s.outcome
            .notes
            .push(format!("RUNNING again after {p50} ms (p50), {max} ms (max)"));
    }
    Ok(())
}
