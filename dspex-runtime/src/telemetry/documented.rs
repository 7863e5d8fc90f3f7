//! The table of metrics in `docs/operations.md` is what the code records: names, kinds, labels, and the words of labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::outcome::{CallbackKind, Outcome};
use super::{BreakerState, PoolMetrics, breaker, reason};
use crate::pool::scheduler::Scheduler;
use crate::pool::{Retirement, WorkerEnd};

/// A metric: its kind, and its labels.
type Table = BTreeMap<String, (String, BTreeSet<String>)>;

/// Notes what is described and what is registered.
#[derive(Default)]
struct Noted {
    described: Mutex<BTreeMap<String, String>>,
    registered: Mutex<Table>,
}

impl Noted {
    fn describe(&self, key: &KeyName, kind: &str, unit: Option<Unit>, description: &SharedString) {
        assert!(unit.is_some() && description.len() > 10, "{}", key.as_str());
        self.described.lock().unwrap().insert(key.as_str().to_owned(), kind.to_owned());
    }

    fn register(&self, key: &Key, kind: &str) {
        let labels = key.labels().map(|label| label.key().to_owned()).collect();
        let before = self.registered.lock().unwrap().insert(key.name().to_owned(), (kind.to_owned(), labels));
        let now = self.registered.lock().unwrap()[key.name()].clone();
        assert!(before.is_none_or(|before| before == now), "{} is recorded in two ways", key.name());
    }
}

impl Recorder for Noted {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, "counter", unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, "gauge", unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, "histogram", unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.register(key, "counter");
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.register(key, "gauge");
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.register(key, "histogram");
        Histogram::noop()
    }
}

/// All that the code can record, as a recorder sees it.
fn recorded() -> Noted {
    let noted = Noted::default();
    metrics::with_local_recorder(&noted, || {
        let metrics = PoolMetrics::new("main".into());
        metrics.queued(Duration::ZERO);
        for outcome in Outcome::ALL {
            metrics.call_ended(*outcome, Duration::ZERO, Some(Duration::ZERO));
        }
        metrics.retried();
        for kind in CallbackKind::ALL {
            metrics.callback_ended(*kind, Duration::ZERO);
        }
        metrics.restarted(0, "signal");
        metrics.recycled(0, "age");
        metrics.zygote_lost();
        metrics.load(&Scheduler::new(1, 1, 1).load());
        metrics.memory(0, 1, 1);
        metrics.loop_lag(0, Duration::ZERO);
        metrics.traffic(0, 1, 1);
        breaker("model", BreakerState::Closed);
    });
    noted
}

/// A section of the page, from its heading to the next one.
fn section(heading: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).expect("the section is there");
    rest.split_once("\n## ").map_or(rest, |(section, _)| section).to_owned()
}

/// What stands between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words that the line which begins with the label has.
fn words_of(label: &str) -> BTreeSet<String> {
    let section = section("Metrics");
    let start = format!("`{label}`: ");
    let line = section.lines().find_map(|line| line.trim_start_matches("* ").strip_prefix(&start));
    quoted(line.unwrap_or_else(|| panic!("no line of `{label}`")))
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_page_names_each_metric_with_its_kind_and_labels_and_no_other() {
    let mut documented = Table::new();
    for line in section("Metrics").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for name in quoted(cells[1]) {
            let twice = documented.insert(name, (cells[2].to_owned(), quoted(cells[3])));
            assert!(twice.is_none(), "twice: {line}");
        }
    }
    let noted = recorded();
    let recorded = noted.registered.into_inner().unwrap();
    assert_eq!(documented, recorded);
    let kinds = recorded.into_iter().map(|(name, (kind, _))| (name, kind)).collect();
    assert_eq!(noted.described.into_inner().unwrap(), kinds, "described, and recorded in this test");
}

#[test]
fn the_page_names_each_word_that_a_label_can_be() {
    assert_eq!(words_of("outcome"), set(Outcome::ALL.iter().map(|outcome| outcome.as_str())));
    assert_eq!(words_of("kind"), set(CallbackKind::ALL.iter().map(|kind| kind.as_str())));
    let retirements =
        [Retirement::Calls(1), Retirement::Age(Duration::ZERO), Retirement::Memory(1), Retirement::Shutdown];
    // Exhaustive: another reason does not compile until it is above, and then is asked for on the page.
    let planned = retirements.into_iter().filter(|why| match why {
        Retirement::Calls(_) | Retirement::Age(_) | Retirement::Memory(_) => true,
        // Such an end is `WorkerEnd::Shutdown`.
        Retirement::Shutdown => false,
    });
    assert_eq!(words_of("reason"), set(planned.map(reason)));
}

#[test]
fn the_page_has_a_row_for_each_cause_of_an_end() {
    let text = String::new;
    let ends = [
        WorkerEnd::Signal(9),
        WorkerEnd::Exit(1),
        WorkerEnd::OutOfMemory { signal: None, evidence: text() },
        WorkerEnd::ImportFailed(text()),
        WorkerEnd::NotStarted(text()),
        WorkerEnd::Unresponsive { silent: Duration::ZERO, stopped: false },
        WorkerEnd::IgnoredCancellation { grace: Duration::ZERO },
        WorkerEnd::Garbage(text()),
        WorkerEnd::Recycled(Retirement::Calls(1)),
        WorkerEnd::Shutdown,
        WorkerEnd::Disconnected(text()),
    ];
    let all = |end: &WorkerEnd| match end {
        WorkerEnd::Signal(_)
        | WorkerEnd::Exit(_)
        | WorkerEnd::OutOfMemory { .. }
        | WorkerEnd::ImportFailed(_)
        | WorkerEnd::NotStarted(_)
        | WorkerEnd::Unresponsive { .. }
        | WorkerEnd::IgnoredCancellation { .. }
        | WorkerEnd::Garbage(_)
        | WorkerEnd::Recycled(_)
        | WorkerEnd::Shutdown
        | WorkerEnd::Disconnected(_) => true,
    };
    assert!(ends.iter().all(all));
    let section = section("What happens to workers");
    let (_, table) = section.split_once("| cause |").expect("the table of causes");
    let rows: BTreeSet<String> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| quoted(line.split('|').nth(1).unwrap_or_default()))
        .collect();
    assert_eq!(rows, set(ends.iter().map(WorkerEnd::cause)));
}
