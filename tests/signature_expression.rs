//! `signature!`, against the real DSPy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{on_both_carriers, start};
use dspex::signature;
use dspex::testing::ScriptedLm;
use serde_json::json;

on_both_carriers! {
    async fn a_signature_in_an_expression_is_typed_and_called(carrier: Carrier) {
        let script = ScriptedLm::new([
            json!({"answer": 42.0, "label": "b"}),
            json!({"reasoning": "six sevens", "answer": 41.5, "label": null}),
        ]);
        let dspex = start(carrier, script).await;
        let asking = || {
            let text = signature!("question, k: int -> answer: float, label: Optional[Literal['a', 'b']]");
            text.question("6 * 7").k(3)
        };
        let out = asking().predict(&dspex).await.unwrap();
        assert_eq!((out.answer, format!("{:?}", out.label)), (42.0, "Some(B)".to_owned()));
        let out = asking().chain_of_thought(&dspex.session()).await.unwrap();
        assert_eq!((out.answer, out.reasoning.as_str(), out.label.is_none()), (41.5, "six sevens", true));
    }

    async fn two_signatures_in_one_place_do_not_get_into_each_others_way(carrier: Carrier) {
        let script = ScriptedLm::new([json!({"b": "x"}), json!({"kind": 3, "crate": [1]})]);
        let dspex = start(carrier, script).await;
        let (one, two) = (signature!("a -> b").a("?"), signature!("type -> kind: int | str, crate: Any"));
        assert_eq!(one.predict(&dspex).await.unwrap().b, "x");
        let out = two.r#type("?").predict(&dspex).await.unwrap();
        assert_eq!((format!("{:?}", out.kind), out.crate_), ("Int(3)".to_owned(), json!([1])));
    }

    async fn inputs_that_are_choices_or_may_be_missing_are_set_without_naming_their_types(carrier: Carrier) {
        let script = ScriptedLm::new([json!({"answer": "fine"}), json!({"answer": "fine"})]);
        let dspex = start(carrier, script.clone()).await;
        let asking = || {
            signature!(
                "mood: Literal['calm', 'very wild', -1], moods: list[Literal['a', 'b']], value: int | str, \
                 note: Optional[str], number: float | list[int] | None, hint: Literal['x', 'y'] | None, \
                 person: Person, people: list[self::Person] -> answer",
                crate = ::dspex,
                instructions = concat!("Answer ", "politely."),
                describe(note = "What else there is.", answer = "In one word."),
            )
        };
        let people = || vec![Person { name: "Ada".to_owned() }];
        let asked = asking()
            .mood(|mood| mood.very_wild)
            .moods(|of| [of.b, of.a])
            .value("seven")
            .note("a note")
            .number(vec![1, 2])
            .hint(|hint| hint.y)
            .person(people().remove(0))
            .people(people());
        assert_eq!(asked.predict(&dspex).await.unwrap().answer, "fine");
        // What may be missing can be left out, or given as an option.
        let asked = asking().mood(|mood| mood.minus1).moods(|_| []).value(7).person(people().remove(0));
        let asked = asked.people([]).note(None).number(Some(0.5.into()));
        assert_eq!(asked.predict(&dspex).await.unwrap().answer, "fine");
        let prompts: Vec<_> = script.requests().iter().map(|request| format!("{request:?}")).collect();
        for text in ["very wild", "seven", "a note", "Ada", "Answer politely.", "What else there is.", "In one word."] {
            assert!(prompts[0].contains(text), "{text}: {}", prompts[0]);
        }
        assert!(!prompts[1].contains("a note"));
    }
}

#[derive(Clone, Debug, dspex::FieldType)]
struct Person {
    name: String,
}
