//! Processes of the harness: signals, and a watchdog that ends a broker whose test process was killed.
use std::io;
use std::process::{Child, Command, Stdio};

/// A signal that a test sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: stop in an orderly way.
    Terminate,
    /// SIGKILL: gone at once.
    Kill,
    /// SIGSTOP: frozen, sockets stay open.
    Pause,
    /// SIGCONT.
    Resume,
}

/// Sends a signal to a process by its id.
pub fn send_signal(pid: u32, signal: Signal) -> io::Result<()> {
    let name = match signal {
        Signal::Terminate => "TERM",
        Signal::Kill => "KILL",
        Signal::Pause => "STOP",
        Signal::Resume => "CONT",
    };
    // The shell's own `kill`: small images have no such program.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("no process {pid}")))
    }
}

/// Kills a process when this one is gone without having said so, for example after `kill -9` of the test.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// The watcher reads a pipe that only we can write to; its end means that we are gone.
    pub(crate) fn watch(pid: u32) -> io::Result<Self> {
        let shell = Command::new("sh")
            .arg("-c")
            .arg(format!("while read -r _; do :; done; kill -KILL {pid}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Watchdog {
    /// The watcher goes first, then the pipe: it never sees the end of a pipe that was closed on purpose.
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    fn ends_within(child: &mut Child, limit: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < limit {
            if child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn the_watched_process_ends_when_the_watcher_loses_us() {
        let mut child = sleeper();
        let mut watchdog = Watchdog::watch(child.id()).unwrap();
        drop(watchdog.shell.stdin.take());
        assert!(ends_within(&mut child, Duration::from_secs(5)));
    }

    #[test]
    fn a_dropped_watchdog_leaves_the_process_alone() {
        let mut child = sleeper();
        drop(Watchdog::watch(child.id()).unwrap());
        assert!(!ends_within(&mut child, Duration::from_millis(200)));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_signal_to_a_process_that_is_not_there_is_an_error() {
        let mut child = sleeper();
        send_signal(child.id(), Signal::Kill).unwrap();
        child.wait().unwrap();
        assert!(send_signal(child.id(), Signal::Kill).is_err());
    }
}
