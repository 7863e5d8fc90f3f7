//! The snapshot that comes with this release.
#![cfg(feature = "builtin-schema")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::path::Path;

use dspex_schema::{Call, Catalog, Kind, Role, Side, Type, builtin_table, check_field_name};

#[test]
fn the_functions_of_the_index_are_described() {
    let catalog = Catalog::builtin();
    let functions = catalog.functions().unwrap();
    let names: Vec<_> = functions.iter().map(|function| function.name.clone()).collect();
    assert_eq!(names, catalog.index().functions);
    let prefix = functions.iter().find(|function| function.name == "dspy.infer_prefix").unwrap();
    assert_eq!(
        (prefix.params[0].name.as_str(), prefix.returns.to_string().as_str()),
        ("attribute_name", "str")
    );
}

#[test]
fn every_class_of_the_index_can_be_read() {
    let catalog = Catalog::builtin();
    assert_eq!(catalog.index().dspy, Catalog::BUILTIN_DSPY);
    let classes = catalog.classes().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(classes.len(), catalog.index().classes.len());
    for class in classes {
        assert_eq!(class.dspy, Catalog::BUILTIN_DSPY, "{}", class.name);
        assert_eq!(class.abi_sha256, catalog.index().classes[&class.name].abi_sha256, "{}", class.name);
    }
}

#[test]
fn the_embedded_table_is_the_one_of_the_checked_in_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = format!("schemas/{}", Catalog::BUILTIN_DSPY);
    let catalog = Catalog::open(root.join(&dir)).unwrap();
    let table = builtin_table(&catalog, &format!("../../{dir}")).unwrap();
    assert_eq!(table, include_str!("../src/builtin/table.rs"));
}

#[test]
fn modules_are_described_as_dspy_has_them() {
    let get = |name| Catalog::builtin().get(name).unwrap().unwrap();
    let predict = get("dspy.Predict");
    assert_eq!(
        (predict.kind, predict.call, predict.is_async, predict.init_extra),
        (Kind::Module, Call::Inputs, true, true)
    );
    assert!(predict.outputs.from_signature && predict.outputs.extra.is_empty());
    let chain = get("dspy.ChainOfThought");
    assert_eq!(chain.outputs.extra.len(), 1);
    assert_eq!((chain.outputs.extra[0].name.as_str(), &chain.outputs.extra[0].ty), ("reasoning", &Type::Str));
    let react = get("dspy.ReAct");
    assert_eq!(react.parameter("tools").unwrap().role, Role::Tools);
    assert_eq!(react.parameter("max_iters").unwrap().ty, Type::Int);
    assert!(react.parameter("tools").unwrap().required && !react.init_extra);
}

#[test]
fn a_class_is_found_by_the_path_where_python_defines_it() {
    let class = Catalog::builtin().get("dspy.predict.chain_of_thought.ChainOfThought").unwrap().unwrap();
    assert_eq!(class.name, "dspy.ChainOfThought");
}

#[test]
fn a_near_miss_finds_the_class_that_was_meant() {
    let catalog = Catalog::builtin();
    assert!(catalog.get("dspy.ChainOfThougt").unwrap().is_none());
    assert_eq!(catalog.suggest("dspy.ChainOfThougt"), Some("dspy.ChainOfThought"));
    assert_eq!(catalog.suggest("chain_of_thought"), Some("dspy.ChainOfThought"));
    assert_eq!(catalog.suggest("os.system"), None);
}

#[test]
fn what_every_class_reserves_is_refused_without_a_class_too() {
    let classes: Vec<_> = Catalog::builtin().classes().map(Result::unwrap).collect();
    let from_signature =
        || classes.iter().filter(|class| class.kind == Kind::Module && class.outputs.from_signature);
    assert!(from_signature().count() >= 3);
    for name in &from_signature().next().unwrap().reserved.inputs {
        if from_signature().all(|class| class.reserved.inputs.contains(name)) {
            assert!(check_field_name(name, Side::Input, None).is_err(), "{name}");
        }
    }
}
