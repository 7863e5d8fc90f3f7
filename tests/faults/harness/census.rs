//! What this process has, before and after: processes, descriptors, tasks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::common::process::Process;

/// One test after the other.
static ALONE: AsyncMutex<()> = AsyncMutex::const_new(());

/// What was left.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Processes that should be gone.
    pub orphans: Vec<Process>,
    /// Descriptors and tasks that nobody gave back.
    pub leaks: Vec<String>,
}

impl Leftovers {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.orphans.extend(other.orphans);
        self.leaks.extend(other.leaks);
    }
}

/// Counts what a pool brings into this process, and what it takes away again.
pub struct Census {
    descriptors: usize,
    tasks: usize,
    descendants: Arc<Mutex<BTreeSet<Process>>>,
    done: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
    _alone: MutexGuard<'static, ()>,
}

impl Census {
    /// Begins before there is a pool.
    pub async fn begin() -> Self {
        let alone = ALONE.lock().await;
        // What a runtime sets up once, with the first child process of its own.
        tokio::process::Command::new("true").status().await.expect("`true` runs");
        let (descendants, done) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let watcher = std::thread::spawn({
            let (descendants, done) = (Arc::clone(&descendants), done.clone());
            move || watch(&descendants, &done)
        });
        Self {
            descriptors: descriptors(),
            tasks: tasks(),
            descendants,
            done,
            watcher: Some(watcher),
            _alone: alone,
        }
    }

    /// Every process below this one that there was.
    pub fn processes(&self) -> Vec<Process> {
        self.descendants.lock().unwrap().iter().copied().collect()
    }

    /// Ends when the pool has gone: what of it is left a second later.
    pub async fn end(mut self) -> Leftovers {
        self.stop();
        let gone = |what: &dyn Fn() -> bool| {
            let since = Instant::now();
            while !what() && since.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        let processes = self.processes();
        let alive = || processes.iter().copied().filter(|process| process.is_alive()).collect::<Vec<_>>();
        gone(&|| alive().is_empty());
        let since = Instant::now();
        while (descriptors() > self.descriptors || tasks() > self.tasks)
            && since.elapsed() < Duration::from_secs(2)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut leaks = Vec::new();
        for (what, before, after) in
            [("descriptors", self.descriptors, descriptors()), ("tasks", self.tasks, tasks())]
        {
            if after > before {
                leaks.push(format!("{after} {what}, there were {before}"));
            }
        }
        leaks.extend(directories().map(|left| format!("the directory {left}")));
        Leftovers { orphans: alive(), leaks }
    }

    fn stop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(watcher) = self.watcher.take() {
            watcher.join().expect("the watcher ends");
        }
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        self.stop();
    }
}

fn descriptors() -> usize {
    // The directory itself is open meanwhile.
    fs::read_dir("/proc/self/fd").expect("/proc is there").count()
}

/// The directories of sockets that this process has among the temporary files.
fn directories() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(std::env::temp_dir()).expect("there are temporary files").flatten();
    let of_this_process = |path: &Path| {
        let owner = fs::read(path.join("owner.json")).ok()?;
        let owner: serde_json::Value = serde_json::from_slice(&owner).ok()?;
        (owner["pid"] == std::process::id()).then(|| path.display().to_string())
    };
    entries.filter_map(move |entry| of_this_process(&entry.path()))
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Notes every process below this one. One whose parent ends before it becomes another's child, but has been seen by then.
fn watch(seen: &Mutex<BTreeSet<Process>>, done: &AtomicBool) {
    while !done.load(Ordering::Acquire) {
        let mut below = Vec::new();
        collect(std::process::id(), &mut below);
        seen.lock().unwrap().extend(below.into_iter().filter_map(Process::of));
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn collect(pid: u32, below: &mut Vec<u32>) {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for thread in threads.flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            below.push(child);
            collect(child, below);
        }
    }
}
