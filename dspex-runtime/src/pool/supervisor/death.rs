//! How a process' death reads: its code or signal, what it said last, and what the kernel counted. A decision without I/O, but for
//! the look at the kernel's count.

use crate::pool::events::WorkerEnd;
use crate::pool::logs::Tail;
use crate::pool::oom::OomCount;

const SIGKILL: i32 = 9;

/// The code with which a worker ends that could not set up DSPy, and what it says before the reason.
const EXIT_INIT: i32 = 3;
const CANNOT_START: &str = "cannot start: ";

/// What C code and Python write when they got no memory.
const MEMORY_WORDS: [&str; 4] =
    ["MemoryError", "std::bad_alloc", "Cannot allocate memory", "Unable to allocate"];

/// What is known of a process that ended, and that the pool did not end.
pub(super) struct Death<'a> {
    /// Its exit code, if it ended by itself.
    pub(super) code: Option<i32>,
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
    /// Whether it had said Hello.
    pub(super) was_ready: bool,
    /// Its limit of memory in bytes, if it had one.
    pub(super) limit: Option<u64>,
    /// Its resident bytes when they were last looked at.
    pub(super) rss: u64,
    /// What it wrote last.
    pub(super) tail: &'a Tail,
}

impl Death<'_> {
    /// How it ended. Evidence that the kernel gives for one death is used up by it.
    pub(super) fn end(&self, oom: &mut OomCount) -> WorkerEnd {
        let Self { code, signal, .. } = *self;
        // The kernel ends with this signal only what it ends for lack of memory.
        if signal == Some(SIGKILL)
            && let Some(evidence) = oom.evidence()
        {
            return WorkerEnd::OutOfMemory { signal, evidence };
        }
        if let Some(evidence) = self.limit.and_then(|limit| self.reached(limit)) {
            return WorkerEnd::OutOfMemory { signal, evidence };
        }
        match (code, signal) {
            (_, Some(signal)) => WorkerEnd::Signal(signal),
            (Some(EXIT_INIT), None) if !self.was_ready => {
                WorkerEnd::ImportFailed(self.tail.said_after(CANNOT_START))
            }
            (Some(code), None) => WorkerEnd::Exit(code),
            (None, None) => WorkerEnd::Disconnected("the worker ended".to_owned()),
        }
    }

    /// What says that it ran into its own limit.
    fn reached(&self, limit: u64) -> Option<String> {
        let lines = self.tail.text();
        let limited = format!("its limit is {} MiB, and ", limit >> 20);
        if let Some(word) = MEMORY_WORDS.iter().find(|word| lines.contains(**word)) {
            return Some(format!("{limited}its last lines say `{word}`"));
        }
        let crashed = self.signal.is_some_and(|number| number != SIGKILL);
        (crashed && self.rss > limit / 5 * 4).then(|| format!("{limited}it used {} MiB", self.rss >> 20))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Real texts of the kernel, with the count of kills left open.
    const GROUPS_OF_VERSION_2: &str =
        "low 0\nhigh 12\nmax 4711\noom 9\noom_kill {}\noom_group_kill 0\nsock_throttled 0\n";
    const GROUPS_OF_VERSION_1: &str = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n";
    const MACHINE: &str = "pgmigrate_success 3\ndrop_slab 0\noom_kill {}\nunevictable_pgs_culled 77\n";

    struct Kernel {
        file: tempfile::NamedTempFile,
        text: &'static str,
    }

    impl Kernel {
        fn with(text: &'static str) -> (Self, OomCount) {
            let mut kernel = Self { file: tempfile::NamedTempFile::new().unwrap(), text };
            kernel.counts(3);
            let oom = OomCount::of(kernel.file.path());
            (kernel, oom)
        }

        fn counts(&mut self, kills: u64) {
            let text = self.text.replace("{}", &kills.to_string());
            std::fs::File::create(self.file.path()).unwrap().write_all(text.as_bytes()).unwrap();
        }
    }

    fn death(code: Option<i32>, signal: Option<i32>, tail: &Tail) -> Death<'_> {
        Death { code, signal, was_ready: true, limit: None, rss: 1 << 30, tail }
    }

    #[test]
    fn a_kill_by_the_kernel_for_memory_is_told_from_one_by_somebody_else() {
        let tail = Tail::default();
        for text in [GROUPS_OF_VERSION_2, GROUPS_OF_VERSION_1, MACHINE] {
            let (mut kernel, mut oom) = Kernel::with(text);
            let killed = death(None, Some(9), &tail);
            assert_eq!(killed.end(&mut oom), WorkerEnd::Signal(9), "the kernel counted nothing: {text}");
            kernel.counts(4);
            // A crash at the same time is no kill.
            assert_eq!(death(None, Some(11), &tail).end(&mut oom), WorkerEnd::Signal(11));
            let end = killed.end(&mut oom);
            let WorkerEnd::OutOfMemory { signal: Some(9), evidence } = &end else { panic!("{end}: {text}") };
            assert!(evidence.contains("the kernel killed 1 process"), "{evidence}");
            assert_eq!(killed.end(&mut oom), WorkerEnd::Signal(9), "one count explains one death");
        }
    }

    #[test]
    fn a_process_that_really_was_killed_reads_as_what_the_kernel_counted_for_it() {
        use std::os::unix::process::ExitStatusExt;
        let tail = Tail::default();
        let end_of_a_killed_process = |oom: &mut OomCount| {
            let mut process = std::process::Command::new("sleep").arg("600").spawn().unwrap();
            process.kill().unwrap();
            let status = process.wait().unwrap();
            death(status.code(), status.signal(), &tail).end(oom)
        };
        let (mut kernel, mut oom) = Kernel::with(GROUPS_OF_VERSION_2);
        assert_eq!(end_of_a_killed_process(&mut oom), WorkerEnd::Signal(9));
        kernel.counts(5);
        assert_eq!(end_of_a_killed_process(&mut oom).cause(), "out_of_memory");
    }

    #[test]
    fn a_limit_is_blamed_only_with_words_or_a_size_that_say_so() {
        let (_kernel, mut oom) = Kernel::with(MACHINE);
        let (quiet, said) = (Tail::default(), Tail::default());
        said.push("terminate called after throwing an instance of 'std::bad_alloc'".to_owned());
        let of = |tail, signal, rss| Death { limit: Some(1 << 30), rss, ..death(None, Some(signal), tail) };
        assert_eq!(of(&said, 6, 0).end(&mut oom).cause(), "out_of_memory");
        assert_eq!(of(&quiet, 11, 900 << 20).end(&mut oom).cause(), "out_of_memory");
        assert_eq!(of(&quiet, 11, 100 << 20).end(&mut oom), WorkerEnd::Signal(11));
        assert_eq!(of(&quiet, 9, 900 << 20).end(&mut oom), WorkerEnd::Signal(9), "a limit kills nobody");
        let unlimited = Death { limit: None, ..of(&said, 6, 0) };
        assert_eq!(unlimited.end(&mut oom), WorkerEnd::Signal(6));
    }

    #[test]
    fn the_code_of_a_failed_import_is_one_only_before_hello() {
        let (_kernel, mut oom) = Kernel::with(MACHINE);
        let tail = Tail::default();
        tail.push("C dspex_worker.zygote: cannot start: ImportError: libgpu.so.1".to_owned());
        tail.push("a library's last words".to_owned());
        let ended = Death { was_ready: false, ..death(Some(3), None, &tail) };
        assert_eq!(ended.end(&mut oom), WorkerEnd::ImportFailed("ImportError: libgpu.so.1".to_owned()));
        assert_eq!(death(Some(3), None, &tail).end(&mut oom), WorkerEnd::Exit(3));
        assert_eq!(Death { code: Some(4), ..ended }.end(&mut oom), WorkerEnd::Exit(4));
    }
}
