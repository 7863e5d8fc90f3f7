//! A pickle in the place of a program's state is refused with the next step, and no code of it runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{builder, on_both_carriers};
use dspex::prelude::*;
use serde_json::json;

const PROGRAMS: &str = "dspex_security_programs";

on_both_carriers! {
    async fn no_program_is_loaded_from_a_pickle_and_the_refusal_says_what_to_do(carrier: Carrier) {
        let dir = tempfile::tempdir().unwrap();
        let (pickle, witness) = (dir.path().join("program.pkl"), dir.path().join("code ran"));
        let dspex = builder(carrier).allow_module(PROGRAMS).start().await.unwrap();
        let dspy = dspex.dspy();
        dspy.call(&format!("{PROGRAMS}.save_trap"), &json!([pickle, witness]), &json!({})).await.unwrap();
        let spec = |class: &str| InstanceSpec::new(class).signature(json!({"text": "question -> answer"}));
        for class in ["dspy.Predict", "dspy.ChainOfThought"] {
            let program = dspy.create_instance(spec(class)).await.unwrap();
            for (method, args) in [
                ("load", json!({"path": pickle})),
                ("load", json!({"path": pickle, "allow_pickle": true})),
                ("load_state", json!({"state": std::fs::read(&pickle).unwrap()})),
            ] {
                let error = dspy.call_instance_method(&program, method, &args).await.unwrap_err();
                assert!(matches!(error, Error::NotAllowed(_)), "{error:?}");
                assert!(error.to_string().contains("send the state in the spec"), "{error}");
            }
        }
        // DSPy's own function reads a whole program from a directory.
        std::fs::copy(&pickle, dir.path().join("metadata.json")).unwrap();
        let error = dspy.call("dspy.load", &json!([dir.path(), true]), &json!({})).await.unwrap_err();
        assert!(matches!(error, Error::NotAllowed(_)), "{error:?}");
        assert!(error.to_string().contains("`dump_state` gives a state"), "{error}");
        assert!(!witness.exists());
        // Read, it would have run.
        dspy.call(&format!("{PROGRAMS}.read_pickle"), &json!([pickle]), &json!({})).await.unwrap();
        assert!(witness.exists());
    }
}
