//! Word count: see the module `word_count` of this crate.
use clap::Parser;
use millstream_examples::{BoxError, word_count};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    word_count::run(&word_count::Arguments::parse()).await?;
    Ok(())
}
