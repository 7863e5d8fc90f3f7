//! "Did you mean": the name a person most likely wanted.

/// The candidate that is closest to `name`, if one is close enough to be worth proposing.
///
/// ```
/// use dspex_schema::closest;
///
/// assert_eq!(closest("max_iter", ["max_iters", "tools"]), Some("max_iters"));
/// assert_eq!(closest("banana", ["max_iters", "tools"]), None);
/// ```
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    best(candidates.into_iter().map(|candidate| (candidate, similarity(name, candidate))))
}

/// As [`closest`], for dotted paths. The last part weighs most, since all paths begin alike, and a name without
/// its module finds the path that ends in it.
///
/// ```
/// use dspex_schema::closest_path;
///
/// let classes = ["dspy.Predict", "dspy.LM", "dspy.ReAct"];
/// assert_eq!(closest_path("dspy.Predct", classes), Some("dspy.Predict"));
/// assert_eq!(closest_path("React", classes), Some("dspy.ReAct"));
/// assert_eq!(closest_path("dspy.Banana", classes), None);
/// ```
pub fn closest_path<'a>(path: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (module, last) = split(path);
    best(candidates.into_iter().map(|candidate| {
        let (candidate_module, candidate_last) = split(candidate);
        // The module only decides between classes of equal names.
        let tie = if module == candidate_module { 0.01 } else { 0.0 };
        (candidate, similarity(last, candidate_last) + tie)
    }))
}

/// Below this, a proposal misleads more often than it helps.
const THRESHOLD: f64 = 0.62;

fn best<'a>(scored: impl Iterator<Item = (&'a str, f64)>) -> Option<&'a str> {
    scored
        .filter(|(_, score)| *score >= THRESHOLD)
        // The first of equals, so that the answer does not depend on anything but the order given.
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(candidate, _)| candidate)
}

fn similarity(left: &str, right: &str) -> f64 {
    let fold = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    strsim::normalized_damerau_levenshtein(&fold(left), &fold(right))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}
