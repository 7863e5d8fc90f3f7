//! Every constraint of every type, from both sides of its edge, and as properties.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

use dspex_state::{
    Dtype, Embedding, IntoSpec, IntoVariable, Norm, Rules, Spec, Tensor, Type, Value, VarSpec,
    supported_types,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// What is wrong with a value, as `rule path: found`.
fn broken(spec: impl IntoSpec, value: impl IntoVariable) -> Vec<String> {
    match spec.into_spec().unwrap().accept("x", value) {
        Ok(_) => Vec::new(),
        Err(invalid) => {
            assert_eq!(invalid.variable, "x");
            let told = invalid.violations.iter();
            told.map(|violation| format!("{} {}: {}", violation.rule, violation.path, violation.found))
                .collect()
        }
    }
}

fn ok(spec: impl IntoSpec, value: impl IntoVariable) {
    assert_eq!(broken(spec, value), Vec::<String>::new());
}

#[test]
fn strings_have_lengths_in_characters_patterns_and_enums() {
    ok(VarSpec::string().min_length(2).max_length(2), "äö");
    assert_eq!(broken(VarSpec::string().max_length(1), "äö"), ["max_length : 2 characters"]);
    assert_eq!(broken(VarSpec::string().min_length(1), ""), ["min_length : 0 characters"]);
    ok(VarSpec::string().pattern("b"), "abc");
    assert_eq!(broken(VarSpec::string().pattern("^b"), "abc"), ["pattern : \"abc\""]);
    assert_eq!(broken(VarSpec::string().one_of(["a", "b"]), "c"), ["enum : \"c\""]);
}

#[test]
fn integers_have_bounds_steps_and_enums() {
    let spec = || VarSpec::integer().range(1..11).step(3);
    ok(spec(), 1);
    ok(spec(), 10);
    assert_eq!(broken(spec(), 11), ["max : 11", "step : 11"]);
    assert_eq!(broken(spec(), 0), ["min : 0", "step : 0"]);
    assert_eq!(broken(VarSpec::integer().one_of([1, 2]), 3), ["enum : 3"]);
    assert_eq!(broken(VarSpec::integer(), true), ["type : the boolean true"]);
    assert_eq!(broken(VarSpec::integer().min(i64::MIN).step(2), i64::MAX), [format!("step : {}", i64::MAX)]);
    ok(VarSpec::integer(), 9_007_199_254_740_993_i64);
}

#[test]
fn floats_have_bounds_steps_and_enums_and_refuse_nan() {
    let spec = || VarSpec::float().range(0.0..=2.0).step(0.1);
    ok(spec(), 0.3);
    ok(spec(), 1);
    assert_eq!(broken(spec(), 0.25), ["step : 0.25"]);
    assert_eq!(broken(VarSpec::float().max(2.0), 2.1), ["max : 2.1"]);
    assert_eq!(broken(VarSpec::float(), f64::NAN), ["type : NaN"]);
    assert_eq!(broken(VarSpec::float(), Value::Float(f64::INFINITY)), ["type : inf"]);
    assert_eq!(broken(VarSpec::float().one_of([0.5]), 0.6), ["enum : 0.6"]);
}

#[test]
fn booleans_are_nothing_but_booleans() {
    ok(VarSpec::boolean(), true);
    assert_eq!(broken(VarSpec::boolean(), 1), ["type : the number 1"]);
    assert_eq!(broken(VarSpec::boolean(), "true"), ["type : the string \"true\""]);
}

#[test]
fn lists_have_lengths_unique_items_and_types_of_items() {
    ok(VarSpec::list().min_items(1).max_items(2), [1, 2]);
    assert_eq!(broken(VarSpec::list().max_items(1), [1, 2]), ["max_items : 2 items"]);
    assert_eq!(broken(VarSpec::list().unique(), json!([1, {"a": 1, "b": 2}, {"b": 2, "a": 1.0}])).len(), 1);
    assert_eq!(broken(VarSpec::list().unique(), json!(["1", 1])).len(), 0);
    let nested = || VarSpec::list().items(VarSpec::list().items(VarSpec::integer().min(0)));
    ok(nested(), json!([[1], []]));
    assert_eq!(
        broken(nested(), json!([[1], [2, -1], ["x"]])),
        ["min [1][1]: -1", "type [2][0]: the string \"x\""]
    );
}

#[test]
fn dicts_have_required_keys_types_of_values_and_sizes() {
    let spec = || VarSpec::dict().required(["id"]).values(VarSpec::string());
    ok(spec(), json!({"id": "a", "b": "c"}));
    assert_eq!(broken(spec(), json!({"b": 1})), ["required : no key \"id\"", "type .b: the number 1"]);
    assert_eq!(broken(VarSpec::dict().max_items(0), json!({"b": 1})), ["max_items : 1 entries"]);
}

#[test]
fn tensors_have_shapes_with_wildcards_types_and_bounds() {
    let spec = || VarSpec::tensor().shape([None, Some(2)]).dtype(Dtype::Float32).range(0.0..=10.0);
    ok(spec(), json!([[1, 2], [3, 4]]));
    ok(spec(), ndarray::array![[1.0_f32, 2.0]]);
    assert_eq!(broken(spec(), ndarray::array![[1.0_f32, 2.0, 3.0]]), ["shape : [1, 3]"]);
    assert_eq!(broken(spec(), ndarray::array![1.0_f32]), ["shape : [1]"]);
    assert_eq!(broken(spec(), ndarray::array![[1.0_f64, 2.0]]), ["dtype : float64"]);
    assert_eq!(broken(spec(), ndarray::array![[1.0_f32, 2.0], [3.0, 11.0]]), ["max [1][1]: 11"]);
    assert_eq!(broken(spec(), ndarray::array![[1.0_f32, f32::NAN]]), ["min [0][1]: NaN", "max [0][1]: NaN"]);
    // Without bounds NaN is a number like any other, as it is in numpy.
    ok(VarSpec::tensor(), ndarray::array![f64::NAN]);
}

#[test]
fn embeddings_have_dimensions_norms_and_bounds() {
    ok(VarSpec::embedding().dimensions(2).norm(Norm::L2), vec![0.6_f32, 0.8]);
    assert_eq!(broken(VarSpec::embedding().dimensions(3), vec![0.6_f32, 0.8]), ["dimensions : 2"]);
    assert_eq!(
        broken(VarSpec::embedding().norm(Norm::L1), vec![0.5_f32, -0.25]),
        ["norm : an L1 norm of 0.75"]
    );
    ok(VarSpec::embedding().norm(Norm::L1).tolerance(0.3), vec![0.5_f32, -0.25]);
    assert_eq!(broken(VarSpec::embedding().range(0.0..=1.0), vec![0.5_f32, -0.25]), ["min [1]: -0.25"]);
    assert_eq!(broken(VarSpec::embedding(), vec![f32::NAN]), ["type [0]: NaN"]);
    ok(VarSpec::embedding(), Embedding::from(vec![]));
}

#[test]
fn choices_and_modules_are_among_those_allowed() {
    ok(VarSpec::choice(["a", "b"]), "b");
    assert_eq!(broken(VarSpec::choice(["a", "b"]), "c"), ["choices : \"c\""]);
    ok(VarSpec::module(), "dspy.Predict");
    assert_eq!(broken(VarSpec::module(), "dspy..Predict"), ["type : \"dspy..Predict\""]);
    assert_eq!(broken(VarSpec::module(), "os; rm"), ["type : \"os; rm\""]);
    assert_eq!(
        broken(VarSpec::module().allowed(["dspy.Predict"]), "dspy.ReAct"),
        ["allowed : \"dspy.ReAct\""]
    );
}

#[test]
fn a_message_names_the_variable_the_rule_the_part_and_its_place() {
    let spec = VarSpec::list().items(VarSpec::float().range(0.0..=1.0)).into_spec().unwrap();
    let error = spec.accept("weights", json!([0.5, 1.5])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the variable `weights` does not take this value: 1.5 at [1] breaks `max`: expected at most 1"
    );
}

#[test]
fn senseless_specs_are_refused() {
    let refused = |spec: Result<Spec, dspex_state::SpecError>| spec.unwrap_err().to_string();
    assert_eq!(
        refused(VarSpec::float().range(2.0..=1.0).into_spec()),
        "the constraint `min` of float: 2 is over `max`, 1"
    );
    assert!(refused(VarSpec::float().min(f64::NAN).into_spec()).contains("no finite number"));
    assert!(refused(VarSpec::integer().step(0).into_spec()).contains("not over 0"));
    assert!(refused(VarSpec::string().pattern("(").into_spec()).contains("`pattern`"));
    assert!(refused(VarSpec::choice(Vec::<String>::new()).into_spec()).contains("nothing to choose"));
    assert!(refused(VarSpec::choice(["a", "a"]).into_spec()).contains("twice"));
    assert!(refused(VarSpec::embedding().tolerance(0.1).into_spec()).contains("belongs to `norm`"));
    assert!(refused(VarSpec::list().items(VarSpec::integer().step(-1)).into_spec()).contains("`step`"));
    assert!(refused(VarSpec::dict().required(["a", "b"]).max_items(1).into_spec()).contains("required"));
}

#[test]
fn dynamic_specs_refuse_foreign_and_unknown_constraints() {
    let refused = |json: Json| Spec::from_json(json).unwrap_err().to_string();
    assert_eq!(
        refused(json!({"type": "string", "constraints": {"shape": [2]}})),
        "`shape` is a constraint of tensor, not of string; string has `enum`, `max_length`, `min_length`, `pattern`"
    );
    assert_eq!(
        refused(json!({"type": "boolean", "constraints": {"mni": 1}})),
        "there is no constraint `mni`; boolean has no constraints"
    );
    assert!(refused(json!({"type": "tensr"})).contains("there is no type `tensr`; the types are `string`"));
    assert!(refused(json!({"constraints": {}})).contains("no `type`"));
    assert!(refused(json!({"type": "float", "min": 1})).contains("a spec has no `min`"));
    assert!(
        refused(json!({"type": "float", "constraints": {"min": "0"}})).contains("the constraints of float")
    );
    assert!(
        refused(json!({"type": "string", "constraints": {"pattern": "("}})).contains("no regular expression")
    );
    assert!(refused(json!(7)).contains("the number 7"));
}

#[test]
fn the_schemas_of_constraints_name_exactly_those_that_are_taken() {
    for supported in supported_types() {
        let empty = serde_json::Map::new();
        let properties = supported.constraints["properties"].as_object().unwrap_or(&empty);
        for name in properties.keys() {
            let constraints = json!({"type": supported.kind, "constraints": {name: null}});
            // Null may be of a wrong form; what matters is that the name is known.
            if let Err(error) = Spec::from_json(constraints) {
                assert!(!error.to_string().contains("is a constraint of"), "{error}");
                assert!(!error.to_string().contains("there is no constraint"), "{error}");
            }
        }
        assert_eq!(supported.constraints["additionalProperties"], json!(false), "{}", supported.kind);
    }
}

fn specs() -> impl Strategy<Value = Spec> {
    let bounds = (any::<i32>(), 0_i64..1000).prop_map(|(low, span)| (i64::from(low), i64::from(low) + span));
    prop_oneof![
        (0_u64..4, 4_u64..9)
            .prop_map(|(low, high)| VarSpec::string().min_length(low).max_length(high).into_spec()),
        bounds.clone().prop_map(|(low, high)| VarSpec::integer().range(low..=high).into_spec()),
        bounds.prop_map(|(low, high)| VarSpec::float().range(low as f64..=high as f64).into_spec()),
        Just(VarSpec::boolean().into_spec()),
        (0_u64..4).prop_map(|most| VarSpec::list()
            .max_items(most)
            .unique()
            .items(VarSpec::integer())
            .into_spec()),
        "[a-c]".prop_map(|key| VarSpec::dict().required([key]).values(VarSpec::string()).into_spec()),
        (0_u64..3)
            .prop_map(|size| VarSpec::tensor().shape([None, Some(size)]).dtype(Dtype::Int64).into_spec()),
        (0_u64..4).prop_map(|size| VarSpec::embedding().dimensions(size).into_spec()),
        Just(VarSpec::choice(["a", "b"]).into_spec()),
        Just(VarSpec::module().allowed(["dspy.Predict"]).into_spec()),
    ]
    .prop_map(|spec| spec.unwrap())
}

proptest! {
    #[test]
    fn a_spec_comes_back_from_its_json(spec in specs(), description in proptest::option::of("[a-z ]{1,9}")) {
        let mut spec = spec;
        spec.description = description;
        prop_assert_eq!(Spec::from_json(serde_json::to_value(&spec).unwrap()).unwrap(), spec);
    }

    #[test]
    fn an_integer_is_taken_exactly_within_its_bounds(low in any::<i32>(), span in 0_i64..1000, value in any::<i32>()) {
        let (low, value) = (i64::from(low), i64::from(value));
        let spec = VarSpec::integer().range(low..=low + span).into_spec().unwrap();
        prop_assert_eq!(spec.accept("x", value).is_ok(), (low..=low + span).contains(&value));
    }

    #[test]
    fn a_step_takes_its_multiples_alone(step in 1_i64..50, times in -1000_i64..1000, off in 0_i64..50) {
        let value = step * times + off;
        let spec = VarSpec::integer().step(step).into_spec().unwrap();
        prop_assert_eq!(spec.accept("x", value).is_ok(), off % step == 0);
        let float = VarSpec::float().step(step as f64 / 100.0).into_spec().unwrap();
        prop_assert_eq!(float.accept("x", value as f64 / 100.0).is_ok(), off % step == 0);
    }

    #[test]
    fn a_tensor_is_taken_exactly_with_its_shape(wanted in prop::collection::vec(prop::option::of(0_u64..4), 0..4), found in prop::collection::vec(0_usize..4, 0..4)) {
        let tensor = Tensor::new(found.clone(), vec![0_i32; found.iter().product()]).unwrap();
        let spec = VarSpec::tensor().shape(wanted.clone()).into_spec().unwrap();
        let fits = wanted.len() == found.len()
            && wanted.iter().zip(&found).all(|(wanted, found)| wanted.is_none_or(|wanted| wanted == *found as u64));
        prop_assert_eq!(spec.accept("x", tensor).is_ok(), fits);
    }

    #[test]
    fn no_value_of_another_type_is_taken(spec in specs(), value in prop_oneof![
        Just(Value::String("x".into())), Just(Value::Integer(1)), Just(Value::Float(1.0)), Just(Value::Boolean(true)),
        Just(Value::List(vec![])), Just(Value::Dict(serde_json::Map::new())), Just(Value::Choice("a".into())),
    ]) {
        if spec.kind() != value.kind() {
            let invalid = spec.accept("x", value).unwrap_err();
            prop_assert_eq!(&invalid.violations[0].rule, "type");
        }
    }

    #[test]
    fn at_most_so_many_violations_are_told(count in 0_usize..40) {
        let spec = Spec::from(Rules::from_json(json!({"type": "list", "constraints": {"items": "string"}})).unwrap());
        let told = spec.accept("x", vec![1; count]).map_or_else(|invalid| invalid.violations.len(), |_| 0);
        prop_assert_eq!(told, count.min(dspex_state::Invalid::MOST));
    }
}

#[test]
fn every_type_is_described() {
    let types: Vec<_> = supported_types().into_iter().map(|supported| supported.kind).collect();
    assert_eq!(types, Type::ALL);
}
