//! A broker for a person: started by one command, stopped by another.
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::config::ServerConfig;
use super::error::{Context, HarnessError, Result};
use super::jars::cache_dir;
use super::jvm::{bootstrap, prepare};
use super::node::NodeSpec;
use super::observer::Observer;
use super::ports::is_free;
use super::process::{Signal, send_signal};

const STOP_LIMIT: Duration = Duration::from_secs(20);
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A cluster that goes on when we end.
#[derive(Debug)]
pub struct DetachedCluster {
    /// `host:port,...`
    pub bootstrap: String,
    /// Logs and data.
    pub dir: PathBuf,
    /// Process ids of the brokers.
    pub pids: Vec<u32>,
}

fn home() -> Result<PathBuf> {
    Ok(cache_dir()?.join("broker"))
}

/// Starts brokers that outlive this process. One such cluster per user.
pub fn start_detached(config: &ServerConfig) -> Result<DetachedCluster> {
    let dir = home()?;
    if !running(&dir).is_empty() {
        return Err(HarnessError::Unsupported(
            "a broker is running already; `cargo xtask broker stop` ends it".to_owned(),
        ));
    }
    for port in (config.first_port.unwrap_or(0)..)
        .take(config.brokers)
        .filter(|p| *p != 0)
    {
        if !is_free(port) {
            return Err(HarnessError::Unsupported(format!(
                "port {port} is in use; choose another with --port"
            )));
        }
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).context(|| format!("removing {}", dir.display()))?;
    }
    let specs = prepare(config, &dir)?;
    let mut children = Vec::with_capacity(specs.len());
    for spec in &specs {
        let child = spec.spawn_detached()?;
        fs::write(dir.join(format!("{}.pid", spec.id)), child.id().to_string())
            .context(|| "writing a pid".to_owned())?;
        children.push(child);
    }
    for (spec, child) in specs.iter().zip(&mut children) {
        spec.wait_for_port(child)?;
    }
    let bootstrap = bootstrap(&specs);
    Observer::new(&bootstrap)?.wait_for_brokers(config.brokers, READY_LIMIT)?;
    Ok(DetachedCluster {
        bootstrap,
        dir,
        pids: children.iter().map(std::process::Child::id).collect(),
    })
}

impl NodeSpec {
    /// In a process group of its own: an interrupt of the terminal does not reach it.
    fn spawn_detached(&self) -> Result<std::process::Child> {
        self.command()?
            .process_group(0)
            .spawn()
            .context(|| format!("starting broker {}", self.id))
    }
}

/// Stops the brokers of [`start_detached`] and removes their data. Returns how many were running.
pub fn stop_detached() -> Result<usize> {
    let dir = home()?;
    let pids = running(&dir);
    for pid in &pids {
        // Gone in between is as good.
        let _ = send_signal(*pid, Signal::Terminate);
    }
    let start = Instant::now();
    while !running(&dir).is_empty() && start.elapsed() < STOP_LIMIT {
        std::thread::sleep(Duration::from_millis(50));
    }
    for pid in running(&dir) {
        let _ = send_signal(pid, Signal::Kill);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).context(|| format!("removing {}", dir.display()))?;
    }
    Ok(pids.len())
}

/// Brokers of the directory that are alive. A number that now belongs to another program does not count.
fn running(dir: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let pid_files = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "pid"));
    let pids = pid_files.filter_map(|p| fs::read_to_string(p).ok()?.trim().parse::<u32>().ok());
    let ours = dir.display().to_string();
    pids.filter(|pid| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&ours))
    })
    .collect()
}
