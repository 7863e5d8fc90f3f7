//! What `schema-gen` does without Python: checking hashes, comparing releases, coverage; and bad files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use serde_json::{Value, json};
use support::{edit, files, json, ok, schema_gen, snapshot, stderr, stdout};
use tempfile::tempdir;

#[test]
fn an_untouched_schema_passes_the_offline_check_and_is_not_written() {
    let dir = tempdir().unwrap();
    let schema = dir.path().join("dspy-schema");
    snapshot(&schema, "3.4.1");
    let before = files(&schema);
    let output = ok(schema_gen(dir.path(), &["check", "--offline"]));
    assert!(stdout(&output).contains("92 classes of DSPy 3.4.1, all hashes match"), "{}", stdout(&output));
    assert_eq!(files(&schema), before);
    let output = ok(schema_gen(dir.path(), &["check", "--offline", "--json"]));
    assert_eq!(json(&output)["ok"], json!(true));
}

#[test]
fn every_edit_by_hand_is_found_and_named_with_the_next_command() {
    for (file, from, to, wanted) in [
        ("dspy.ReAct.json", "\"json\": 20", "\"json\": 21", "does not match the index"),
        ("dspy.ReAct.json", "maximum number", "greatest number", "does not match the index"),
        ("functions.json", "dspy.majority", "dspy.minority", "does not match the index"),
        (
            "dspy.ReAct.json",
            "\"format\": 1",
            "\"format\": 2",
            "schema format 2, this dspex reads format 1; update dspex",
        ),
        (
            "dspy.ReAct.json",
            "\"format\": 1",
            "\"format\": 0",
            "schema format 0, this dspex reads format 1; run",
        ),
        ("dspy.ReAct.json", "\"kind\": \"module\",", "\"kind\": \"module\"", "at line "),
        (
            "dspy.ReAct.json",
            "\n  \"name\": \"dspy.ReAct\"",
            "\n  \"name\": \"dspy.Act\"",
            "it describes `dspy.Act`, not `dspy.ReAct`",
        ),
    ] {
        let dir = tempdir().unwrap();
        let schema = dir.path().join("dspy-schema");
        snapshot(&schema, "3.4.1");
        edit(&schema.join(file), from, to);
        let output = schema_gen(dir.path(), &["check", "--offline"]);
        assert_eq!(output.status.code(), Some(1), "{from}");
        let told = stderr(&output);
        assert!(told.contains(file) && told.contains(wanted), "{told}");
        assert!(told.contains("schema-gen dump") || told.contains("update dspex"), "{told}");
        let output = schema_gen(dir.path(), &["check", "--offline", "--json"]);
        assert_eq!((output.status.code(), &json(&output)["ok"]), (Some(1), &json!(false)));
    }
}

#[test]
fn a_file_that_is_missing_or_left_over_is_an_omission() {
    let dir = tempdir().unwrap();
    let schema = dir.path().join("dspy-schema");
    snapshot(&schema, "3.4.1");
    std::fs::rename(schema.join("dspy.ReAct.json"), schema.join("dspy.Stray.json")).unwrap();
    let output = schema_gen(dir.path(), &["check", "--offline"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("dspy.ReAct.json") && told.contains("dspy.Stray.json"), "{told}");
}

#[test]
fn a_missing_schema_says_how_to_make_one() {
    let dir = tempdir().unwrap();
    let output = schema_gen(dir.path(), &["check", "--offline"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("run `schema-gen dump --out dspy-schema`"), "{}", stderr(&output));
}

#[test]
fn the_known_changes_between_releases_are_found() {
    let dir = tempdir().unwrap();
    let between = |before, after| json(&ok(schema_gen(dir.path(), &["diff", before, after, "--json"])));
    let newer = between("3.3.1", "3.4.1");
    let removed = ["dspy.LMConfig", "dspy.LMMessage", "dspy.LMRequest", "dspy.LMResponse", "dspy.ToolCall"];
    assert_eq!(newer["removed"], json!(removed));
    assert_eq!(newer["dspy"], json!(["3.3.1", "3.4.1"]));
    let added = |difference: &Value, class: &str| -> Vec<String> { members(difference, class, "before") };
    let gone = |difference: &Value, class: &str| -> Vec<String> { members(difference, class, "after") };
    let init = |names: Vec<String>| -> Vec<String> {
        let whole =
            |path: &String| path.strip_prefix("init.").filter(|name| !name.contains('.')).map(str::to_owned);
        names.iter().filter_map(whole).collect()
    };
    assert_eq!(init(added(&newer, "dspy.LM")), ["async_engine", "engine", "prompt_cache"]);
    assert_eq!(init(added(&newer, "dspy.GEPA")), ["code_proposer"]);

    let older = between("3.2.1", "3.3.1");
    assert!(older["added"].as_array().unwrap().contains(&json!("dspy.ReActV2")));
    assert_eq!(init(added(&older, "dspy.RLM")), ["interpreter_factory", "max_iters"]);
    assert_eq!(init(gone(&older, "dspy.RLM")), ["interpreter", "max_iterations"]);
    assert_eq!(init(added(&older, "dspy.Image")), ["source"]);
    assert_eq!(init(gone(&older, "dspy.Image")), ["url"]);
}

/// The paths of a class's members that one side does not have.
fn members(difference: &Value, class: &str, missing: &str) -> Vec<String> {
    let changed = difference["changed"].as_array().unwrap();
    let class = changed.iter().find(|changed| changed["name"] == class).unwrap();
    let members = class["members"].as_array().unwrap().iter().filter(|member| member[missing].is_null());
    members.map(|member| member["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn people_read_signs_and_types_without_colours_off_a_terminal() {
    let dir = tempdir().unwrap();
    let output = ok(schema_gen(dir.path(), &["diff", "3.3.1", "3.4.1", "--abi"]));
    let text = stdout(&output);
    for line in [
        "~ DSPy 3.3.1 -> 3.4.1\n",
        "- class dspy.LMRequest\n",
        "+ class dspy.LMLockTimeoutError\n",
        "~ class dspy.GEPA\n    + init.code_proposer: ",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains('\x1b') && !text.contains("documentation only"));
    let same = ok(schema_gen(dir.path(), &["diff", "3.4.1", "3.4.1", "--exit-code"]));
    assert_eq!(stdout(&same), "no difference\n");
    let code = schema_gen(dir.path(), &["diff", "3.3.1", "3.4.1", "--exit-code"]).status.code();
    assert_eq!(code, Some(1));
}

#[test]
fn a_directory_can_be_compared_with_a_release() {
    let dir = tempdir().unwrap();
    snapshot(&dir.path().join("mine"), "3.4.1");
    ok(schema_gen(dir.path(), &["diff", "mine", "3.4.1", "--exit-code"]));
    let output = schema_gen(dir.path(), &["diff", "2.0.0", "3.4.1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("it has those of 3.4.1, 3.3.1, 3.2.1"), "{}", stderr(&output));
}

#[test]
fn coverage_accounts_for_every_public_name() {
    let dir = tempdir().unwrap();
    let document = json(&ok(schema_gen(dir.path(), &["coverage", "--json"])));
    let status = |name: &str| document["symbols"][name]["status"].as_str().map(str::to_owned);
    assert_eq!(status("dspy.ReAct").as_deref(), Some("bound"));
    assert_eq!(status("dspy.configure").as_deref(), Some("unsupported"));
    assert_eq!(status("dspy.Image.from_path").as_deref(), Some("unsupported"));
    assert_eq!(status("dspy.primitives.local_interpreter_worker").as_deref(), Some("unsupported"));
    assert_eq!(status("dspy.Parallel.__call__").as_deref(), Some("bound"));
    assert_eq!(status("dspy.Retrieve.__call__").as_deref(), Some("unsupported"));
    assert_eq!(status("dspy.History.messages").as_deref(), Some("bound"));
    assert_eq!(status("dspy.Example.get").as_deref(), Some("untyped"));
    let counts = &document["counts"];
    assert!(
        counts["untyped"].as_u64().unwrap() < 10,
        "{counts}: types of results belong into the worker's table"
    );
    for (name, symbol) in document["symbols"].as_object().unwrap() {
        assert!(symbol["status"] == "bound" || symbol["reason"].is_string(), "{name} has no reason");
    }
    let text = stdout(&ok(schema_gen(dir.path(), &["coverage"])));
    assert!(text.contains("\nbound        dspy.ReAct\n"), "{text}");
}

#[test]
fn coverage_fails_where_a_name_is_lost_without_a_word() {
    let dir = tempdir().unwrap();
    ok(schema_gen(dir.path(), &["coverage", "--check", "--json"]));
    let output = schema_gen(dir.path(), &["coverage", "--json", "--check", "--against", "3.3.1"]);
    assert_eq!(output.status.code(), Some(1));
    // What DSPy 3.4 removed. Anything else would be lost by dspex itself.
    let removed =
        ["Assistant", "Developer", "LMConfig", "LMMessage", "LMRequest", "LMResponse", "System", "ToolCall"];
    let removed = removed.iter().chain(&["ToolResult", "User"]).map(|name| format!("dspy.{name}"));
    let lost: Vec<Value> = removed.map(Value::from).collect();
    assert_eq!(json(&output)["lost"], json!(lost));
    assert!(stderr(&output).contains("`dspy.LMRequest` was there earlier"), "{}", stderr(&output));
    let allowed = lost.iter().flat_map(|name| ["--allow".to_owned(), name.as_str().unwrap().to_owned()]);
    let args = ["coverage", "--json", "--check", "--against", "3.3.1"].map(str::to_owned);
    let args: Vec<String> = args.into_iter().chain(allowed).collect();
    ok(schema_gen(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn a_checked_in_list_is_what_coverage_finds_and_says_what_changed() {
    let dir = tempdir().unwrap();
    snapshot(&dir.path().join("dspy-schema"), "3.4.1");
    let list = dir.path().join("coverage.txt");
    ok(schema_gen(dir.path(), &["coverage", "--write", "coverage.txt"]));
    let checked_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../dspex-schema/coverage/3.4.1.txt");
    assert_eq!(std::fs::read_to_string(&list).unwrap(), std::fs::read_to_string(checked_in).unwrap());
    let check = ["coverage", "--check", "--baseline", "coverage.txt"];
    ok(schema_gen(dir.path(), &check));

    edit(&list, "dspy.Example.keys  bound", "dspy.Example.keys  untyped  no type: the result");
    let output = schema_gen(dir.path(), &check);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    for part in [
        "- dspy.Example.keys  untyped  no type: the result\n",
        "+ dspy.Example.keys  bound\n",
        "`coverage.txt` is stale; review the lines above and run `schema-gen coverage --write coverage.txt`",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    ok(schema_gen(dir.path(), &["coverage", "--write", "coverage.txt"]));
    ok(schema_gen(dir.path(), &check));
}

#[test]
fn a_name_of_the_checked_in_list_is_not_dropped_without_a_word() {
    let dir = tempdir().unwrap();
    snapshot(&dir.path().join("dspy-schema"), "3.4.1");
    let list = dir.path().join("coverage.txt");
    ok(schema_gen(dir.path(), &["coverage", "--write", "coverage.txt"]));
    let text = std::fs::read_to_string(&list).unwrap();
    let with_more = text + "dspy.Gone  bound\ndspy.Gone.method  unsupported  it was not reachable\n";
    std::fs::write(&list, &with_more).unwrap();
    for args in [
        ["coverage", "--check", "--baseline", "coverage.txt"].as_slice(),
        &["coverage", "--write", "coverage.txt"],
    ] {
        let output = schema_gen(dir.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let told = stderr(&output);
        assert!(
            told.contains("`dspy.Gone` was there earlier") && !told.contains("`dspy.Gone.method` was"),
            "{told}"
        );
    }
    assert_eq!(std::fs::read_to_string(&list).unwrap(), with_more, "a refused list was written");
    ok(schema_gen(dir.path(), &["coverage", "--write", "coverage.txt", "--allow", "dspy.Gone"]));
    assert!(!std::fs::read_to_string(&list).unwrap().contains("dspy.Gone"));
    let output = schema_gen(dir.path(), &["coverage", "--check", "--baseline", "nowhere.txt"]);
    assert!(stderr(&output).contains("cannot read `nowhere.txt`"), "{}", stderr(&output));
}
