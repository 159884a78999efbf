//! One JVM broker: format, start, kill, pause, stop.
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::error::{Context, HarnessError, Result};
use super::process::{Signal, Watchdog, send_signal};

/// Appends to the process's standard output, which goes to the broker's log file.
const LOG4J2: &str = "\
status=error
appenders=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level=info
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=out
";

const START_LIMIT: Duration = Duration::from_secs(60);

/// What a JVM broker is started with.
#[derive(Clone, Debug)]
pub(crate) struct NodeSpec {
    /// From 1.
    pub(crate) id: usize,
    pub(crate) libs: PathBuf,
    /// Properties, log and data lie here.
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) jvm_options: Vec<String>,
}

impl NodeSpec {
    fn properties(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn java(&self, options: &[String]) -> Result<Command> {
        let log = open_log(&self.log())?;
        let log_too = log.try_clone().context(|| "opening the broker's log".to_owned())?;
        let mut java = Command::new("java");
        java.args(options)
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                self.dir.join("log4j2.properties").display()
            ))
            .arg("-cp")
            .arg(format!("{}/*", self.libs.display()))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too);
        Ok(java)
    }

    /// Writes the settings and formats the data directory.
    pub(crate) fn prepare(&self, properties: &str, cluster_id: &str) -> Result<()> {
        fs::create_dir_all(&self.dir).context(|| format!("creating {}", self.dir.display()))?;
        fs::write(self.properties(), properties).context(|| "writing server.properties".to_owned())?;
        fs::write(self.dir.join("log4j2.properties"), LOG4J2).context(|| "writing log4j2.properties".to_owned())?;
        let quick = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned);
        let status = self
            .java(&quick)?
            .args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"])
            .arg(self.properties())
            .status()
            .map_err(|e| {
                HarnessError::Missing(format!("a JDK 17 is needed for tests against real Kafka: java: {e}"))
            })?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failure(format!("StorageTool ended with {status}")))
        }
    }

    /// What runs the broker.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut java = self.java(&self.jvm_options)?;
        java.arg("kafka.Kafka").arg(self.properties());
        Ok(java)
    }

    /// Waits until the broker takes connections.
    pub(crate) fn wait_for_port(&self, child: &mut Child) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if let Some(status) = child.try_wait().context(|| "waiting for the broker".to_owned())? {
                return Err(self.failure(format!("ended with {status}")));
            }
            if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(self.failure(format!(
            "port {} did not answer within {} s",
            self.port,
            START_LIMIT.as_secs()
        )))
    }

    pub(crate) fn failure(&self, reason: String) -> HarnessError {
        HarnessError::Broker {
            node: self.id,
            reason,
            log: self.log(),
        }
    }
}

fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .context(|| format!("opening {}", path.display()))
}

struct Running {
    child: Child,
    _watchdog: Watchdog,
}

/// A broker of a test: it ends when this value is dropped, or when the test's process is gone.
pub(crate) struct Node {
    pub(crate) spec: NodeSpec,
    running: Option<Running>,
}

impl Node {
    pub(crate) fn new(spec: NodeSpec) -> Self {
        Self { spec, running: None }
    }

    /// Starts the process without waiting for it; nothing if it runs.
    pub(crate) fn launch(&mut self) -> Result<()> {
        if self.running.is_none() {
            let child = self
                .spec
                .command()?
                .spawn()
                .context(|| format!("starting broker {}", self.spec.id))?;
            let _watchdog = Watchdog::watch(child.id()).context(|| "starting the broker's watchdog".to_owned())?;
            self.running = Some(Running { child, _watchdog });
        }
        Ok(())
    }

    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        match &mut self.running {
            Some(running) => self.spec.wait_for_port(&mut running.child),
            None => Err(self.spec.failure("not launched".to_owned())),
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|r| r.child.id())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.pid() else {
            return Err(HarnessError::Unsupported(format!(
                "broker {} is not running",
                self.spec.id
            )));
        };
        send_signal(pid, signal).context(|| format!("signalling broker {}", self.spec.id))
    }

    /// SIGKILL, also to a paused broker; returns when the process is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// SIGTERM and waiting; SIGKILL after the limit.
    pub(crate) fn stop(&mut self, limit: Duration) -> Result<()> {
        self.signal(Signal::Terminate)?;
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let start = Instant::now();
        while start.elapsed() < limit {
            if running
                .child
                .try_wait()
                .context(|| "waiting for the broker".to_owned())?
                .is_some()
            {
                self.running = None;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.kill();
        Err(HarnessError::TimeOut {
            what: format!("broker {} did not stop", self.spec.id),
            seconds: limit.as_secs(),
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
