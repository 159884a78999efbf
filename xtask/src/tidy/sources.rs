//! Rules about Rust files: where `unsafe` and librdkafka may be, what the cores may not do, and sizes.
use super::Finding;
use super::files::File;
use super::lexer::code_of;

/// The one audited file.
const UNSAFE: &str = "src/cluster/rdkafka/ffi.rs";
const RDKAFKA: &str = "src/cluster/rdkafka/";
/// Crates that users get; the others may use clients to look from outside.
const LIBRARY: [&str; 3] = ["src/", "dsl/", "state/"];
const CORES: [&str; 4] = ["src/task", "src/commit", "src/restore", "src/membership"];
const MOST_LINES: usize = 1000;
const MEDIAN_LINES: usize = 150;

/// Time, chance and the outside world.
const NOT_IN_CORES: [&str; 10] = [
    "Instant::now",
    "SystemTime::now",
    "thread::sleep",
    "thread_rng",
    "rand::",
    "new_v4",
    "std::fs",
    "std::net",
    "TcpStream",
    "tokio::",
];

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let rust: Vec<&File> = files.iter().filter(|f| f.is_rust()).collect();
    let mut findings: Vec<Finding> = rust.iter().flat_map(|file| check_file(file)).collect();
    findings.extend(median(&rust));
    findings
}

fn check_file(file: &File) -> Vec<Finding> {
    let code = code_of(&file.text);
    let mut findings = Vec::new();
    let mut say = |line: usize, what: &str| findings.push(format!("{}:{}: {what}", file.path, line + 1));
    for (number, line) in code.lines().enumerate() {
        if file.path != UNSAFE && has_word(line, "unsafe") {
            say(number, &format!("`unsafe` belongs into {UNSAFE}"));
        }
        if in_library(&file.path) && !file.path.starts_with(RDKAFKA) && line.contains("rdkafka_sys") {
            say(number, &format!("librdkafka's names belong into {RDKAFKA}"));
        }
        if is_core(&file.path) {
            for word in NOT_IN_CORES.iter().filter(|word| line.contains(*word)) {
                say(
                    number,
                    &format!("`{word}` in a core: time and chance are arguments there, I/O is an action"),
                );
            }
        }
        if line.contains("#[ignore") {
            say(number, "a test that is switched off");
        }
    }
    if !file.text.starts_with("//!") && !file.text.starts_with("#!") {
        say(0, "a file begins with what question it answers (`//! ...`)");
    }
    let lines = file.text.lines().count();
    if lines > MOST_LINES {
        say(lines - 1, &format!("{lines} lines; {MOST_LINES} at most"));
    }
    findings
}

fn median(rust: &[&File]) -> Option<Finding> {
    let mut sizes: Vec<usize> = rust.iter().map(|f| f.text.lines().count()).collect();
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or_default();
    (median >= MEDIAN_LINES).then(|| format!("the median file has {median} lines; less than {MEDIAN_LINES} is wanted"))
}

fn in_library(path: &str) -> bool {
    LIBRARY.iter().any(|crate_dir| path.starts_with(crate_dir))
}

/// The module itself, as a file or a folder.
fn is_core(path: &str) -> bool {
    CORES.iter().any(|core| {
        path.strip_prefix(core)
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

/// The word alone, not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let after = line.get(at + word.len()..).unwrap_or_default();
        !before.ends_with(part_of_name) && !after.starts_with(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, code: &str) -> Vec<Finding> {
        check_file(&File {
            path: path.to_owned(),
            text: format!("//! What it is.\n{code}"),
        })
    }

    #[test]
    fn unsafe_is_found_outside_of_its_file_only() {
        assert_eq!(findings("src/lib.rs", "unsafe { f() }").len(), 1);
        assert_eq!(findings(UNSAFE, "unsafe { f() }"), Vec::<String>::new());
        assert_eq!(
            findings("src/lib.rs", "// unsafe\n#![deny(unsafe_op_in_unsafe_fn)]"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_client_library_is_found_outside_of_its_folder_only() {
        assert_eq!(findings("dsl/src/lib.rs", "use rdkafka_sys::x;").len(), 1);
        assert_eq!(
            findings("src/cluster/rdkafka/consumer.rs", "use rdkafka_sys::x;"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_clock_is_found_in_the_cores_only() {
        assert_eq!(findings("src/task/mod.rs", "let t = Instant::now();").len(), 1);
        assert_eq!(findings("src/commit.rs", "let t = Instant::now();").len(), 1);
        assert_eq!(
            findings("src/runtime/mod.rs", "let t = Instant::now();"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn sizes_and_missing_descriptions_are_found() {
        assert_eq!(findings("src/a.rs", &"x\n".repeat(1001)).len(), 1);
        assert_eq!(
            check_file(&File {
                path: "src/a.rs".to_owned(),
                text: "fn f() {}".to_owned()
            })
            .len(),
            1
        );
        let large = File {
            path: "src/a.rs".to_owned(),
            text: "x\n".repeat(150),
        };
        assert!(median(&[&large]).is_some());
    }
}
