//! `cargo xtask bench operators`: each kind of operator several times, best and median of the runs.
use clap::Args;

use super::binary::Binary;
use super::criterion::Id;
use super::figures::figure;
use super::tables::{self, Row};
use crate::prerequisites::{self, Need};
use crate::run::Result;

/// What `bench operators` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// How often each benchmark runs.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only benchmarks that match this regular expression; their names are like `count/memory/10`.
    #[arg(long, default_value = "")]
    filter: String,
    /// Numbers of keys; operators without state are there always.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 10_000, 1_000_000])]
    keys: Vec<u64>,
    /// Another binary of the benchmark, run in turns with that of this tree: a copy, as each build replaces the last one.
    #[arg(long, value_name = "NAME=BINARY", value_parser = Binary::parse)]
    compare: Vec<Binary>,
}

pub(crate) fn run(options: &Options) -> Result {
    prerequisites::ensure(&[Need::Compiler, Need::Make, Need::Libclang])?;
    let this = Binary::build()?;
    let mut ids = this.list(&options.filter)?;
    ids.retain(|id| id.is_stateless() || options.keys.contains(&id.keys));
    if ids.is_empty() {
        return Err("no benchmark matches".to_owned());
    }
    let binaries: Vec<Binary> = [this].into_iter().chain(options.compare.iter().cloned()).collect();
    let rows = measure(&binaries, &ids, options.runs)?;
    println!();
    if options.compare.is_empty() {
        print!("{}", tables::all(&rows));
    } else {
        let names: Vec<&str> = binaries.iter().map(|b| &*b.name).collect();
        print!("{}", tables::compared(&names, &rows));
    }
    Ok(())
}

/// Run by run, so that the runs of a benchmark lie minutes apart, and those of the binaries seconds.
fn measure(binaries: &[Binary], ids: &[Id], runs: u32) -> Result<Vec<Row>> {
    let empty = |id: &Id| Row {
        id: id.clone(),
        rates: vec![Vec::new(); binaries.len()],
    };
    let mut rows: Vec<Row> = ids.iter().map(empty).collect();
    for turn in 1..=runs {
        for row in &mut rows {
            let mut pairs: Vec<_> = binaries.iter().zip(&mut row.rates).collect();
            if turn % 2 == 0 {
                pairs.reverse();
            }
            for (binary, rates) in pairs {
                let rate = binary.measure(&row.id)?;
                let told = figure(rate);
                println!("{turn}/{runs} {}, {}: {told}", row.id.full, binary.name);
                rates.extend(rate);
            }
        }
    }
    Ok(rows)
}
