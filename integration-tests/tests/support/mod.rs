//! Runs scenarios side by side and reports every one that failed, not only the first.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use millstream::cluster::Cluster;
use millstream_integration_tests::behaviour::{Scenario, TestNames};

/// `BEHAVIOUR=part-of-a-name` narrows it down.
pub(crate) fn run_all(
    scenarios: &[(&str, Scenario)],
    cluster: &dyn Cluster,
    names: impl Fn(&str) -> TestNames + Sync,
    threads: usize,
) {
    let wanted = std::env::var("BEHAVIOUR").unwrap_or_default();
    let chosen: Vec<_> = scenarios.iter().filter(|(name, _)| name.contains(&wanted)).collect();
    assert!(!chosen.is_empty(), "no scenario is called {wanted}");
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, scenario)) = chosen.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let start = Instant::now();
                    let names = names(name);
                    let outcome = catch_unwind(AssertUnwindSafe(|| scenario(cluster, &names)));
                    let seconds = start.elapsed().as_secs_f64();
                    let problem = match outcome {
                        Ok(Ok(())) => {
                            println!("ok     {name} ({seconds:.1} s)");
                            continue;
                        }
                        Ok(Err(error)) => error.to_string(),
                        Err(panic) => text_of(&*panic),
                    };
                    println!("FAILED {name} ({seconds:.1} s): {problem}");
                    failed.lock().unwrap().push(format!("{name}: {problem}"));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {} scenarios failed:\n{}",
        failed.len(),
        chosen.len(),
        failed.join("\n")
    );
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic")
        .to_owned()
}
