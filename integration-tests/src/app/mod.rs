//! Application processes of a scenario: started, killed with `kill -9`, restarted on the same state directory.
//!
//! The process is the binary `counting-app` of this crate, an ordinary Millstream application. It tells what it does in
//! JSON lines on standard output; [`AppProcess`] collects them.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::kafka::{Signal, send_signal};

/// One line of the application's output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AppEvent {
    /// The application entered a state.
    State {
        /// Name of the state, as in Kafka Streams.
        state: String,
        /// Milliseconds since the process began.
        after_ms: u64,
        /// Changelog records read back so far.
        restored_records: u64,
        /// Records processed so far.
        processed_records: u64,
    },
    /// The application ended by itself.
    Ended {
        /// The error, if that was the reason.
        error: Option<String>,
    },
}

/// How the application is started.
#[derive(Clone, Debug, Default)]
pub struct AppOptions {
    /// Bootstrap servers.
    pub bootstrap: String,
    /// `application.id`.
    pub application_id: String,
    /// State directory of this instance.
    pub state_dir: PathBuf,
    /// Exactly-once or at-least-once.
    pub exactly_once: bool,
    /// Source topic.
    pub input: String,
    /// Sink topic.
    pub output: String,
    /// Record cache; 0 forwards every update.
    pub cache_bytes: usize,
    /// Memory of the persistent stores.
    pub state_memory_bytes: usize,
    /// More arguments of `counting-app`.
    pub arguments: Vec<String>,
    /// Environment of the process, for instance a failpoint.
    pub environment: Vec<(String, String)>,
    /// A program that runs the application, with its arguments; empty: none.
    pub runner: Vec<String>,
}

/// A running instance.
#[derive(Debug)]
pub struct AppProcess {
    child: Child,
    events: Arc<Mutex<Vec<AppEvent>>>,
}

impl AppProcess {
    /// Starts an instance; its log goes to `log`.
    ///
    /// # Errors
    /// When the binary cannot be started or the log cannot be written.
    pub fn start(binary: &Path, options: &AppOptions, log: &Path) -> io::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = match options.runner.split_first() {
            Some((runner, arguments)) => {
                let mut command = Command::new(runner);
                command.args(arguments).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        let mut child = command
            .args([
                "--bootstrap",
                &options.bootstrap,
                "--application-id",
                &options.application_id,
            ])
            .args(["--input", &options.input, "--output", &options.output])
            .args(["--cache-bytes", &options.cache_bytes.to_string()])
            .args(["--state-memory-bytes", &options.state_memory_bytes.to_string()])
            .arg("--state-dir")
            .arg(&options.state_dir)
            .args(options.exactly_once.then_some("--exactly-once"))
            .args(&options.arguments)
            .envs(options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let events = Arc::new(Mutex::new(Vec::new()));
        if let Some(output) = child.stdout.take() {
            let events = Arc::clone(&events);
            thread::spawn(move || collect(BufReader::new(output), &events));
        }
        Ok(Self { child, events })
    }

    /// What the instance has told so far.
    pub fn events(&self) -> Vec<AppEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first time it was RUNNING: (milliseconds since its start, changelog records restored by then).
    pub fn first_running(&self) -> Option<(u64, u64)> {
        self.events().iter().find_map(|event| match event {
            AppEvent::State {
                state,
                after_ms,
                restored_records,
                ..
            } if state == "RUNNING" => Some((*after_ms, *restored_records)),
            _ => None,
        })
    }

    /// Waits until it has been RUNNING.
    pub fn wait_until_running(&self, limit: Duration) -> Option<(u64, u64)> {
        let deadline = Instant::now() + limit;
        loop {
            let running = self.first_running();
            if running.is_some() || Instant::now() >= deadline {
                return running;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The most memory it had resident so far, as Linux counts.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn peak_memory_bytes(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmHWM:")?
                    .trim()
                    .strip_suffix("kB")?
                    .trim()
                    .parse()
                    .ok()
            })
            .map(|kib: u64| kib * 1024)
            .ok_or_else(|| io::Error::other("no VmHWM in the status of the process"))
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is gone.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the process is gone by itself; false if it is not.
    pub fn wait_until_ended(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.has_ended() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// The error it ended with, if it said one.
    pub fn error(&self) -> Option<String> {
        self.events().into_iter().find_map(|event| match event {
            AppEvent::Ended { error } => error,
            AppEvent::State { .. } => None,
        })
    }

    /// Records it had processed when it stopped, once it has said so; of a process that has ended.
    pub fn processed_at_its_end(&self, limit: Duration) -> Option<u64> {
        let deadline = Instant::now() + limit;
        loop {
            // What it said last is still being read when it is gone.
            let ended = self.events().iter().any(|e| matches!(e, AppEvent::Ended { .. }));
            if ended || Instant::now() >= deadline {
                return self.events().iter().rev().find_map(|event| match event {
                    AppEvent::State {
                        state,
                        processed_records,
                        ..
                    } if ended && state == "NOT_RUNNING" => Some(*processed_records),
                    _ => None,
                });
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGSTOP, SIGCONT or SIGTERM.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        send_signal(self.child.id(), signal)
    }

    /// `kill -9`: nothing of the process runs any more when this returns.
    ///
    /// # Errors
    /// When the process is already gone: then the fault was not injected.
    pub fn kill(mut self) -> io::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(io::Error::other(format!("the instance had already ended: {status}")));
        }
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGTERM, then waits; gives whether it ended well in time.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn stop(mut self, limit: Duration) -> io::Result<bool> {
        send_signal(self.child.id(), Signal::Terminate)?;
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

impl Drop for AppProcess {
    fn drop(&mut self) {
        // A process that has already ended cannot be killed: nothing to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(output: impl BufRead, events: &Mutex<Vec<AppEvent>>) {
    for line in output.lines().map_while(Result::ok) {
        if let Ok(event) = serde_json::from_str(&line) {
            events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    }
}
