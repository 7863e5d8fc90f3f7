use dspex_state::{
    Dtype, Embedding, Lifetime, NewSession, Quotas, SessionKey, SqliteOptions, State, Tensor, Type, VarSpec,
};

use super::*;
use crate::proto::Attachment;
use crate::proto::error::Kind;

async fn variables() -> Variables {
    variables_with(Quotas::default()).await
}

async fn variables_with(quotas: Quotas) -> Variables {
    let state = State::new(SqliteOptions::new().ephemeral().unwrap());
    let session = NewSession {
        key: SessionKey::generate(),
        id: "s".to_owned(),
        lifetime: Lifetime::Unlimited,
        temporary: false,
        metadata: Map::new(),
        settings: Map::new(),
        quotas,
    };
    state.variables(state.store().create_session(session, None).await.unwrap().session.key)
}

fn payload(asked: &Json) -> Payload {
    document(asked)
}

fn with_array(asked: &Json, dtype: &str, shape: &[u64], data: &[u8]) -> Payload {
    let (dtype, data) = (dtype.to_owned(), data.to_vec().into());
    let attachment = Attachment { name: "value".to_owned(), dtype, shape: shape.to_vec(), data };
    Payload { attachments: vec![attachment], ..payload(asked) }
}

fn le<const N: usize>(numbers: [f32; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

async fn ask(variables: &Variables, name: &str, payload: Payload) -> Result<Payload, proto::Error> {
    serve(name.to_owned(), payload, Some(variables.clone())).await
}

/// The answer's document.
async fn told(variables: &Variables, name: &str, asked: Json) -> Json {
    let answer = ask(variables, name, payload(&asked)).await.unwrap();
    assert!(answer.attachments.is_empty());
    serde_json::from_slice(&answer.json).unwrap()
}

/// What an answer that is a refusal says: its code and attributes, and its message.
async fn refused(variables: &Variables, name: &str, payload: Payload) -> (Json, String) {
    let error = ask(variables, name, payload).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Callback);
    let attributes = if error.attributes.is_empty() {
        Json::Null
    } else {
        serde_json::from_slice(&error.attributes).unwrap()
    };
    (attributes, error.message)
}

#[tokio::test]
async fn a_variable_is_made_read_set_described_and_removed() {
    let variables = variables().await;
    let spec = json!({"type": "float", "constraints": {"min": 0, "max": 2}, "description": "how free"});
    let made = told(&variables, "t", json!({"op": "create", "spec": spec, "value": 0.5})).await;
    assert_eq!(made, json!({"version": 1}));
    assert_eq!(told(&variables, "t", json!({"op": "update", "value": 1})).await, json!({"version": 2}));
    assert_eq!(
        told(&variables, "t", json!({"op": "read"})).await,
        json!({"type": "float", "version": 2, "value": 1.0})
    );
    let described = told(&variables, "t", json!({"op": "describe"})).await;
    assert_eq!(described["spec"]["constraints"], json!({"min": 0.0, "max": 2.0}));
    assert_eq!((&described["version"], &described["spec_version"]), (&json!(2), &json!(1)));
    let authors: Vec<_> =
        variables.history("t", 10).await.unwrap().into_iter().map(|one| one.author).collect();
    assert_eq!(authors, [Some("python".to_owned()), Some("python".to_owned())]);
    assert_eq!(told(&variables, "t", json!({"op": "delete"})).await, json!({"version": 3}));
    let (attributes, message) = refused(&variables, "t", payload(&json!({"op": "read"}))).await;
    assert_eq!(attributes, json!({"code": "not_found", "variable": "t", "suggestion": null}));
    assert_eq!(message, "there is no variable `t`");
}

#[tokio::test]
async fn names_come_in_pages_and_by_glob() {
    let variables = variables().await;
    for index in 0..250 {
        variables.create(format!("v{index:03}"), VarSpec::integer(), index).await.unwrap();
    }
    let mut names: Vec<String> = Vec::new();
    let mut pages = 0;
    loop {
        let mut asked = json!({"op": "list"});
        if let Some(last) = names.last() {
            asked["after"] = json!(last);
        }
        let page = told(&variables, "", asked).await;
        names.extend(page["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()));
        pages += 1;
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!((names.len(), pages), (250, 3));
    let some = told(&variables, "", json!({"op": "list", "glob": "v00?"})).await;
    assert_eq!(some["names"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn versions_guard_writes() {
    let variables = variables().await;
    variables.create("x", VarSpec::integer(), 1).await.unwrap();
    told(&variables, "x", json!({"op": "update", "value": 2, "if_version": 1})).await;
    for asked in
        [json!({"op": "update", "value": 3, "if_version": 1}), json!({"op": "delete", "if_version": 1})]
    {
        let (attributes, _) = refused(&variables, "x", payload(&asked)).await;
        assert_eq!(attributes, json!({"code": "conflict", "variable": "x", "expected": 1, "found": 2}));
    }
    assert_eq!(variables.read::<i64>("x").await.unwrap().value, 2);
}

#[tokio::test]
async fn tensors_and_embeddings_travel_as_bytes() {
    let variables = variables().await;
    let spec = json!({"type": "tensor", "constraints": {"shape": [null, 2], "dtype": "float32"}});
    let bytes = le([1.0, 2.0, 3.0, 4.0]);
    let create = json!({"op": "create", "spec": spec, "attachment": "value"});
    ask(&variables, "t", with_array(&create, "float32", &[2, 2], &bytes)).await.unwrap();
    let read = ask(&variables, "t", payload(&json!({"op": "read"}))).await.unwrap();
    let told: Json = serde_json::from_slice(&read.json).unwrap();
    assert_eq!(told, json!({"type": "tensor", "version": 1, "attachment": "value"}));
    let [attachment] = read.attachments.as_slice() else { panic!("one attachment") };
    assert_eq!((attachment.dtype.as_str(), attachment.shape.as_slice()), ("float32", &[2_u64, 2][..]));
    assert_eq!(attachment.data, bytes);

    variables.create("e", VarSpec::embedding().dimensions(2), vec![1.0_f32, 0.0]).await.unwrap();
    let update = json!({"op": "update", "attachment": "value"});
    ask(&variables, "e", with_array(&update, "float32", &[2], &le([0.5, 0.25]))).await.unwrap();
    assert_eq!(variables.read::<Embedding>("e").await.unwrap().value.as_slice(), [0.5, 0.25]);
    let read = ask(&variables, "e", payload(&json!({"op": "read"}))).await.unwrap();
    assert_eq!(read.attachments[0].data, le([0.5, 0.25]));
    assert_eq!(read.attachments[0].shape, [2]);
    // numpy's own choice is double precision.
    let doubles: Vec<u8> = [0.125_f64, -1.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    ask(&variables, "e", with_array(&update, "float64", &[2], &doubles)).await.unwrap();
    assert_eq!(variables.read::<Embedding>("e").await.unwrap().value.as_slice(), [0.125, -1.0]);
    let whole: Vec<u8> = [3_i64, 4].iter().flat_map(|number| number.to_le_bytes()).collect();
    ask(&variables, "e", with_array(&update, "int64", &[2], &whole)).await.unwrap();
    assert_eq!(variables.read::<Embedding>("e").await.unwrap().value.as_slice(), [3.0, 4.0]);
    // A nested list is a tensor as well.
    told_ok(&variables, "t", json!({"op": "update", "value": [[5, 6]]})).await;
    assert_eq!(variables.read::<Tensor>("t").await.unwrap().value.as_slice::<f32>().unwrap(), [5.0, 6.0]);
}

async fn told_ok(variables: &Variables, name: &str, asked: Json) {
    told(variables, name, asked).await;
}

#[tokio::test]
async fn arrays_are_held_against_the_rules() {
    let variables = variables().await;
    let tensor = Tensor::new([1], vec![1.0_f32]).unwrap();
    let spec = VarSpec::tensor().dtype(Dtype::Float32);
    variables.create("t", spec, tensor).await.unwrap();
    variables.create("e", VarSpec::embedding(), vec![1.0_f32]).await.unwrap();
    variables.create("l", VarSpec::list(), vec![1]).await.unwrap();
    let huge: Vec<u8> = [1.0_f64, 1e300].iter().flat_map(|number| number.to_le_bytes()).collect();
    for (name, dtype, shape, data, says) in [
        ("t", "float64", &[2_u64][..], &huge, "`dtype`"),
        ("t", "uint8", &[1], &vec![1], "an array of uint8 breaks `type`: expected numbers of float32"),
        ("e", "float64", &[2], &huge, "1e300 at [1] breaks `type`: expected a finite number"),
        ("e", "float32", &[1, 1], &le([1.0]), "an array of one dimension"),
        ("l", "float32", &[1], &le([1.0]), "expected list"),
    ] {
        let update = json!({"op": "update", "attachment": "value"});
        let (attributes, message) = refused(&variables, name, with_array(&update, dtype, shape, data)).await;
        assert_eq!(attributes["code"], "invalid", "{message}");
        assert_eq!(attributes["variable"], name);
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test]
async fn a_refused_value_comes_with_every_rule_that_it_breaks() {
    let variables = variables().await;
    variables.create("name", VarSpec::string().min_length(3).pattern("^[a-z]+$"), "abc").await.unwrap();
    let (attributes, message) =
        refused(&variables, "name", payload(&json!({"op": "update", "value": "X"}))).await;
    assert_eq!(attributes["code"], "invalid");
    let rules: Vec<_> =
        attributes["violations"].as_array().unwrap().iter().map(|one| one["rule"].clone()).collect();
    assert!(rules.contains(&json!("min_length")) && rules.contains(&json!("pattern")), "{rules:?}");
    assert!(message.contains("`name`"), "{message}");
}

#[tokio::test]
async fn pythons_own_values_are_refused_by_what_they_are() {
    let variables = variables().await;
    variables.create("f", VarSpec::float(), 1).await.unwrap();
    variables.create("d", VarSpec::dict(), Map::new()).await.unwrap();
    for (name, value, says) in [
        ("f", json!({"$dspex": ["float", "nan"]}), "NaN breaks `type`: expected a finite number"),
        ("f", json!({"$dspex": ["int", "9".repeat(30)]}), "64 bits"),
        ("f", json!({"$dspex": ["bytes", "AAAA"]}), "3 bytes breaks"),
        ("f", json!({"$dspex": ["str", "7aCA"]}), "half of a surrogate pair"),
        ("f", Json::Null, "null breaks `type`: expected a number"),
        ("d", json!({"a": [{"$dspex": ["opaque", {"type": "x.Y", "repr": ""}]}]}), "x.Y at .a[0] breaks"),
        ("d", json!({"a": {"$dspex": ["what", 1]}}), "at .a breaks"),
    ] {
        let (attributes, message) =
            refused(&variables, name, payload(&json!({"op": "update", "value": value}))).await;
        assert_eq!(attributes["code"], "invalid");
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test]
async fn a_dict_with_the_key_of_a_tag_comes_back_as_it_was() {
    let variables = variables().await;
    let tagged = json!({"$dspex": ["object", {"$dspex": 1}]});
    let spec = json!({"type": "dict"});
    told(&variables, "d", json!({"op": "create", "spec": spec, "value": tagged})).await;
    let held = variables.read::<Json>("d").await.unwrap().value;
    assert_eq!(held, json!({"$dspex": 1}));
    assert_eq!(told(&variables, "d", json!({"op": "read"})).await["value"], tagged);
}

#[tokio::test]
async fn making_one_wrongly_says_what_is_wrong() {
    let variables = variables().await;
    variables.create("x", VarSpec::integer(), 1).await.unwrap();
    for (name, spec, code, says) in [
        ("x", json!({"type": "integer"}), "exists", "already"),
        ("y", json!({"type": "number"}), "spec", "there is no type `number`"),
        ("y", json!({"type": "string", "constraints": {"shape": [2]}}), "spec", "`shape` is a constraint of"),
        (
            "y",
            json!({"type": "float", "constraints": {"min": {"$dspex": ["float", "nan"]}}}),
            "spec",
            "a finite number at .constraints.min, found NaN",
        ),
        ("", json!({"type": "integer"}), "spec", "is no name of a variable"),
        ("y", json!({"type": "integer", "constraints": {"max": 0}}), "invalid", "`max`"),
    ] {
        let asked = json!({"op": "create", "spec": spec, "value": 1});
        let (attributes, message) = refused(&variables, name, payload(&asked)).await;
        assert_eq!(attributes["code"], code, "{message}");
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test]
async fn quotas_and_closed_sessions_have_codes_of_their_own() {
    let limited = variables_with(Quotas { variables: Some(1), bytes: None }).await;
    limited.create("x", VarSpec::integer(), 1).await.unwrap();
    let create = json!({"op": "create", "spec": "integer", "value": 1});
    let (attributes, _) = refused(&limited, "y", payload(&create)).await;
    assert_eq!(attributes, json!({"code": "quota", "what": "variables", "limit": 1, "wanted": 2}));

    let closed = variables().await;
    closed.state().store().delete_session(closed.session()).await.unwrap();
    for asked in [create, json!({"op": "update", "value": 1}), json!({"op": "read"}), json!({"op": "list"})] {
        let (attributes, message) = refused(&closed, "y", payload(&asked)).await;
        assert_eq!(attributes, json!({"code": "closed"}), "{asked}: {message}");
    }
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_ask() {
    let error = serve("x".to_owned(), payload(&json!({"op": "read"})), None).await.unwrap_err();
    assert_eq!(serde_json::from_slice::<Json>(&error.attributes).unwrap(), json!({"code": "unavailable"}));
    assert!(error.message.contains("no session"));
}

#[tokio::test]
async fn questions_that_are_none_are_refused_with_what_is_wrong() {
    let variables = variables().await;
    variables.create("x", VarSpec::integer(), 1).await.unwrap();
    for (asked, says) in [
        (json!([]), "it is no object"),
        (json!({}), "it has no `op`"),
        (json!({"op": 1}), "it has no `op`"),
        (json!({"op": "erase"}), "there is no operation `erase`"),
        (json!({"op": "read", "value": 1}), "unknown field `value`"),
        (json!({"op": "update"}), "either `value` or `attachment`"),
        (json!({"op": "update", "value": 1, "attachment": "value"}), "either `value` or `attachment`"),
        (json!({"op": "update", "attachment": "value"}), "there is no attachment `value`"),
        (json!({"op": "update", "value": 1, "if_version": -1}), "`update`: invalid value"),
        (json!({"op": "update", "value": 1, "version": 1}), "unknown field `version`"),
        (json!({"op": "create", "value": 1}), "missing field `spec`"),
        (json!({"op": "list", "glob": 1}), "`list`: invalid type"),
    ] {
        let (attributes, message) = refused(&variables, "x", payload(&asked)).await;
        assert_eq!(attributes, Json::Null, "{message}");
        assert!(message.contains(says), "{asked}: {message}");
    }
    let broken = Payload { json: b"{".to_vec().into(), attachments: Vec::new() };
    assert!(refused(&variables, "x", broken).await.1.contains("cannot be read"));
    let update = json!({"op": "update", "attachment": "value"});
    for (shape, data) in [(&[2_u64][..], vec![0; 7]), (&[u64::MAX, 2], Vec::new())] {
        let (_, message) = refused(&variables, "x", with_array(&update, "float32", shape, &data)).await;
        assert!(message.contains("cannot be read"), "{message}");
    }
    assert_eq!(variables.read::<i64>("x").await.unwrap().value, 1);
}

#[tokio::test]
async fn lists_that_travel_as_arrays_mean_what_they_mean_in_json() {
    let variables = variables().await;
    variables.create("l", VarSpec::list(), vec![0]).await.unwrap();
    variables.create("e", VarSpec::embedding(), vec![0.0_f32]).await.unwrap();
    variables.create("s", VarSpec::string(), "").await.unwrap();
    let zero = || Tensor::new([1], vec![0_i32]).unwrap();
    for (name, dtype) in [("f32", Dtype::Float32), ("f64", Dtype::Float64), ("i32", Dtype::Int32)] {
        let zeros = Value::from_json(Type::Tensor, json!([0]), Some(dtype)).unwrap();
        variables.create(name, VarSpec::tensor().dtype(dtype), zeros).await.unwrap();
    }
    variables.create("any", VarSpec::tensor(), zero()).await.unwrap();
    let names = ["l", "e", "s", "f32", "f64", "i32", "any"];
    let whole = |numbers: &[i64]| (json!(numbers), numbers.iter().flat_map(|n| n.to_le_bytes()).collect());
    let floats = |numbers: &[f64]| {
        let json: Vec<Json> = numbers.iter().map(|number| wire::float(*number)).collect();
        (Json::Array(json), numbers.iter().flat_map(|n| n.to_le_bytes()).collect())
    };
    let lists: [(Json, Vec<u8>, &str); 7] = [
        {
            let (json, data) = whole(&[1, -2, 3, 4]);
            (json, data, "int64")
        },
        {
            let (json, data) = whole(&[1, 1 << 40, 0, 0]);
            (json, data, "int64")
        },
        {
            let (json, data) = whole(&[0, 0, 9_007_199_254_740_993, 0]);
            (json, data, "int64")
        },
        {
            let (json, data) = floats(&[0.1, 2.0, -0.0, 1e-3]);
            (json, data, "float64")
        },
        {
            let (json, data) = floats(&[0.0, 0.0, 1e300, 0.0]);
            (json, data, "float64")
        },
        {
            let (json, data) = floats(&[0.0, f64::NAN, 0.0, 0.0]);
            (json, data, "float64")
        },
        {
            let (json, data) = floats(&[0.0, 0.0, f64::INFINITY, 0.0]);
            (json, data, "float64")
        },
    ];
    for (flat, data, dtype) in &lists {
        let square = json!([[flat[0], flat[1]], [flat[2], flat[3]]]);
        for (list, shape) in [(flat, &[4_u64][..]), (&square, &[2, 2])] {
            for name in names {
                let asked = json!({"op": "update", "value": list});
                let expected = ask(&variables, name, payload(&asked)).await;
                let expected_value = variables.read::<Value>(name).await.unwrap().value;
                let asked = json!({"op": "update", "attachment": "value", "list": true});
                let got = ask(&variables, name, with_array(&asked, dtype, shape, data)).await;
                match (expected, got) {
                    (Ok(_), Ok(_)) => {
                        assert_eq!(variables.read::<Value>(name).await.unwrap().value, expected_value);
                    }
                    (Err(expected), Err(got)) => {
                        let told = |error: &proto::Error| {
                            let json: Json = serde_json::from_slice(&error.attributes).unwrap();
                            (json["code"].clone(), json["violations"][0]["path"].clone())
                        };
                        let ((code, place), (same_code, same_place)) = (told(&expected), told(&got));
                        assert_eq!(code, same_code, "{name} {list}");
                        // Of several wrong numbers JSON names the one that is no number first, and tensors no place at all.
                        if name == "l" || (name, shape.len()) == ("e", 1) {
                            assert_eq!(place, same_place, "{name} {list}");
                        }
                    }
                    (expected, got) => panic!("{name} {list}: {expected:?} as JSON, {got:?} as an array"),
                }
            }
        }
    }
}
