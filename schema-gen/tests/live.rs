//! What `schema-gen` does with a real DSPy: dumps, checks against it, modules of a team, signatures.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::path::Path;
use std::process::Command;

use dspex_runtime::pool::env::{EnvConfig, Environment};
use serde_json::{Value, json};
use support::{command, edit, files, json, ok, schema_gen, snapshot, stderr, stdout};
use tempfile::tempdir;

const TEAM: &str = include_str!("fixtures/rag.py");

fn team(dir: &Path) {
    std::fs::create_dir_all(dir.join("python/my_team")).unwrap();
    std::fs::write(dir.join("python/my_team/__init__.py"), "").unwrap();
    std::fs::write(dir.join("python/my_team/rag.py"), TEAM).unwrap();
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_dump_is_the_built_in_schema_byte_for_byte_wherever_it_is_made() {
    let built_in = tempdir().unwrap();
    snapshot(built_in.path(), "3.4.1");
    let built_in = files(built_in.path());
    // Provisioned here: another home has another cache, in which each dump would make an environment of its own.
    let python = Environment::provision(&EnvConfig::new()).unwrap().python;
    for (seed, zone, language) in [("1", "UTC", "C"), ("4242", "Asia/Tokyo", "de_DE.UTF-8")] {
        let (dir, home) = (tempdir().unwrap(), tempdir().unwrap());
        let output = command(dir.path(), &["dump"])
            .envs([("PYTHONHASHSEED", seed), ("TZ", zone), ("LANG", language), ("LC_ALL", language)])
            .envs([("HOME", home.path()), ("DSPEX_PYTHON", python.as_path())])
            .env_remove("XDG_CACHE_HOME")
            .output();
        let output = ok(output.unwrap());
        assert!(
            stdout(&output)
                .contains("skipped dspy.primitives.local_interpreter_worker: importing it redirects")
        );
        let written = files(&dir.path().join("dspy-schema"));
        assert!(written == built_in, "the dump differs from the built-in schema");
    }
}

#[test]
fn a_second_dump_touches_nothing_and_a_check_finds_drift_and_omission() {
    let dir = tempdir().unwrap();
    let schema = dir.path().join("dspy-schema");
    snapshot(&schema, "3.4.1");
    let output = ok(schema_gen(dir.path(), &["dump", "--json"]));
    assert_eq!((&json(&output)["added"], &json(&output)["changed"]), (&json!([]), &json!([])));
    ok(schema_gen(dir.path(), &["check"]));

    // An older schema, sound in itself: drift.
    for name in files(&schema).keys() {
        std::fs::remove_file(schema.join(name)).unwrap();
    }
    snapshot(&schema, "3.3.1");
    let before = files(&schema);
    let output = schema_gen(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("- class dspy.LMRequest\n"), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("schema-gen dump --out dspy-schema --module dspy"),
        "{}",
        stderr(&output)
    );
    assert!(files(&schema) == before, "a check wrote into the checked-in schema");
    let output = schema_gen(dir.path(), &["check", "--json"]);
    let added = &json(&output)["difference"]["added"];
    assert!(added.as_array().unwrap().contains(&json!("dspy.LMLockTimeoutError")), "{added}");
}

#[test]
fn a_program_of_a_team_tells_its_predictors_inputs_and_outputs() {
    let dir = tempdir().unwrap();
    team(dir.path());
    let args = ["--module", "my_team.rag", "--python-path", "python"];
    ok(schema_gen(dir.path(), &[&["dump"], &args[..]].concat()));
    let rag = read(&dir.path().join("dspy-schema/my_team.rag.RagProgram.json"));
    let names = |fields: &Value| -> Vec<String> {
        fields.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&rag["predictors"]), ["answer.predict", "title"]);
    assert_eq!(names(&rag["predictors"][0]["inputs"]), ["passages", "question"]);
    assert_eq!(rag["predictors"][0]["inputs"][1]["desc"], "What is asked.");
    assert_eq!(names(&rag["program"]["inputs"]), ["question", "passages", "mode"]);
    assert_eq!(names(&rag["program"]["outputs"]), ["verdict", "why", "title", "question"]);
    let verdict = &rag["program"]["outputs"][0]["schema"];
    assert_eq!(
        verdict["$defs"]["Claim"]["properties"]["support"]["items"],
        json!({"$ref": "#/$defs/Passage"})
    );
    let needs = read(&dir.path().join("dspy-schema/my_team.rag.Needs.json"));
    assert_eq!(
        needs["predictors_unknown"],
        "its constructor needs `index`; give them defaults to have types"
    );

    ok(schema_gen(dir.path(), &["check", "--python-path", "python"]));
    edit(&dir.path().join("python/my_team/rag.py"), "question -> title", "question -> headline");
    let output = schema_gen(dir.path(), &["check", "--python-path", "python"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("my_team.rag.RagProgram"), "{}", stdout(&output));
    // What the compiled code is compared by: a worker with the changed program refuses it.
    ok(schema_gen(dir.path(), &[&["dump", "--out", "changed"], &args[..]].concat()));
    let fingerprint = |schema: &str, class: &str| {
        read(&dir.path().join(schema).join("index.json"))["classes"][class]["abi_sha256"].clone()
    };
    let differs = |class: &str| fingerprint("dspy-schema", class) != fingerprint("changed", class);
    assert!(differs("my_team.rag.RagProgram") && !differs("my_team.rag.Needs"));
}

#[test]
fn a_module_that_raises_on_import_is_told_with_its_frames_and_nothing_is_written() {
    let dir = tempdir().unwrap();
    team(dir.path());
    let broken = "def load():\n    raise RuntimeError(\"the index is not there\")\n\n\nINDEX = load()\n";
    std::fs::write(dir.path().join("python/my_team/broken.py"), broken).unwrap();
    let output = schema_gen(dir.path(), &["dump", "--module", "my_team.broken", "--python-path", "python"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    for part in [
        "my_team.broken",
        "RuntimeError: the index is not there",
        "line 2 of module `my_team.broken`, in `load`",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let output = schema_gen(dir.path(), &["dump", "--module", "my_team.gone", "--python-path", "python"]);
    assert!(stderr(&output).contains("No module named 'my_team.gone'"), "{}", stderr(&output));
    let output = schema_gen(dir.path(), &["dump", "--module", "my_team.rag", "--python-path", "nowhere"]);
    assert!(stderr(&output).contains("there is no directory `nowhere`"), "{}", stderr(&output));
    assert!(!dir.path().join("dspy-schema").exists());
}

#[test]
fn json_schemas_are_written_for_every_class_and_only_once() {
    let dir = tempdir().unwrap();
    let args = ["dump", "--format", "json-schema", "--out", "out", "--json"];
    let first = json(&ok(schema_gen(dir.path(), &args)));
    assert_eq!(first["added"].as_array().unwrap().len(), 93);
    let react = read(&dir.path().join("out/dspy.ReAct.schema.json"));
    assert_eq!(react["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(react["required"], json!(["signature", "tools"]));
    assert_eq!(react["properties"]["max_iters"]["default"], 20);
    assert!(react["$defs"]["named_predictors.params"].is_object());
    let python = Environment::provision(&EnvConfig::new()).unwrap().python;
    let validator = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/validate.py");
    let output = Command::new(python).arg(validator).arg(dir.path().join("out")).output().unwrap();
    assert_eq!(stdout(&output), "93 documents\n", "{}", stderr(&output));
    let second = json(&ok(schema_gen(dir.path(), &args)));
    assert_eq!(
        (&second["added"], &second["changed"], &second["unchanged"]),
        (&json!([]), &json!([]), &json!(93))
    );
}

#[test]
fn a_signature_is_resolved_by_the_workers_parser() {
    let dir = tempdir().unwrap();
    let text = "question, k: Optional[int] -> answer: float, mood: Literal['a', -1]";
    let resolved = json(&ok(schema_gen(dir.path(), &["signature", text, "--json"])));
    assert_eq!(resolved["inputs"][1]["name"], "k");
    assert_eq!(resolved["inputs"][1]["required"], false);
    assert_eq!(resolved["outputs"][1]["schema"], json!({"enum": ["a", -1]}));
    let shown = stdout(&ok(schema_gen(dir.path(), &["signature", text])));
    assert!(shown.contains("output  answer    number"), "{shown}");

    let output = schema_gen(dir.path(), &["signature", "question, k: itn -> answer"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("did you mean `int`?"), "{told}");
    assert!(told.contains("\n  question, k: itn -> answer\n               ^"), "{told}");
}
