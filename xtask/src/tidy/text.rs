//! Rules about every text file: nothing left over, no path of one machine.
use super::Finding;
use super::files::File;

/// Written in two parts, so that this file does not find itself.
const LEFTOVERS: [&str; 4] = [
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// Folders that exist on somebody's machine.
const MACHINE_FOLDERS: [&str; 5] = ["home", "root", "work", "farm", "tmp"];

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    files
        .iter()
        .filter(|f| !f.path.ends_with(".lock") && !is_data(&f.path))
        .flat_map(check_file)
        .collect()
}

/// Recorded cases are data.
fn is_data(path: &str) -> bool {
    path.contains("/conformance/cases/") || path.ends_with(".jsonl")
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for word in LEFTOVERS.iter().filter(|word| line.contains(*word)) {
            findings.push(format!("{}:{}: `{word}`", file.path, number + 1));
        }
        if has_machine_path(line) {
            findings.push(format!("{}:{}: a path of one machine", file.path, number + 1));
        }
    }
    findings
}

/// A slash that begins a path, one of the folders, a slash, a name.
fn has_machine_path(line: &str) -> bool {
    let inside_path = |c: char| c.is_ascii_alphanumeric() || "_.~$}".contains(c);
    line.match_indices('/').any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let after = line.get(at + 1..).unwrap_or_default();
        let below = MACHINE_FOLDERS
            .iter()
            .find_map(|folder| after.strip_prefix(folder)?.strip_prefix('/'));
        !before.ends_with(inside_path) && below.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check_file(&File {
            path: "a.md".to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn leftovers_are_found() {
        assert_eq!(findings(concat!("x // FIX", "ME later")), 1);
        assert_eq!(findings(concat!("to", "do!()")), 1);
        assert_eq!(findings("a to-do list"), 0);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let path = |folder: &str| format!("see /{folder}/somebody/notes");
        assert_eq!(findings(&path("home")), 1);
        assert_eq!(findings(&path("usr")), 0);
        assert_eq!(findings("a/work/b, ~/work/b, ${X}/tmp/b"), 0);
    }
}
