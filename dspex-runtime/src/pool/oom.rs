//! The kernel's count of processes that it killed for lack of memory: the only evidence that a SIGKILL was that.

use std::path::{Path, PathBuf};

/// Where the count stands, and what it said on the last two looks.
#[derive(Debug, Default)]
pub(crate) struct OomCount {
    file: Option<PathBuf>,
    /// On the look before the last one. A kill is reported later than it is counted, so the last look may have it already.
    before: u64,
    last: u64,
}

impl OomCount {
    /// That of this process' control group, else that of the machine; none where there is no `/proc`.
    pub(crate) fn find() -> Self {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        candidates(&groups).into_iter().find(|file| read(file).is_some()).map(Self::of).unwrap_or_default()
    }

    /// The count in a file, from what it says now on.
    pub(crate) fn of(file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        let count = read(&file).unwrap_or_default();
        Self { file: Some(file), before: count, last: count }
    }

    /// A look, now and then, so that the evidence is recent.
    pub(crate) fn look(&mut self) {
        self.before = self.last;
        self.last = self.read();
    }

    /// What the kernel says of a process that was killed just now, if it says anything.
    pub(crate) fn evidence(&mut self) -> Option<String> {
        let now = self.read();
        let kills = now.checked_sub(self.before).filter(|kills| *kills > 0)?;
        // One kill explains one end.
        self.before += 1;
        self.last = self.last.max(self.before);
        let machine = self.file.as_deref().is_some_and(|file| file == Path::new("/proc/vmstat"));
        let place = if machine { "on this machine" } else { "in this control group" };
        Some(format!("the kernel killed {kills} process(es) {place} for lack of memory at that time"))
    }

    fn read(&self) -> u64 {
        self.file.as_deref().and_then(read).unwrap_or(self.last)
    }
}

/// The files that may hold the count, the most exact first, for the text of `/proc/self/cgroup`.
fn candidates(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            let root = Path::new("/sys/fs/cgroup");
            files.extend([root.join(path).join("memory.events"), root.join("memory.events")]);
        } else if controllers.split(',').any(|controller| controller == "memory") {
            let root = Path::new("/sys/fs/cgroup/memory");
            files.extend([root.join(path).join("memory.oom_control"), root.join("memory.oom_control")]);
        }
    }
    files.push("/proc/vmstat".into());
    files
}

fn read(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_control_groups_are_known() {
        let files = candidates("0::/user.slice/app\n");
        assert_eq!(files[0], Path::new("/sys/fs/cgroup/user.slice/app/memory.events"));
        let files = candidates("7:cpu,cpuacct:/a\n4:memory:/docker/b\n");
        assert_eq!(files[0], Path::new("/sys/fs/cgroup/memory/docker/b/memory.oom_control"));
        assert_eq!(files.last().unwrap(), Path::new("/proc/vmstat"));
    }

    #[test]
    fn only_a_kill_that_the_kernel_counted_of_late_is_evidence_and_for_one_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let set = |count: u64| std::fs::write(file.path(), format!("oom 9\noom_kill {count}\n")).unwrap();
        set(3);
        let mut oom = OomCount::of(file.path());
        assert_eq!(oom.evidence(), None);
        set(4);
        oom.look();
        assert!(oom.evidence().unwrap().contains("killed 1 process"));
        assert_eq!(oom.evidence(), None, "it is used up");
        set(5);
        oom.look();
        oom.look();
        assert_eq!(oom.evidence(), None, "too long ago");
    }
}
