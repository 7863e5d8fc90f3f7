//! Reads the few things that provisioning needs to know about a lock: which packages it pins.

/// The packages that a ready interpreter has to have: what the worker cannot start without.
const NEEDED: &[&str] = &["dspy", "protobuf"];

/// A pinned package of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
}

/// The pins of a lock in its order; a package that is pinned differently for different Pythons comes up repeatedly.
pub(super) fn pins(lock: &str) -> impl Iterator<Item = Pin<'_>> {
    lock.lines().filter_map(|line| {
        // A continuation line is indented, an option begins with a dash.
        let (name, rest) = line.split_once("==")?;
        let name = name.split('[').next()?.trim_end();
        let first = name.chars().next()?;
        let version = rest.split([' ', ';', '\\', '\t']).next()?.trim();
        (first.is_ascii_alphanumeric() && !version.is_empty()).then_some(Pin { name, version })
    })
}

/// How many packages a lock pins.
pub(super) fn count(lock: &str) -> u64 {
    let mut names: Vec<&str> = pins(lock).map(|pin| pin.name).collect();
    names.sort_unstable();
    names.dedup();
    names.len() as u64
}

/// The pins that a ready interpreter is checked for.
pub(super) fn needed(lock: &str) -> Vec<Pin<'_>> {
    pins(lock).filter(|pin| NEEDED.contains(&pin.name)).collect()
}

/// Whether an installed version will do where the lock pins another one.
///
/// DSPy has to be the exact version that the schemas describe. The protobuf runtime has to be of the same major version
/// as the generated code and not older.
pub(super) fn satisfies(pin: &Pin<'_>, installed: &str) -> bool {
    if pin.name != "protobuf" {
        return installed == pin.version;
    }
    let parts = |version: &str| -> Option<(u32, u32)> {
        let mut parts = version.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??))
    };
    match (parts(pin.version), parts(installed)) {
        (Some((major, minor)), Some((has_major, has_minor))) => has_major == major && has_minor >= minor,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::env::LOCK;

    #[test]
    fn the_embedded_lock_pins_what_a_worker_needs_with_hashes() {
        let needed: Vec<_> = needed(LOCK).iter().map(|pin| pin.name).collect();
        assert_eq!(needed, ["dspy", "protobuf"]);
        assert!(count(LOCK) > 50);
        let unhashed = LOCK.split("\n").filter(|line| line.contains("==") && !line.starts_with([' ', '#']));
        assert!(unhashed.clone().all(|line| line.ends_with('\\')), "a pin without a hash");
        assert!(!LOCK.contains("://"), "a lock holds no index addresses");
    }

    #[test]
    fn pins_are_read_past_extras_markers_hashes_and_comments() {
        let lock = "# comment ==1\n--only-binary :all:\nfoo==1.0 ; python_full_version < '3.11' \\\n    --hash=sha256:00\n\
                    foo==2.0\nbar[baz]==3.1.post1 \\\n    --hash=sha256:11\n    # via foo==9\n";
        let pins: Vec<_> = pins(lock).map(|pin| (pin.name, pin.version)).collect();
        assert_eq!(pins, [("foo", "1.0"), ("foo", "2.0"), ("bar", "3.1.post1")]);
        assert_eq!(count(lock), 2);
    }

    #[test]
    fn dspy_must_match_exactly_and_protobuf_may_be_newer() {
        let dspy = Pin { name: "dspy", version: "3.4.1" };
        assert!(satisfies(&dspy, "3.4.1") && !satisfies(&dspy, "3.4.2"));
        let protobuf = Pin { name: "protobuf", version: "7.36.2" };
        for (installed, fits) in [
            ("7.36.2", true),
            ("7.36.0", true),
            ("7.40.1", true),
            ("7.35.9", false),
            ("8.0.0", false),
            ("x", false),
        ] {
            assert_eq!(satisfies(&protobuf, installed), fits, "{installed}");
        }
    }
}
