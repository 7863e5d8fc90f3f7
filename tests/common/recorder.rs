//! A recorder of metrics for the whole process, and what it saw so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Metrics with their labels, as `name{label=value}`.
#[derive(Default)]
struct Kept {
    described: Mutex<BTreeSet<String>>,
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Observed>>>,
}

#[derive(Default)]
struct Observed(Mutex<Vec<f64>>);

impl HistogramFn for Observed {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

struct Shared(&'static Kept);

impl Shared {
    fn text(&self, key: &Key) -> String {
        let described = self.0.described.lock().unwrap().contains(key.name());
        assert!(described || !key.name().starts_with("dspex_"), "{} was not described", key.name());
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        format!("{}{{{}}}", key.name(), labels.join(","))
    }
}

impl Recorder for Shared {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.described.lock().unwrap().insert(key.as_str().to_owned());
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_counter(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_counter(key, unit, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.0.counters.lock().unwrap().entry(self.text(key)).or_default().clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.0.gauges.lock().unwrap().entry(self.text(key)).or_default().clone())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.0.histograms.lock().unwrap().entry(self.text(key)).or_default().clone())
    }
}

/// From now on, metrics are recorded. Tests of one process share it, so each one looks for a pool of its own.
pub fn install() {
    kept();
}

fn kept() -> &'static Kept {
    static KEPT: OnceLock<&'static Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let kept: &'static Kept = Box::leak(Box::default());
        metrics::set_global_recorder(Shared(kept)).map_err(|_| "another recorder").unwrap();
        kept
    })
}

fn read(values: &Mutex<BTreeMap<String, Arc<AtomicU64>>>, metric: &str) -> Option<u64> {
    values.lock().unwrap().get(metric).map(|value| value.load(Ordering::Relaxed))
}

/// What a counter, as `name{label=value}`, came to; 0 if it was never counted.
pub fn count(metric: &str) -> u64 {
    read(&kept().counters, metric).unwrap_or_default()
}

/// What a gauge is, if it was ever set.
pub fn gauge(metric: &str) -> Option<f64> {
    read(&kept().gauges, metric).map(f64::from_bits)
}

/// What a histogram was given.
pub fn observed(metric: &str) -> Vec<f64> {
    let histograms = kept().histograms.lock().unwrap();
    histograms.get(metric).map(|observed| observed.0.lock().unwrap().clone()).unwrap_or_default()
}

/// Every metric that was recorded, with its labels.
pub fn recorded() -> Vec<String> {
    let kept = kept();
    let names =
        [&kept.counters, &kept.gauges].map(|map| map.lock().unwrap().keys().cloned().collect::<Vec<_>>());
    let histograms = kept.histograms.lock().unwrap().keys().cloned().collect();
    names.into_iter().chain([histograms]).flatten().collect()
}
