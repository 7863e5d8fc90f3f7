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
}
