//! `#[derive(Signature)]` and modules that share one, against the real DSPy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{on_both_carriers, start};
use dspex::prelude::*;
use dspex::testing::ScriptedLm;
use serde_json::json;

mod signatures {
    /// Answer the question.
    #[derive(dspex::Signature)]
    #[signature(derive(Clone, Debug, PartialEq))]
    pub struct Ask {
        /// What is asked.
        #[input]
        pub question: String,
        #[output]
        pub answer: f64,
        #[output]
        #[schemars(range(min = 0, max = 1))]
        pub confidence: f64,
    }
}

#[dspy_module("dspy.Predict", signature = signatures::Ask)]
struct Quick;

/// Think hard.
#[dspy_module("dspy.ChainOfThought", signature = signatures::Ask, temperature = 0.1)]
#[derive(Clone, Debug, PartialEq)]
struct Thorough;

fn rounded(outputs: QuickOutputs) -> i64 {
    outputs.answer.round() as i64
}

#[dspy_module("dspy.Predict", signature = signatures::Ask, transform = rounded -> i64)]
struct Rounded;

#[test]
fn modules_take_names_and_instructions_from_the_signature_unless_they_have_their_own() {
    assert_eq!(Quick::definition().instructions, Some("Answer the question."));
    assert_eq!(Thorough::definition().instructions, Some("Think hard."));
    assert_eq!(Thorough::definition().inputs, ["question"]);
    assert_eq!(Thorough::definition().outputs, ["answer", "confidence"]);
    assert_eq!(
        (Quick::definition().name, Thorough::definition().extra_outputs),
        ("Quick", &["reasoning"][..])
    );
}

on_both_carriers! {
    async fn modules_that_share_a_signature_have_its_fields_and_their_own(carrier: Carrier) {
        let script = ScriptedLm::new([
            json!({"answer": 42.0, "confidence": 0.5}),
            json!({"reasoning": "six sevens", "answer": 41.5, "confidence": 1.0}),
            json!({"answer": 41.7, "confidence": 1.0}),
        ]);
        let dspex = start(carrier, script).await;
        let inputs = QuickInputs { question: "6 * 7".into() };
        let quick = Quick::call(&dspex, inputs.clone()).await.unwrap();
        assert_eq!(quick, QuickOutputs { answer: 42.0, confidence: 0.5 });
        let thorough = Thorough::call(&dspex, inputs.clone()).await.unwrap();
        assert_eq!((thorough.answer, thorough.confidence, thorough.reasoning.as_str()), (41.5, 1.0, "six sevens"));
        assert_eq!(thorough.signature, QuickOutputs { answer: 41.5, confidence: 1.0 });
        assert_eq!(Rounded::call(&dspex, inputs).await.unwrap(), 42);
    }

    async fn constraints_of_a_shared_signature_hold_in_each_module(carrier: Carrier) {
        let wrong = json!({"reasoning": "r", "answer": 1.0, "confidence": 1.5});
        let dspex = start(carrier, ScriptedLm::new([wrong.clone(), wrong.clone(), wrong])).await;
        let error = Thorough::call(&dspex, ThoroughInputs { question: "?".into() }).await.unwrap_err();
        assert!(matches!(error, Error::InvalidOutput { .. }), "{error:?}");
    }
}
