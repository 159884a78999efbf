//! Where the repository lies and where its build output goes.
use std::path::PathBuf;

/// Root of the clone.
pub(crate) fn root() -> PathBuf {
    // As `cargo run` says it: with build output in common, another clone may have compiled this.
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = told.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    xtask.parent().unwrap_or(&xtask).to_path_buf()
}

/// `${XDG_CACHE_HOME:-~/.cache}/millstream`; inside the clone when there is no home.
pub(crate) fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(|| root().join("target")).join("millstream")
}

/// Build output: `CARGO_TARGET_DIR`, else in the cache, so that a fresh clone does not compile RocksDB again.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|v| !v.is_empty()) {
        Some(dir) => root().join(dir),
        None => cache().join("target"),
    }
}
