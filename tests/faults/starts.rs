//! Hosts that die before they have a worker: while their zygote starts, and while their environment is built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dspex::pool::env::{EnvConfig, Installer, Progress};

use crate::common::host::{self, Host};
use crate::common::process::Process;
use crate::harness::{Census, Leftovers, Line, Tally, builder_on, full_again};
use crate::hosts::{carrier_of, directories};

/// Runs as the host that starts: says so before and after, and waits for its end if it is asked to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_that_starts() {
    let Some(role) = host::role() else { return };
    let mut words = role.split(' ');
    let (what, carrier) = (words.next().unwrap(), carrier_of(words.next().unwrap()));
    let mut builder = builder_on(carrier, 2);
    if what == "provision" {
        builder = builder.environment(EnvConfig::new().installer(Installer::Uv).progress(Progress::Silent));
    }
    host::say("STARTS", what);
    match builder.start().await {
        Ok(dspex) => {
            full_again(&dspex, 2, &[], Instant::now()).await;
            host::say("STARTED", what);
            if what != "whole" {
                // Somebody kills it, or has gone.
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
        }
        Err(error) => host::say("FAILED", error.to_string().replace('\n', " ")),
    }
}

/// A host in a role that no other one has, which its children inherit.
fn start(role: &str, set: impl FnOnce(&mut Command)) -> Host {
    let mut command = host::command("starts::the_host_that_starts", role);
    command.stderr(Stdio::null());
    set(&mut command);
    Host::start(&mut command)
}

/// What the host of this role started, found by what they inherited.
fn children_of(role: &str, host: &Host) -> Vec<Process> {
    let inherited = format!("DSPEX_TEST_HOST={role}\0");
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let inherits = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(inherited.len()).any(|part| part == inherited.as_bytes())
    };
    let children = pids.filter(|pid| *pid != host.process.id()).filter(inherits);
    children.filter_map(Process::of).collect()
}

/// Kills the host; how long until the last process of its was gone, and those that stay.
async fn end(role: &str, mut host: Host) -> (Duration, Vec<Process>) {
    let known = children_of(role, &host);
    assert!(!known.is_empty(), "there is nobody to die with the host");
    let since = Instant::now();
    host.process.kill().unwrap();
    host.process.wait().unwrap();
    loop {
        // Those that were started in the last moment as well.
        let mut alive = children_of(role, &host);
        alive.extend(known.iter().copied().filter(|process| process.is_alive()));
        if alive.is_empty() || since.elapsed() > Duration::from_secs(2) {
            return (since.elapsed(), alive);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn worst(times: &[Duration]) -> Duration {
    times.iter().copied().max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_killed_while_its_zygote_starts_leaves_no_process_and_its_files_go_with_the_next_start() {
    // From the fork of the zygote until workers are there; a start takes about a second.
    const MOMENTS: [u64; 6] = [0, 20, 80, 250, 500, 800];
    let census = Census::begin().await;
    let temporary = tempfile::tempdir().unwrap();
    let (mut gone, mut leftovers, mut left) = (Vec::new(), Leftovers::default(), 0);
    for carrier in ["framed", "grpc"] {
        for moment in MOMENTS {
            let role = format!("start {carrier} {moment} {}", std::process::id());
            let mut host = start(&role, |command| {
                command.env("TMPDIR", temporary.path());
            });
            host.said("STARTS");
            crate::common::eventually("the zygote is there", || !children_of(&role, &host).is_empty()).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            let (took, alive) = end(&role, host).await;
            gone.push(took);
            leftovers.orphans.extend(alive);
            left = left.max(directories(temporary.path()));
        }
    }
    assert!(left > 0, "no dead host left a directory: this tests nothing");
    let begun = Instant::now();
    let mut next = start("whole grpc", |command| {
        command.env("TMPDIR", temporary.path());
    });
    next.said("STARTED");
    let recovery = vec![begun.elapsed()];
    next.process.wait().unwrap();
    drop(next);
    let remains = directories(temporary.path());
    leftovers.leaks.extend((remains > 0).then(|| format!("{remains} directories of dead hosts")));
    leftovers.add(census.end().await);
    let (runs, worst) = (gone.len(), worst(&gone));
    let line = Line::new("host_killed_at_start", runs, Tally::default(), leftovers);
    Line { detection: gone, recovery, ..line }.check();
    assert!(worst < Duration::from_secs(1), "it took {worst:?}");
}

/// A place with an installer that gets stuck half-way, or fails where it is told to.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.path("bin")).unwrap();
        let script = format!(
            "#!/bin/sh\n\
             case \"$1\" in --version) echo 'uv 99.0.0'; exit;; esac\n\
             if [ -e {fail} ]; then echo 'no such thing' >&2; exit 2; fi\n\
             for last; do :; done; mkdir -p \"$last/bin\"; : > {stuck}; exec sleep 300\n",
            fail = place.path("fail").display(),
            stuck = place.path("stuck").display()
        );
        // A child writes it: were it open here while another thread forks, it could not be run.
        let mut writer = Command::new("sh");
        writer.args(["-c", "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\""]);
        assert!(writer.arg(place.path("bin/uv")).arg(script).status().unwrap().success());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, role: &str) -> Host {
        let mut path = vec![self.path("bin")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        start(role, |command| {
            command.env("PATH", std::env::join_paths(path).unwrap());
            command.env("DSPEX_CACHE_DIR", self.path("cache")).env_remove("DSPEX_PYTHON");
        })
    }

    /// What lies beside finished environments, but for the locks.
    fn unfinished(&self) -> usize {
        let entries = std::fs::read_dir(self.path("cache").join("env")).unwrap().flatten();
        entries
            .filter(|entry| Path::new(&entry.file_name()).extension().is_none_or(|end| end != "lock"))
            .count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_killed_while_its_environment_is_built_takes_the_installer_along() {
    const RUNS: usize = 3;
    let census = Census::begin().await;
    let place = Place::new();
    let (mut gone, mut leftovers) = (Vec::new(), Leftovers::default());
    for run in 0..RUNS {
        let role = format!("provision framed {run} {}", std::process::id());
        let host = place.start(&role);
        crate::common::eventually("the installer works", || place.path("stuck").exists()).await;
        std::fs::remove_file(place.path("stuck")).unwrap();
        assert!(place.unfinished() > 0, "it leaves something behind");
        let (took, alive) = end(&role, host).await;
        gone.push(took);
        leftovers.orphans.extend(alive);
    }
    // Nothing of the dead is in the way of the next one, which fails by itself here and leaves nothing either.
    std::fs::write(place.path("fail"), "").unwrap();
    let mut next = place.start("provision framed");
    let said = next.said("FAILED");
    assert!(said.contains("no such thing"), "{said}");
    next.process.wait().unwrap();
    drop(next);
    let remains = place.unfinished();
    leftovers.leaks.extend((remains > 0).then(|| format!("{remains} half-built environments")));
    leftovers.add(census.end().await);
    let worst = worst(&gone);
    let line = Line::new("host_killed_while_provisioning", RUNS, Tally::default(), leftovers);
    Line { detection: gone, ..line }.check();
    assert!(worst < Duration::from_secs(1), "it took {worst:?}");
}
