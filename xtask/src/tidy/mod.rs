//! `cargo xtask tidy`: the sentences of the architecture, checked against the sources.
//!
//! Each rule looks at the files that git knows or would add, and names file and line of what breaks it.
mod dependencies;
mod examples;
mod files;
mod lexer;
mod sources;
mod text;

use crate::run::Result;

/// Something that breaks a rule: where, and which rule.
pub(crate) type Finding = String;

pub(crate) fn run() -> Result {
    let files = files::tracked()?;
    let mut findings = dependencies::check()?;
    findings.extend(sources::check(&files));
    findings.extend(text::check(&files));
    findings.extend(examples::check(&files));
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files", files.len());
        return Ok(());
    }
    Err(format!("{} places to tidy", findings.len()))
}
