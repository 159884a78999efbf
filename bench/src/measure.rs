//! Readings of the machine, equal to those of the Java peer: CPU of whole processes, memory, and rates between two readings.
use std::fs;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::BoxError;

/// `USER_HZ`, the unit of `/proc/PID/stat` on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// One moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: Instant,
    own_cpu_s: f64,
    broker_cpu_s: Option<f64>,
}

impl Reading {
    /// Now.
    pub fn take() -> Result<Self, BoxError> {
        let broker = std::env::var("BROKER_PID").ok().filter(|pid| !pid.is_empty());
        Ok(Self {
            at: Instant::now(),
            own_cpu_s: process_cpu_s("self")?,
            broker_cpu_s: broker.and_then(|pid| process_cpu_s(&pid).ok()),
        })
    }
}

/// User and system time of all threads of a process.
fn process_cpu_s(pid: &str) -> Result<f64, BoxError> {
    let fields = stat(pid)?;
    let field = |index: usize| {
        fields
            .get(index)
            .and_then(|f| f.parse::<f64>().ok())
            .ok_or("no CPU time in /proc")
    };
    Ok((field(11)? + field(12)?) / TICKS_PER_SECOND)
}

/// The fields behind the name, which may contain spaces.
fn stat(pid: &str) -> Result<Vec<String>, BoxError> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(')').ok_or("no name in /proc")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// Milliseconds since the process was started, before `main` included. Granularity: 10 ms.
pub fn since_process_start_ms() -> Result<f64, BoxError> {
    let started: f64 = stat("self")?.get(19).ok_or("no start time in /proc")?.parse()?;
    let uptime = fs::read_to_string("/proc/uptime")?;
    let now: f64 = uptime.split_whitespace().next().ok_or("no uptime")?.parse()?;
    Ok((now - started / TICKS_PER_SECOND) * 1000.0)
}

/// A line of `/proc/self/status` in MiB: `VmHWM` (peak resident memory), `VmRSS`.
pub fn status_mib(field: &str) -> Result<f64, BoxError> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))
        .ok_or("no such line in /proc")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// The line that a program prints.
#[derive(Debug, Default)]
pub struct Figures(Map<String, Value>);

impl Figures {
    /// Adds a field.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Adds a number, rounded as the peer does.
    pub fn number(&mut self, name: &str, value: f64) {
        self.put(name, json!((value * 1000.0).round() / 1000.0));
    }

    /// Rates between two readings, under names that start with the phase's.
    pub fn phase(&mut self, name: &str, records: u64, from: &Reading, to: &Reading) {
        let seconds = (to.at - from.at).as_secs_f64();
        let (cpu_s, records) = (to.own_cpu_s - from.own_cpu_s, records as f64);
        self.number(&format!("{name}_s"), seconds);
        self.number(&format!("{name}_records_per_s"), (records / seconds).round());
        self.number(&format!("{name}_cpu_s"), cpu_s);
        self.number(&format!("{name}_cpu_s_per_million"), cpu_s / records * 1e6);
        if let (Some(begin), Some(end)) = (from.broker_cpu_s, to.broker_cpu_s) {
            self.number(
                &format!("{name}_broker_cpu_s_per_million"),
                (end - begin) / records * 1e6,
            );
        }
    }

    /// The line.
    pub fn line(self) -> String {
        Value::Object(self.0).to_string()
    }
}

/// Takes the readings on the way: at the first record, at half, at the last one.
#[derive(Debug)]
pub struct Stopwatch {
    total: u64,
    running: Reading,
    first: Option<(u64, Reading)>,
    half: Option<(u64, Reading)>,
    last: Option<(u64, Reading)>,
}

impl Stopwatch {
    /// From RUNNING on, for so many records.
    pub fn start(total: u64) -> Result<Self, BoxError> {
        Ok(Self {
            total,
            running: Reading::take()?,
            first: None,
            half: None,
            last: None,
        })
    }

    /// So many are processed; false when it was the last.
    pub fn goes_on(&mut self, done: u64) -> Result<bool, BoxError> {
        if self.first.is_none() && done > 0 {
            self.first = Some((done, Reading::take()?));
        }
        if self.half.is_none() && done >= self.total / 2 {
            self.half = Some((done, Reading::take()?));
        }
        if done >= self.total {
            self.last = Some((done, Reading::take()?));
        }
        Ok(done < self.total)
    }

    /// After the final commit and close.
    pub fn finish(&self, figures: &mut Figures) -> Result<(), BoxError> {
        let closed = Reading::take()?;
        let (Some((first, at_first)), Some((half, at_half)), Some((last, at_last))) =
            (&self.first, &self.half, &self.last)
        else {
            return Err("the workload did not come to its end".into());
        };
        figures.put("processed", *last);
        figures.phase("whole", last - first, at_first, at_last);
        figures.phase("steady", last - half, at_half, at_last);
        figures.phase("steady_to_closed", last - half, at_half, &closed);
        figures.phase("running_to_closed", *last, &self.running, &closed);
        figures.number("peak_rss_mib", status_mib("VmHWM")?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_seen_and_the_process_has_memory_and_an_age() {
        let from = Reading::take().unwrap();
        let start = Instant::now();
        let mut spin = 0_u64;
        while start.elapsed().as_millis() < 100 {
            spin = std::hint::black_box(spin + 1);
        }
        let to = Reading::take().unwrap();
        assert!(to.own_cpu_s - from.own_cpu_s >= 0.05, "{spin}");
        assert!(status_mib("VmHWM").unwrap() > 0.5);
        assert!(since_process_start_ms().unwrap() >= 90.0);
    }

    #[test]
    fn half_and_last_are_taken_once() {
        let mut watch = Stopwatch::start(10).unwrap();
        assert!(watch.goes_on(0).unwrap() && watch.goes_on(4).unwrap() && watch.goes_on(6).unwrap());
        assert!(!watch.goes_on(10).unwrap());
        let mut figures = Figures::default();
        watch.finish(&mut figures).unwrap();
        let line: Value = serde_json::from_str(&figures.line()).unwrap();
        assert_eq!(line["processed"], 10);
        assert!(line["steady_s"].is_number());
    }

    #[test]
    fn an_unfinished_run_has_no_figures() {
        let mut watch = Stopwatch::start(10).unwrap();
        assert!(watch.goes_on(5).unwrap());
        assert!(watch.finish(&mut Figures::default()).is_err());
    }
}
