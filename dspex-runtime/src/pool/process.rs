//! What the system tells of a process: `/proc`. Elsewhere nothing is known, and nothing is decided by it.

/// Readings of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident bytes, shared pages counted in full; 0: unknown.
    pub(crate) rss: u64,
    /// Resident bytes, each shared page divided among those that share it; 0: unknown.
    pub(crate) pss: u64,
}

/// Resident bytes: one small read. Never below the proportional size.
pub(crate) fn rss(pid: u32) -> Option<u64> {
    size(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// Both sizes; the kernel walks all pages for it (about a millisecond for 100 MB). None where that is not allowed, as it is of a process
/// that allows no dumps, for whoever is not root.
pub(crate) fn memory(pid: u32) -> Option<Memory> {
    parse_rollup(&std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?)
}

fn parse_rollup(text: &str) -> Option<Memory> {
    Some(Memory { rss: size(text, "Rss:")?, pss: size(text, "Pss:")? })
}

/// The bytes of a line such as `Rss:   2048 kB`.
fn size(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Whether the process is stopped, by a signal or by a debugger.
pub(crate) fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// When the process started, in ticks since the system did: with its id it names a process for ever.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    // A zombie runs no more, whoever has yet to collect it.
    stat(pid).filter(|stat| !matches!(stat.state, 'Z' | 'X')).map(|stat| stat.start_time)
}

/// Kills the processes of the group that this process leads or led. As long as one of them lives, the number is no other process's.
pub(crate) fn kill_group(leader: u32, born: u64) {
    // With all of them gone, the number may be another's, who would be alive.
    if start_time(leader).is_some_and(|started| started != born) {
        return;
    }
    let group = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // There is none of them, most often.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

struct Stat {
    state: char,
    start_time: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The command's name may itself hold spaces and brackets.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is the third field, the start time the 22nd.
    Some(Stat { state, start_time: fields.nth(18)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_hides_nothing() {
        let text = "77 (a) b (c) T 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.start_time), ('T', 987_654));
    }

    #[test]
    fn sizes_are_read_in_bytes() {
        let text = "55d0-7ff ---p 0 00:00 0 [rollup]\nRss:  2048 kB\nPss:   1024 kB\nPss_Anon: 7 kB\n";
        assert_eq!(parse_rollup(text), Some(Memory { rss: 2 << 20, pss: 1 << 20 }));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_reads_its_own_figures() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.pss > 0 && memory.pss <= memory.rss);
        assert!(rss(pid).unwrap() > 1 << 20 && !is_stopped(pid));
        assert_eq!(start_time(pid), start_time(pid));
        assert!(start_time(u32::MAX).is_none());
    }
}
