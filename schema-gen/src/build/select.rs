//! Which classes and functions get bindings.

use crate::Error;

/// Patterns of dotted names: a name as it is, or one that ends in `.*`, which stands for everything below a module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
}

impl Selection {
    /// Whether something with these paths is selected. Every path at which it is exported counts.
    pub(crate) fn selects<'a>(&self, paths: impl Iterator<Item = &'a str> + Clone) -> bool {
        let matched = |patterns: &[String]| {
            patterns.iter().any(|pattern| paths.clone().any(|path| matches(pattern, path)))
        };
        (self.include.is_empty() || matched(&self.include)) && !matched(&self.exclude)
    }

    /// Refuses patterns that are misspelt, or that select nothing at all.
    pub(crate) fn check<'a>(&self, paths: impl Iterator<Item = &'a str> + Clone) -> Result<(), Error> {
        for pattern in self.include.iter().chain(&self.exclude) {
            let stem = pattern.strip_suffix(".*").unwrap_or(pattern);
            if stem.is_empty() || stem.contains('*') {
                return Err(Error::Option(format!(
                    "`{pattern}` is no pattern; give a name such as `dspy.ReAct`, or everything below a module, \
                     such as `dspy.teleprompt.*`"
                )));
            }
            if !paths.clone().any(|path| matches(pattern, path)) {
                let near = dspex_schema::closest_path(stem, paths.clone());
                let hint = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                return Err(Error::Option(format!("`{pattern}` matches nothing in the schema{hint}")));
            }
        }
        Ok(())
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(module) => path.strip_prefix(module).is_some_and(|rest| rest.starts_with('.')),
        None => path == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Selection { include: owned(include), exclude: owned(exclude) }
    }

    #[test]
    fn without_patterns_everything_is_selected() {
        assert!(selection(&[], &[]).selects(["dspy.ReAct"].into_iter()));
    }

    #[test]
    fn any_path_of_a_class_selects_it_and_exclusion_wins() {
        let optimizers = selection(&["dspy.teleprompt.*"], &["dspy.GEPA"]);
        assert!(optimizers.selects(["dspy.MIPROv2", "dspy.teleprompt.MIPROv2"].into_iter()));
        assert!(!optimizers.selects(["dspy.ReAct", "dspy.predict.ReAct"].into_iter()));
        assert!(!optimizers.selects(["dspy.GEPA", "dspy.teleprompt.GEPA"].into_iter()));
        assert!(!optimizers.selects(["dspy.teleprompter"].into_iter()));
    }

    #[test]
    fn a_pattern_that_is_wrong_is_an_error_with_a_proposal() {
        let paths = ["dspy.ReAct", "dspy.teleprompt.MIPROv2"];
        let problem = |pattern| selection(&[pattern], &[]).check(paths.into_iter()).unwrap_err().to_string();
        assert!(problem("dspy.Reakt").contains("did you mean `dspy.ReAct`?"), "{}", problem("dspy.Reakt"));
        assert!(problem("dspy.*.MIPROv2").contains("is no pattern"));
        assert!(problem("*").contains("is no pattern"));
        assert!(selection(&["dspy.teleprompt.*"], &[]).check(paths.into_iter()).is_ok());
    }
}
