//! What the machine needs besides cargo: finds it, installs it where we may, else prints the one line to run.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{Result, run, succeeds};

/// Something that has to be on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A C++ compiler, for RocksDB.
    Compiler,
    /// For librdkafka.
    Make,
    /// libclang and its headers, for the bindings of both.
    Libclang,
    /// Java 17 or newer, for real Kafka.
    Java,
    /// The Java compiler, for the peer of the benchmark.
    JavaCompiler,
    /// Fetches Kafka.
    Maven,
    /// Counts instructions.
    Valgrind,
}

impl Need {
    fn is_there(self) -> bool {
        match self {
            Self::Compiler => ["c++", "g++", "clang++"].iter().any(|p| succeeds(p, &["--version"])),
            Self::Make => succeeds("make", &["--version"]),
            Self::Libclang => has_libclang(),
            Self::Java => major_version("java").is_some_and(|v| v >= 17),
            Self::JavaCompiler => major_version("javac").is_some_and(|v| v >= 17),
            Self::Maven => succeeds("mvn", &["--version"]),
            Self::Valgrind => succeeds("valgrind", &["--version"]),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Compiler => "a C++ compiler",
            Self::Make => "make",
            Self::Libclang => "libclang with its headers",
            Self::Java => "Java 17 or newer",
            Self::JavaCompiler => "a JDK 17 or newer",
            Self::Maven => "Maven",
            Self::Valgrind => "valgrind",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Compiler => "g++",
            Self::Make => "make",
            Self::Libclang => "libclang-dev",
            Self::Java | Self::JavaCompiler => jdk_package(),
            Self::Maven => "maven",
            Self::Valgrind => "valgrind",
        }
    }
}

/// Makes sure that everything is there.
pub(crate) fn ensure(needs: &[Need]) -> Result {
    let missing = |needs: &[Need]| needs.iter().copied().filter(|n| !n.is_there()).collect::<Vec<_>>();
    let before = missing(needs);
    if before.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = before.iter().map(|n| n.name()).collect();
    println!("missing: {}", names.join(", "));
    if !succeeds("apt-get", &["--version"]) {
        return Err(format!(
            "install {} with your system's package manager, then try again",
            names.join(", ")
        ));
    }
    let Some(prefix) = privilege() else {
        return Err(format!(
            "run this, then try again:\n  sudo sh -c '{}'",
            install_line(&before)
        ));
    };
    let mut shell = Command::new(prefix.first().copied().unwrap_or("sh"));
    shell
        .args(prefix.iter().skip(1))
        .arg("-c")
        .arg(install_line_when_updated(&before, prefix));
    run(&mut shell)?;
    let after = missing(needs);
    if after.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = after.iter().map(|n| n.name()).collect();
    Err(format!("still missing after the installation: {}", names.join(", ")))
}

fn packages(needs: &[Need]) -> String {
    let mut packages: Vec<&str> = needs.iter().map(|n| n.package()).collect();
    packages.dedup();
    packages.join(" ")
}

fn install_line(needs: &[Need]) -> String {
    format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        packages(needs)
    )
}

/// Names of packages depend on what the system knows: it has to be up to date before we ask.
fn install_line_when_updated(needs: &[Need], prefix: &[&str]) -> String {
    let mut update = Command::new(prefix.first().copied().unwrap_or("sh"));
    update
        .args(prefix.iter().skip(1))
        .args(["-c", "apt-get update -qq"])
        .stdout(Stdio::null());
    // A mirror that does not answer may still have been read before; the installation tells.
    let _ = update.status();
    let packages = packages(needs);
    format!("DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {packages} > /dev/null")
}

/// How to become root without being asked anything; `None` if we cannot.
fn privilege() -> Option<&'static [&'static str]> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(&["sh"]);
    }
    succeeds("sudo", &["-n", "true"]).then_some(&["sudo", "-n", "sh"])
}

/// Debian and Ubuntu differ in which JDK is the default; 17 is there in most, the default is new enough in the rest.
fn jdk_package() -> &'static str {
    let known = Command::new("apt-cache")
        .args(["policy", "openjdk-17-jdk-headless"])
        .output();
    let installable = known.is_ok_and(|o| {
        let text = String::from_utf8_lossy(&o.stdout).into_owned();
        text.lines()
            .any(|l| l.trim_start().starts_with("Candidate:") && !l.contains("(none)"))
    });
    if installable {
        "openjdk-17-jdk-headless"
    } else {
        "default-jdk-headless"
    }
}

/// `17` of `openjdk version "17.0.15"` or `javac 17.0.15`.
fn major_version(program: &str) -> Option<u32> {
    let output = Command::new(program)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    parse_major_version(&text)
}

fn parse_major_version(text: &str) -> Option<u32> {
    let words = text.split(|c: char| c.is_whitespace() || c == '"');
    words
        .filter(|w| w.starts_with(|c: char| c.is_ascii_digit()))
        .find_map(|w| w.split('.').next()?.parse().ok())
}

/// Looks where bindgen looks. Headers come in a package of their own and are forgotten easily.
fn has_libclang() -> bool {
    let mut places: Vec<PathBuf> = std::env::var_os("LIBCLANG_PATH")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    for base in ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt"] {
        places.push(PathBuf::from(base));
        places.extend(children(Path::new(base)));
    }
    for llvm in places.clone() {
        places.push(llvm.join("lib"));
    }
    let library = places.iter().any(|p| children(p).iter().any(|f| is_libclang(f)));
    let headers = places.iter().any(|p| {
        let versions = children(&p.join("clang"));
        versions.iter().any(|v| v.join("include/stddef.h").is_file())
    });
    library && headers
}

fn is_libclang(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    path.exists()
        && (name == "libclang.so"
            || name.starts_with("libclang.so.")
            || (name.starts_with("libclang-") && name.contains(".so")))
        && !name.contains("cpp")
}

fn children(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default()
}

/// The components of rustup that checks need; a minimal toolchain comes without.
pub(crate) fn ensure_rust_components() -> Result {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if succeeds("cargo", &[subcommand, "--version"]) {
            continue;
        }
        run(Command::new("rustup").args(["component", "add", component]))
            .map_err(|e| format!("{component} is needed: {e}; install it with `rustup component add {component}`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_java_prints() {
        assert_eq!(
            parse_major_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"),
            Some(17)
        );
        assert_eq!(parse_major_version("javac 21.0.2\n"), Some(21));
        assert_eq!(parse_major_version("java version \"1.8.0_402\""), Some(1));
        assert_eq!(parse_major_version("command not found"), None);
    }

    #[test]
    fn the_line_to_run_names_each_package_once() {
        let line = install_line(&[Need::Compiler, Need::Make, Need::Libclang]);
        assert_eq!(
            line,
            "apt-get update && apt-get install -y --no-install-recommends g++ make libclang-dev"
        );
    }

    #[test]
    fn libclang_is_known_by_its_file_name() {
        let dir = std::env::temp_dir().join(format!("xtask-libclang-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let found = |name: &str| {
            let file = dir.join(name);
            fs::write(&file, "").unwrap();
            is_libclang(&file)
        };
        assert!(found("libclang.so") && found("libclang-14.so.14.0.6") && found("libclang.so.1"));
        assert!(!found("libclang-cpp.so.14") && !found("libclangAST.a"));
        fs::remove_dir_all(&dir).unwrap();
    }
}
