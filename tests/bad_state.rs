//! State directories that are in use, closed to us, or damaged: by whom nobody knows, at the start or in the middle of the work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "rocksdb")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use millstream::{
    CloseOptions, Error, ErrorKind, KafkaStreams, KafkaStreamsBuilder, ProcessingGuarantee,
    cluster::memory::MemoryCluster,
};
use support::{Lines, PATIENCE, assert_exactly_once, cluster, counted, word_count};

fn app(dir: &Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("word-count")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .commit_interval(Duration::from_millis(30))
        .record_cache_bytes(0)
        .state_dir(dir)
}

async fn refused(dir: &Path) -> Error {
    let start = Instant::now();
    let error = app(dir).start_on(cluster(), word_count()).await.unwrap_err();
    assert!(start.elapsed() < PATIENCE);
    error
}

fn assert_says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[tokio::test]
async fn in_use_by_another_instance_of_this_process() {
    let cluster = cluster();
    let dir = tempfile::tempdir().unwrap();
    let first = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
    let error = app(dir.path())
        .start_on(cluster.clone(), word_count())
        .await
        .unwrap_err();
    assert_says(
        &error,
        ErrorKind::StateLocked,
        &["word-count is locked", "choose another state directory"],
    );
    drop(first);
    drop(app(dir.path()).start_on(cluster, word_count()).await.unwrap());
}

/// `flock` of util-linux, which every Debian has.
struct OtherProcess(Child);

impl OtherProcess {
    fn locks(file: &Path) -> Self {
        let child = Command::new("flock")
            .arg("--exclusive")
            .arg(file)
            .args(["sleep", "60"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while fs::File::open(file).is_ok_and(|f| f.try_lock().is_ok()) {
            assert!(start.elapsed() < PATIENCE, "the other process does not take the lock");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn in_use_by_another_process() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("word-count")).unwrap();
    let lock = dir.path().join("word-count/.lock");
    fs::write(&lock, "").unwrap();
    let other = OtherProcess::locks(&lock);
    let error = refused(dir.path()).await;
    assert_says(
        &error,
        ErrorKind::StateLocked,
        &["word-count is locked", "stop the other process"],
    );
    drop(other);
}

#[tokio::test]
async fn closed_to_us() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, "").unwrap();
    // Nobody makes directories there, not even root.
    for place in [file.as_path(), Path::new("/sys/kernel")] {
        let error = refused(place).await;
        let path = place.join("word-count").to_string_lossy().into_owned();
        assert_says(
            &error,
            ErrorKind::State,
            &[
                &path,
                "cannot be written",
                "choose another state directory",
                "check permissions and free space",
            ],
        );
    }
}

#[tokio::test]
async fn a_file_where_the_directory_of_a_task_should_be() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("word-count")).unwrap();
    fs::write(dir.path().join("word-count/1_0"), "").unwrap();
    let cluster = cluster();
    let start = Instant::now();
    let app = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
    let error = app.until_running(PATIENCE).await.unwrap_err();
    assert!(start.elapsed() < PATIENCE);
    assert_says(
        &error,
        ErrorKind::State,
        &["task 1_0", "word-count/1_0", "what to do: "],
    );
}

#[tokio::test]
async fn a_damaged_identity_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("word-count")).unwrap();
    let file = dir.path().join("word-count/kafka-streams-process-metadata");
    fs::write(&file, "{").unwrap();
    let error = refused(dir.path()).await;
    assert_says(
        &error,
        ErrorKind::State,
        &["kafka-streams-process-metadata", "delete that file"],
    );
    assert_eq!(fs::read(&file).unwrap(), b"{");
}

/// Files of all tasks with state whose names match.
fn files(dir: &Path, matching: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for task in 0..support::PARTITIONS {
        let task = dir.join(format!("word-count/1_{task}"));
        for entry in fs::read_dir(task).unwrap() {
            let path = entry.unwrap().path();
            if matching(&path.file_name().unwrap().to_string_lossy()) {
                found.push(path);
            }
        }
    }
    found
}

/// Every byte between the first and the last few is turned over.
fn corrupt(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes.iter_mut().for_each(|b| *b = !*b);
    // In place: a process that has the file open sees it.
    use std::io::Write;
    fs::OpenOptions::new()
        .write(true)
        .open(file)
        .unwrap()
        .write_all(&bytes)
        .unwrap();
}

/// Starts an application, has it count, and closes it, so that its rows are in files.
async fn leave_state(cluster: &MemoryCluster, dir: &Path, lines: &mut Lines) {
    for _ in 0..2 {
        let app = app(dir).start_on(cluster.clone(), word_count()).await.unwrap();
        app.until_running(PATIENCE).await.unwrap();
        lines.send_many(100);
        counted(cluster, &lines.words).await;
        app.close(CloseOptions::default()).await.unwrap();
    }
}

/// What is done to a file.
type Deed = fn(&Path);

#[tokio::test]
async fn damage_found_at_the_start_is_made_good_from_the_changelogs() {
    let garbage: Deed = |file| fs::write(file, "garbage").unwrap();
    let gone: Deed = |file| fs::remove_file(file).unwrap();
    let halved: Deed = |file| {
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    let deeds: [(&str, Deed); 10] = [
        ("CURRENT", garbage),
        ("CURRENT", gone),
        ("MANIFEST", garbage),
        ("MANIFEST", gone),
        ("MANIFEST", halved),
        (".sst", corrupt),
        (".sst", halved),
        (".sst", gone),
        (".log", corrupt),
        (".log", gone),
    ];
    for (part, deed) in deeds {
        let (cluster, dir) = (cluster(), tempfile::tempdir().unwrap());
        let mut lines = Lines::new(&cluster);
        leave_state(&cluster, dir.path(), &mut lines).await;
        let damaged = files(dir.path(), |name| name.contains(part));
        assert!(!damaged.is_empty(), "no {part} to be damaged");
        damaged.iter().for_each(|file| deed(file));
        let app = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
        lines.send_many(100);
        assert_exactly_once(&counted(&cluster, &lines.words).await, &lines.words);
        assert!(
            app.metrics().records_restored > 0,
            "{part} was damaged, and nothing restored"
        );
        app.close(CloseOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn damage_that_shows_in_the_middle_of_the_work_is_made_good_from_the_changelogs() {
    let (cluster, dir) = (cluster(), tempfile::tempdir().unwrap());
    let mut lines = Lines::new(&cluster);
    leave_state(&cluster, dir.path(), &mut lines).await;
    let app = app(dir.path()).start_on(cluster.clone(), word_count()).await.unwrap();
    app.until_running(PATIENCE).await.unwrap();
    assert_eq!(app.metrics().records_restored, 0);
    let tables = files(dir.path(), |name| name.ends_with(".sst"));
    assert!(!tables.is_empty());
    tables.iter().for_each(|file| corrupt(file));
    // No word has been read since the start: the first read of each meets the damage.
    lines.send_many(100);
    assert_exactly_once(&counted(&cluster, &lines.words).await, &lines.words);
    let metrics = app.metrics();
    assert!(metrics.records_restored > 0 && metrics.aborts > 0, "{metrics:?}");
    assert_eq!(metrics.failed_threads, 0, "the thread goes on");
    app.close(CloseOptions::default()).await.unwrap();
}
