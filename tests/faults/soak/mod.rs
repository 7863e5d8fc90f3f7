//! Minutes of everything at once.

mod load;

use std::time::Duration;

use crate::harness::{Census, Line, Tally};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minutes_of_mixed_load_leave_memory_as_it_was() {
    let census = Census::begin().await;
    let soaked = load::soak(Duration::from_secs(135)).await.unwrap();
    let leftovers = census.end().await;
    for sample in &soaked.samples {
        println!(
            "  {:>7} calls: host {:>6.1} MB, workers {:>6.1} MB",
            sample.calls, sample.host, sample.workers
        );
    }
    let (growth, host) = (soaked.growth(), soaked.host_growth());
    let note = format!("growth_mb_per_10k_calls={growth:.2} host={host:.2} calls={:?}", soaked.calls);
    let tally = Tally { answered: soaked.total(), ..Tally::default() };
    Line { note, ..Line::new("soak", 1, tally, leftovers) }.check();
    assert!(growth < 1.0, "memory grew by {growth:.2} MB for each 10,000 calls");
}
