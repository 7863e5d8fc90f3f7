//! DSPy's own types of fields, there and back through a real worker.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{on_both_carriers, start};
use dspex::prelude::*;
use dspex::testing::ScriptedLm;
use dspex::types::{Citation, Citations, Code, Document, Reasoning, ToolCall, ToolCalls};

/// Improve the code.
#[dspy_module("dspy.Predict")]
struct Improve {
    #[input]
    code: Code,
    #[input]
    thoughts: Reasoning,
    #[output]
    why: Reasoning,
    #[output]
    better: Code,
    #[output]
    more: Vec<Code>,
}

/// Say what to look up.
#[dspy_module("dspy.Predict")]
struct Plan {
    #[input]
    done: ToolCalls,
    #[output]
    next: ToolCalls,
}

/// Answer with sources.
#[dspy_module("dspy.Predict")]
struct Cite {
    #[input]
    question: String,
    #[output]
    sources: Citations,
}

/// Read it.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Read {
    #[input]
    documents: Vec<Document>,
    #[output]
    answer: String,
}

fn chat(fields: &[(&str, &str)]) -> String {
    let fields: String =
        fields.iter().map(|(name, value)| format!("[[ ## {name} ## ]]\n{value}\n\n")).collect();
    format!("{fields}[[ ## completed ## ]]")
}

on_both_carriers! {
    async fn code_and_reasoning_go_to_python_and_come_back(carrier: Carrier) {
        let answer = chat(&[
            ("why", "Shorter is better."),
            ("better", "Here it is:\n```python\nprint(42)\n```\nDone."),
            ("more", r#"["a = 1", {"code": "b = 2"}]"#),
        ]);
        let lm = ScriptedLm::new([answer]);
        let dspex = start(carrier, lm.clone()).await;
        let inputs =
            ImproveInputs { code: Code::new("print(6 * 7)"), thoughts: Reasoning::new("It is long.") };
        let out = Improve::call(&dspex, inputs).await.unwrap();
        assert_eq!(out.why, Reasoning::new("Shorter is better."));
        assert_eq!(out.better, Code::new("print(42)"), "what stands around the code is taken away");
        assert_eq!(out.more, [Code::new("a = 1"), Code::new("b = 2")]);
        let asked = lm.requests()[0].prompt_text();
        assert!(asked.contains("print(6 * 7)") && asked.contains("It is long."), "{asked}");
        assert!(asked.contains("`code` (Code)") && asked.contains("Programming language: python"), "{asked}");
    }

    async fn tool_calls_go_to_python_and_come_back(carrier: Carrier) {
        let answer = r#"{"tool_calls": [{"name": "look_up", "args": {"word": "dspex", "deep": true}}]}"#;
        let lm = ScriptedLm::new([chat(&[("next", answer)])]);
        let dspex = start(carrier, lm.clone()).await;
        let done = ToolCalls::new([ToolCall::new("search").arg("query", "what is it?")]);
        let out = Plan::call(&dspex, PlanInputs { done }).await.unwrap();
        let wanted = ToolCall::new("look_up").arg("word", "dspex").arg("deep", true);
        assert_eq!(out.next.calls(), [wanted]);
        let asked = lm.requests()[0].prompt_text();
        assert!(asked.contains("what is it?"), "{asked}");
    }

    async fn citations_go_to_python_and_come_back(carrier: Carrier) {
        let answer = r#"{"citations": [{"cited_text": "blue", "document_index": 0, "start_char_index": 11, "end_char_index": 15}]}"#;
        let dspex = start(carrier, ScriptedLm::new([chat(&[("sources", answer)])])).await;
        let cited = Citation {
            kind: "char_location".into(),
            cited_text: "blue".into(),
            document_index: 0,
            document_title: None,
            start_char_index: 11,
            end_char_index: 15,
            supported_text: None,
        };
        let out = Cite::call(&dspex, CiteInputs { question: "Which colour?".into() }).await.unwrap();
        assert_eq!(out.sources, Citations::new([cited]));
    }

    async fn a_document_for_a_model_that_has_no_place_for_it_is_an_error_that_says_so(carrier: Carrier) {
        let dspex = start(carrier, ScriptedLm::new(["never said"])).await;
        let documents = vec![Document::text("The sky is blue.").titled("Weather")];
        let error = Read::call(&dspex, ReadInputs { documents }).await.unwrap_err();
        assert!(matches!(error, Error::Lm(_)), "{error:?}");
        assert!(error.to_string().contains("'document'"), "{error}");
    }
}
