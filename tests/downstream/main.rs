//! Crates outside of the workspace that depend on dspex by path: without a build script, with one, and with a schema of
//! their own, good and bad.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

mod krate;

use std::fs;
use std::path::PathBuf;

use krate::{Crate, workspace};

#[test]
fn a_crate_without_serde_and_with_dspex_under_another_name_compiles() {
    let krate = Crate::new("downstream");
    krate.write("src/lib.rs", include_str!("crates/renamed.rs"));
    krate.manifest(&format!(
        "[dependencies]\nrenamed = {{ package = \"dspex\", path = {:?} }}\n",
        workspace()
    ));
    krate.builds();
}

#[test]
fn a_crate_with_a_build_script_and_a_schema_of_its_own_compiles() {
    let krate = Crate::with_build_script(
        "downstream-schema",
        r###".include(["my_team.*", "dspy.LabeledFewShot"]).exclude(["dspy.Refine"])
           .type_path("my_team.rag.Passage", "crate::Passage")
           .class_attribute("my_team.rag.RagProgram", r#"#[doc(alias = "retrieval")]"#)"###,
    );
    krate.write("src/lib.rs", include_str!("crates/with_build_script.rs"));
    krate.schema("dspy-schema");
    krate.builds();
    let bindings = krate.bindings();
    assert!(bindings.contains(r#"#[doc(alias = "retrieval")]"#), "{bindings}");
    assert!(!bindings.contains("pub struct ReAct"), "only what was included is bound");
    assert!(!bindings.contains("pub struct Passage"), "a type of the user's own stands for the class");

    // Nothing is merged: a class that only the built-in snapshot has is unknown here.
    fs::remove_file(krate.path("dspy-schema/dspy.Predict.json")).unwrap();
    krate.edit_index("dspy-schema", |index| {
        index["classes"].as_object_mut().unwrap().remove("dspy.Predict");
    });
    krate.write(
        "src/lib.rs",
        "#[dspex::dspy_module(\"dspy.Predict\")]\npub struct Ask { #[input] q: String, #[output] a: String }\n",
    );
    let error = krate.fails();
    assert!(error.contains("has no class `dspy.Predict`"), "{error}");
}

#[test]
fn without_a_schema_directory_the_build_script_uses_the_built_in_snapshot_and_notices_a_new_one() {
    let krate = Crate::with_build_script("downstream-builtin", "");
    krate.write("src/lib.rs", "dspex::include_bindings!();\npub use dspy::ReAct;\n");
    krate.builds();
    let (bindings, digest) = (krate.bindings(), krate.out("index.json"));
    assert!(bindings.contains("pub struct ReAct(") && bindings.contains("pub struct GEPA("));
    assert!(!digest.exists(), "the macros have the snapshot inside of them");

    krate.schema("dspy-schema");
    krate.write(
        "src/lib.rs",
        "dspex::include_bindings!();\npub use dspy::ReAct;\npub use my_team::rag::RagProgram;\n",
    );
    krate.builds();
    assert!(digest.exists());

    // A second build writes nothing, although the script runs again.
    let times = |paths: &[PathBuf]| -> Vec<_> {
        paths.iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect()
    };
    let files = [digest.clone(), krate.out("dspy.rs"), krate.out("dspy.ReAct.json")];
    let before = times(&files);
    krate.write("build.rs", &format!("{}\n// again\n", fs::read_to_string(krate.path("build.rs")).unwrap()));
    krate.builds();
    assert_eq!(times(&files), before);

    // And back: what the directory left behind does not outlive it.
    fs::remove_dir_all(krate.path("dspy-schema")).unwrap();
    krate.write("src/lib.rs", "dspex::include_bindings!();\npub use dspy::ReAct;\n");
    krate.builds();
    assert!(!digest.exists());
}

#[test]
fn a_build_script_says_what_is_wrong_with_a_schema_and_what_to_do() {
    let krate = Crate::with_build_script("downstream-bad", ".schema_dir(\"schema\")");
    krate.write("src/lib.rs", "dspex::include_bindings!();\n");
    let refused = |parts: &[&str]| {
        let error = krate.fails();
        // As an error of the package, which cargo shows without the script's other output.
        let line = error.lines().find(|line| line.contains("error: downstream-bad@0.0.0: "));
        let line = line.unwrap_or_else(|| panic!("no error of the package:\n{error}"));
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in:\n{line}");
        }
    };

    refused(&["there is no schema in", "schema`; run `schema-gen dump --out"]);

    krate.schema("schema");
    let file = krate.path("schema/dspy.ReAct.json");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replacen("\"async\": true,", "\"async\": maybe,", 1)).unwrap();
    refused(&["schema/dspy.ReAct.json`", "line 3 column", "run `schema-gen dump`"]);

    fs::write(&file, good.replace("\"format\": 1", "\"format\": 2")).unwrap();
    refused(&["schema/dspy.ReAct.json` has schema format 2", "reads format 1", "update dspex"]);

    fs::write(&file, good.replace("\"abi_sha256\": \"", "\"abi_sha256\": \"0000")).unwrap();
    refused(&[
        "schema/dspy.ReAct.json` does not match the index",
        "restore the file or run `schema-gen dump`",
    ]);

    // Not only what a program depends on: an edited sentence is as much a sign of a file that is not the tool's.
    fs::write(&file, good.replacen("maximum number", "greatest number", 1)).unwrap();
    refused(&["schema/dspy.ReAct.json` does not match the index", "run `schema-gen dump`"]);

    fs::write(krate.path("schema/dspy.Stray.json"), &good).unwrap();
    fs::write(&file, &good).unwrap();
    refused(&["schema/dspy.Stray.json`", "the index of its directory does not list it"]);
    fs::remove_file(krate.path("schema/dspy.Stray.json")).unwrap();

    fs::remove_file(&file).unwrap();
    refused(&["schema/index.json`", "`dspy.ReAct.json`, which is not there", "run `schema-gen dump`"]);
    fs::write(&file, &good).unwrap();

    let index = fs::read_to_string(krate.path("schema/index.json")).unwrap();
    krate.write("schema/index.json", &index[..index.len() / 2]);
    refused(&["schema/index.json` is not a valid schema file", "line", "run `schema-gen dump`"]);
    krate.write("schema/index.json", &index);

    let functions = fs::read_to_string(krate.path("schema/functions.json")).unwrap();
    krate.write("schema/functions.json", "[]");
    refused(&["schema/functions.json` is not a valid schema file"]);
    krate.write("schema/functions.json", &functions.replacen("majority", "minority", 1));
    refused(&["schema/functions.json` does not match the index", "run `schema-gen dump`"]);
    krate.write("schema/functions.json", &functions);

    for (options, parts) in [
        (".include([\"dspy.Reakt\"])", ["`dspy.Reakt` matches nothing", "did you mean `dspy.ReAct`?"]),
        (".exclude([\"dspy.*.GEPA\"])", ["`dspy.*.GEPA` is no pattern", "`dspy.teleprompt.*`"]),
        (".type_path(\"dspy.Imag\", \"crate::X\")", ["no class `dspy.Imag`", "did you mean `dspy.Image`?"]),
        (".type_path(\"dspy.Image\", \"'\")", ["the type path `'`", "`dspy.Image`"]),
        (".class_attribute(\"dspy.LM\", \"derive\")", ["`derive` for `dspy.LM` is no attribute", "#["]),
    ] {
        krate.build_script(&format!(".schema_dir(\"schema\"){options}"));
        refused(&parts);
    }
    krate.build_script(".schema_dir(\"schema\")");
    krate.builds();

    // What a good schema left is whole after a bad one: nothing of the latter gets in, not even the part that is right.
    let written =
        || ["index.json", "dspy.ReAct.json", "dspy.rs"].map(|name| fs::read(krate.out(name)).unwrap());
    let before = written();
    fs::write(&file, good.replacen("maximum number", "greatest number", 1)).unwrap();
    refused(&["schema/dspy.ReAct.json` does not match the index"]);
    assert_eq!(written(), before);
}
