//! Where the broker's jars come from: Maven Central, once, into a cache directory.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::{Context, HarnessError, Result};

/// Version of the Apache Kafka that is tested against.
pub const KAFKA_VERSION: &str = "4.3.1";

/// The logging that Kafka's own distribution adds; without it a broker says nothing about why it stopped.
const LOG4J_VERSION: &str = "2.25.4";

/// Written last, so that an interrupted download is not taken for a whole one.
const COMPLETE: &str = "complete";

/// `${XDG_CACHE_HOME:-~/.cache}/millstream`.
pub fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => match std::env::var_os("HOME") {
            Some(home) => PathBuf::from(home).join(".cache"),
            None => {
                return Err(HarnessError::Missing(
                    "neither XDG_CACHE_HOME nor HOME is set".to_owned(),
                ));
            }
        },
    };
    Ok(base.join("millstream"))
}

/// Directory with Kafka's jars; downloads them with Maven the first time.
pub fn kafka_libs() -> Result<PathBuf> {
    let cache = cache_dir()?;
    let target = cache.join(format!("kafka-{KAFKA_VERSION}-log4j-{LOG4J_VERSION}"));
    if target.join(COMPLETE).is_file() {
        return Ok(target);
    }
    fs::create_dir_all(&cache).context(|| format!("creating {}", cache.display()))?;
    // Several test processes may be here at once: each downloads into a directory of its own and the first rename wins.
    let scratch = tempfile::Builder::new()
        .prefix("kafka-download-")
        .tempdir_in(&cache)
        .context(|| format!("creating a directory in {}", cache.display()))?;
    download(scratch.path())?;
    fs::write(scratch.path().join("libs").join(COMPLETE), "").context(|| "marking the download".to_owned())?;
    match fs::rename(scratch.path().join("libs"), &target) {
        Ok(()) => Ok(target),
        Err(_) if target.join(COMPLETE).is_file() => Ok(target),
        Err(source) => Err(HarnessError::Io {
            what: format!("moving the jars to {}", target.display()),
            source,
        }),
    }
}

fn download(dir: &Path) -> Result<()> {
    let pom = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>millstream</groupId><artifactId>test-broker</artifactId><version>1</version><dependencies>\
         <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version></dependency>\
         <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_VERSION}</version></dependency>\
         <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J_VERSION}</version></dependency>\
         </dependencies></project>"
    );
    fs::write(dir.join("pom.xml"), pom).context(|| "writing pom.xml".to_owned())?;
    eprintln!("downloading Kafka {KAFKA_VERSION} from Maven Central (once)");
    let output = Command::new("mvn")
        .args([
            "--batch-mode",
            "--quiet",
            "dependency:copy-dependencies",
            "-DoutputDirectory=libs",
        ])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| HarnessError::Missing(format!("Maven is needed for tests against real Kafka: mvn: {e}")))?;
    if !output.status.success() {
        let tail: String =
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .rev()
                .take(20)
                .fold(String::new(), |mut all, l| {
                    all.insert_str(0, &format!("{l}\n"));
                    all
                });
        return Err(HarnessError::Missing(format!(
            "mvn dependency:copy-dependencies failed:\n{tail}"
        )));
    }
    Ok(())
}
