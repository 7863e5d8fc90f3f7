//! Minutes of everything at once.

mod load;

use std::time::Duration;

use crate::harness::{Census, Line, Tally, parrot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minutes_of_mixed_load_leave_memory_as_it_was() {
    let census = Census::begin().await;
    let soaked = load::soak(Duration::from_secs(120)).await.unwrap();
    let leftovers = census.end().await;
    for sample in &soaked.samples {
        let load::Sample { calls, host, workers } = sample;
        println!("  {calls:>7} calls: host {host:.1} MB, workers {workers:.1} MB");
    }
    let (growth, host) = (soaked.growth(), soaked.host_growth());
    let note = format!("growth_mb_per_10k_calls={growth:.2} host={host:.2} calls={:?}", soaked.calls);
    let tally = Tally { answered: soaked.total(), ..Tally::default() };
    Line { note, ..Line::new("soak", 1, tally, leftovers) }.check();
    assert!(growth < 1.0, "host and workers grew by {growth:.2} MB for every 10,000 calls");
}
