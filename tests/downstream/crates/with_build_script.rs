//! Has a build script, and a schema with a class that dspex has never heard of.
#![deny(warnings, missing_docs)]

dspex::include_bindings!();

/// Answers from the team's documents.
#[dspex::dspy_module("my_team.rag.RagProgram", depth = 3)]
pub struct Rag {
    /// The question.
    #[input]
    question: String,
    /// The answer.
    #[output]
    answer: String,
}

/// Uses what the class adds to the outputs.
#[must_use]
pub fn sources(outputs: RagOutputs) -> Vec<String> {
    outputs.sources
}

/// A draft of the same class, by its other path.
pub fn draft() -> my_team::Rag {
    my_team::rag::RagProgram::new("question -> answer").depth(3)
}

/// What is selected is there.
pub fn optimizer() -> dspy::teleprompt::LabeledFewShot {
    dspy::LabeledFewShot::new().k(4)
}

/// A function of the team's, with types.
///
/// # Errors
/// Those of the call.
pub async fn rank(caller: &impl dspex::Caller) -> dspex::Result<Vec<f64>> {
    my_team::rag::rank(caller, vec!["a".to_owned()]).r#type("bm25").await
}

/// A value of a type of this crate.
#[derive(Debug, dspex::FieldType)]
pub struct Passage {
    /// Its text.
    pub text: String,
}

/// A method that answers with it.
///
/// # Errors
/// Those of the call.
pub async fn best(program: &my_team::rag::RagProgramInstance) -> dspex::Result<Passage> {
    program.best_passage("What?", vec![Passage { text: String::new() }]).await
}
