//! Benchmarks: the workloads of the Java peer on Millstream, and what their programs measure.
pub mod measure;
pub mod transform;
pub mod workload;

/// Error of a benchmark: something to print.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
