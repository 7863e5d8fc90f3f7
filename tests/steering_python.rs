//! Python reads and writes the variables of its session, by the same rules as Rust.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{builder, on_both_carriers};
use dspex::Carrier;
use dspex::prelude::*;
use dspex::state::{Embedding, Tensor, VarSpec};
use serde_json::{Value, json};

const PROGRAMS: &str = "dspex_session_programs";

async fn start(carrier: Carrier) -> (Dspex, Session) {
    let dspex = builder(carrier).workers(2).allow_module(PROGRAMS).start().await.expect("dspex starts");
    let session = dspex.sessions().create("steered", SessionConfig::new()).await.unwrap();
    (dspex, session)
}

async fn call(session: &Session, name: &str, args: Value) -> dspex::Result<Value> {
    session.dspy().call(&format!("{PROGRAMS}.{name}"), &args, &json!({})).await
}

on_both_carriers! {
    async fn python_sees_what_rust_wrote_and_rust_what_python_wrote(carrier: Carrier) {
        let (_dspex, session) = start(carrier).await;
        let variables = session.variables();
        variables.create("x", VarSpec::integer(), 1).await.unwrap();
        assert_eq!(call(&session, "who", json!([])).await.unwrap(), json!("steered"));
        assert_eq!(call(&session, "put", json!(["x", 2])).await.unwrap(), json!(2));
        assert_eq!(variables.read::<i64>("x").await.unwrap().value, 2);
        assert_eq!(
            call(&session, "make", json!([])).await.unwrap(),
            json!([["made", "x"], {"$dspex": ["object", {"$dspex": 1}]}, "float", {"min": 0.0, "max": 2.0}, "how free"])
        );
        assert_eq!(variables.read::<f64>("made").await.unwrap().value, 0.5);
        let authors: Vec<_> =
            variables.history("x", 10).await.unwrap().into_iter().map(|change| change.author).collect();
        assert_eq!(authors, [Some("python".to_owned()), None]);
    }

    async fn writers_of_both_languages_lose_no_update(carrier: Carrier) {
        let (_dspex, session) = start(carrier).await;
        session.variables().create("count", VarSpec::integer(), 0).await.unwrap();
        let python = (0..6).map(|index| {
            let (session, name) = (session.clone(), if index % 2 == 0 { "add" } else { "add_async" });
            tokio::spawn(async move { call(&session, name, json!([20])).await.map(drop) })
        });
        let rust = tokio::spawn({
            let variables = session.variables();
            async move {
                let mut left = 30;
                while left > 0 {
                    let read = variables.read::<i64>("count").await.unwrap();
                    let written = variables.update("count", read.value + 1).if_version(read.version).await;
                    left -= i32::from(written.is_ok());
                }
                Ok(())
            }
        });
        for writer in python.chain([rust]).collect::<Vec<_>>() {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(session.variables().read::<i64>("count").await.unwrap().value, 150);
    }

    async fn large_arrays_travel_as_they_are(carrier: Carrier) {
        let (_dspex, session) = start(carrier).await;
        let variables = session.variables();
        let numbers: Vec<f32> = (0..1_000_000).map(|index| index as f32).collect();
        let doubled: Vec<f32> = numbers.iter().map(|number| number * 2.0).collect();
        let tensor = Tensor::new([1000, 1000], numbers).unwrap();
        variables.create("t", VarSpec::tensor().shape([None, Some(1000)]), tensor).await.unwrap();
        assert_eq!(
            call(&session, "double", json!(["t"])).await.unwrap(),
            json!("float32 [1000, 1000] False")
        );
        assert_eq!(variables.read::<Tensor>("t").await.unwrap().value.as_slice::<f32>().unwrap(), doubled);
        variables.create("e", VarSpec::embedding().dimensions(2), vec![0.5_f32, 1.0]).await.unwrap();
        call(&session, "double", json!(["e"])).await.unwrap();
        assert_eq!(variables.read::<Embedding>("e").await.unwrap().value.as_slice(), [1.0, 2.0]);
        variables.create("list", VarSpec::embedding(), vec![0.0_f32]).await.unwrap();
        call(&session, "put_ones", json!(["list", 1536])).await.unwrap();
        assert_eq!(variables.read::<Embedding>("list").await.unwrap().value.as_slice(), [1.0; 1536]);
    }

    async fn rules_hold_in_python_as_in_rust(carrier: Carrier) {
        let (_dspex, session) = start(carrier).await;
        let variables = session.variables();
        variables.create("t", VarSpec::float().range(0.0..=2.0), 1.0).await.unwrap();
        let in_rust = variables.update("t", 3.0).await.unwrap_err().to_string();
        let refused = call(&session, "refused", json!(["t", 3.0])).await.unwrap();
        assert_eq!(refused[0], json!(in_rust));
        assert_eq!(refused[1][0]["rule"], "max");
        let refused = call(&session, "refused", json!(["t", true])).await.unwrap();
        assert_eq!(refused[1][0]["rule"], "type");
        // Nobody catches it.
        let error = call(&session, "put", json!(["t", 3.0])).await.unwrap_err();
        let Error::Python(raised) = error else { panic!("{error}") };
        assert_eq!(raised.class, "dspex_worker.InvalidValue");
        assert!(raised.is_instance("ValueError") && raised.is_instance("dspex_worker.VariableError"));
        assert_eq!((&raised.attributes["code"], &raised.attributes["variable"]), (&json!("invalid"), &json!("t")));
        assert_eq!(raised.message, in_rust);
        assert_eq!(variables.read::<f64>("t").await.unwrap().value, 1.0);
    }

    async fn without_a_session_python_says_what_is_missing(carrier: Carrier) {
        let (dspex, _session) = start(carrier).await;
        let path = format!("{PROGRAMS}.who");
        let error = dspex.dspy().call(&path, &json!([]), &json!({})).await.unwrap_err();
        let Error::Python(raised) = error else { panic!("{error}") };
        assert_eq!(raised.class, "dspex_worker.NoSession");
        assert!(raised.message.contains("create(&session)"), "{}", raised.message);
    }
}
