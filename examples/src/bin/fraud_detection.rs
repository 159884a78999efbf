//! Fraud detection: see the module `fraud` of this crate.
use clap::Parser;
use millstream_examples::{BoxError, fraud};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    fraud::run(&fraud::Arguments::parse()).await?;
    Ok(())
}
