//! Which cases are there? Files, folders and files with one case a line.
use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

/// One case, and the file it came from.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) json: Json,
}

/// All cases below the paths, sorted by path.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Vec<Case>, String> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let lines = file.extension().is_some_and(|e| e == "jsonl");
        let parts: Vec<&str> = if lines {
            text.lines().filter(|l| !l.trim().is_empty()).collect()
        } else {
            vec![&text]
        };
        for part in parts {
            let json: Json = serde_json::from_str(part).map_err(|e| format!("{}: {e}", file.display()))?;
            let name = json["name"]
                .as_str()
                .map_or_else(|| file.display().to_string(), str::to_owned);
            cases.push(Case { name, json });
        }
    }
    Ok(cases)
}

fn collect(path: &Path, out: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        out.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut entries: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|e| e == "json" || e == "jsonl") {
            collect(&entry, out)?;
        }
    }
    Ok(())
}
