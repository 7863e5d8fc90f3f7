//! Snapshots as files: written, read again, compared, and refused when something is wrong with them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::Path;

use dspex_schema::{Call, Catalog, Dump, Error, Kind, Role, Type, builtin_table, compare};
use serde_json::{Value, json};
use tempfile::TempDir;

const DUMP: &str = include_str!("fixtures/dump.json");

fn dump(edit: impl FnOnce(&mut Value)) -> Dump {
    let mut document: Value = serde_json::from_str(DUMP).unwrap();
    edit(&mut document);
    Dump::parse(&document.to_string(), "dump.json").unwrap()
}

fn written(edit: impl FnOnce(&mut Value)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    dump(edit).write_snapshot(dir.path()).unwrap();
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_dump_becomes_one_file_per_class_and_an_index() {
    let dir = written(|_| {});
    let names = names(dir.path());
    assert_eq!(names.len(), 5);
    assert!(names.iter().any(|name| name == "zoo.Tiger.json"));
    assert!(names.iter().any(|name| name == "functions.json"));
    let index: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("index.json")).unwrap()).unwrap();
    assert_eq!(index["functions"], json!(["zoo.close", "zoo.feed"]));
    assert_eq!(index["classes"]["zoo.Tiger"]["file"], "zoo.Tiger.json");
    assert_eq!(index["dspy"], "9.9.9");
}

#[test]
fn names_that_differ_in_case_only_get_files_that_do_not() {
    let dir = written(|_| {});
    let mut folded: Vec<String> = names(dir.path()).iter().map(|name| name.to_lowercase()).collect();
    let all = folded.len();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), all);
    let catalog = Catalog::open(dir.path()).unwrap();
    assert_eq!(catalog.get("zoo.ANT").unwrap().unwrap().kind, Kind::Error);
    assert_eq!(catalog.get("zoo.Ant").unwrap().unwrap().kind, Kind::Other("colony".into()));
}

#[test]
fn files_are_sorted_indented_and_end_with_one_newline() {
    let files = dump(|_| {}).files();
    let text = &files["zoo.Tiger.json"];
    assert!(text.starts_with("{\n  \"abi_sha256\"") && text.ends_with("}\n") && !text.ends_with("\n\n"));
    let keys: Vec<usize> = ["\"async\"", "\"bases\"", "\"call\"", "\"canonical\"", "\"doc\"", "\"name\""]
        .iter()
        .map(|key| text.find(&format!("\n  {key}")).unwrap())
        .collect();
    assert!(keys.is_sorted());
}

#[test]
fn a_key_that_this_release_does_not_know_is_kept() {
    let dir = written(|_| {});
    let text = fs::read_to_string(dir.path().join("zoo.Tiger.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["habitat"], json!({"future": "key"}));
}

#[test]
fn what_a_newer_snapshot_says_is_tolerated() {
    let dir = written(|_| {});
    let tiger = Catalog::open(dir.path()).unwrap().get("zoo.Tiger").unwrap().unwrap();
    let keeper = tiger.parameter("keeper").unwrap();
    assert_eq!(keeper.role, Role::Other("handle:keeper".into()));
    assert!(matches!(&keeper.ty, Type::Opaque { .. }));
    assert_eq!(keeper.default.as_ref().unwrap().describe(), "zoo.Keeper");
}

#[test]
fn what_a_document_leaves_out_or_empty_is_nothing() {
    let dir = written(|_| {});
    let catalog = Catalog::open(dir.path()).unwrap();
    let ant = catalog.get("zoo.Ant").unwrap().unwrap();
    assert_eq!((ant.call, ant.doc, ant.init.len()), (Call::None, None, 0));
    assert_eq!(catalog.get("zoo.Tiger").unwrap().unwrap().outputs.extra[0].doc, None);
}

#[test]
fn a_class_is_found_by_every_path_it_has() {
    let dir = written(|_| {});
    let catalog = Catalog::open(dir.path()).unwrap();
    for path in ["zoo.Tiger", "zoo.cats.Tiger", "zoo.cats.big.Tiger"] {
        assert_eq!(catalog.get(path).unwrap().unwrap().name, "zoo.Tiger");
    }
    assert!(catalog.get("zoo.Lion").unwrap().is_none());
    assert_eq!(catalog.suggest("zoo.Tigger"), Some("zoo.Tiger"));
}

#[test]
fn a_deprecation_reads_as_a_sentence() {
    let tiger = dump(|_| {}).classes().find(|class| class.name == "zoo.Tiger").unwrap().clone();
    let text = tiger.deprecation().unwrap();
    assert_eq!(text, "DSPy deprecates `zoo.Tiger` and removes it in 10.0; use `zoo.Lion`");
    assert!(dump(|_| {}).classes().all(|class| class.name == "zoo.Tiger" || class.deprecation().is_none()));
}

#[test]
fn writing_the_same_again_touches_nothing() {
    let dir = written(|_| {});
    let before = fs::metadata(dir.path().join("index.json")).unwrap().modified().unwrap();
    let changes = dump(|_| {}).write_snapshot(dir.path()).unwrap();
    assert!(changes.is_empty());
    assert_eq!(changes.unchanged, 5);
    assert_eq!(fs::metadata(dir.path().join("index.json")).unwrap().modified().unwrap(), before);
}

#[test]
fn writing_reports_what_it_added_changed_and_removed_and_leaves_other_files_alone() {
    let dir = written(|_| {});
    fs::write(dir.path().join("README.md"), "ours").unwrap();
    fs::write(dir.path().join("package.json"), "{\"name\": \"not a class\"}").unwrap();
    let changes = dump(|document| {
        let classes = document["classes"].as_array_mut().unwrap();
        classes[0]["doc"] = json!("Another text.");
        classes[2]["name"] = json!("zoo.Bee");
    })
    .write_snapshot(dir.path())
    .unwrap();
    assert_eq!(changes.added, ["zoo.Ant.json", "zoo.Bee.json"]);
    assert_eq!(changes.changed, ["index.json", "zoo.Tiger.json"]);
    assert_eq!(changes.removed.len(), 2);
    let names = names(dir.path());
    assert!(names.contains(&"README.md".to_owned()) && names.contains(&"package.json".to_owned()));
    assert!(names.iter().all(|name| !name.ends_with(".new")));
}

#[test]
fn a_failure_leaves_the_snapshot_as_it_was() {
    let dir = written(|_| {});
    // A directory where a file has to go cannot be read as one.
    fs::create_dir(dir.path().join("zoo.Bee.json")).unwrap();
    let tiger = fs::read(dir.path().join("zoo.Tiger.json")).unwrap();
    let result = dump(|document| {
        document["classes"][0]["doc"] = json!("Another text.");
        document["classes"][2]["name"] = json!("zoo.Bee");
    })
    .write_snapshot(dir.path());
    assert!(matches!(result, Err(Error::Io { .. })));
    assert_eq!(fs::read(dir.path().join("zoo.Tiger.json")).unwrap(), tiger);
    assert!(names(dir.path()).iter().all(|name| !name.ends_with(".new")));
}

#[test]
fn snapshots_that_mean_the_same_do_not_differ() {
    let (left, right) = (written(|_| {}), written(|_| {}));
    // The same JSON, written otherwise.
    let path = right.path().join("zoo.Tiger.json");
    let value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    fs::write(&path, value.to_string()).unwrap();
    assert!(compare(left.path(), right.path()).unwrap().is_empty());
}

#[test]
fn a_difference_names_class_and_member_and_tells_documentation_from_the_rest() {
    let left = written(|_| {});
    let right = written(|document| {
        document["dspy"] = json!("10.0.0");
        document["functions"] = json!(["zoo.close", "zoo.open"]);
        let classes = document["classes"].as_array_mut().unwrap();
        classes[0]["init"][1]["type"] = json!({"k": "float"});
        classes[0]["init"].as_array_mut().unwrap().remove(2);
        classes[1]["doc"] = json!("An insect.");
        classes[2]["name"] = json!("zoo.Bee");
    });
    let difference = compare(left.path(), right.path()).unwrap();
    assert_eq!(difference.added, ["zoo.Bee"]);
    assert_eq!(difference.removed, ["zoo.ANT"]);
    assert_eq!(difference.functions_added, ["zoo.open"]);
    assert_eq!(difference.functions_removed, ["zoo.feed"]);
    let changed: Vec<_> = difference.changed.iter().map(|class| (class.name.as_str(), class.abi)).collect();
    assert_eq!(changed, [("zoo.Ant", false), ("zoo.Tiger", true)]);
    let paths: Vec<_> = difference.changed[1].members.iter().map(|member| member.path.as_str()).collect();
    assert_eq!(paths, ["init.keeper", "init.stripes.type.k"]);
    let text = difference.to_string();
    assert!(text.contains("~ dspy: 9.9.9 -> 10.0.0\n+ class zoo.Bee\n- class zoo.ANT\n"), "{text}");
    assert!(text.contains("~ class zoo.Ant (documentation only)\n"), "{text}");
    assert!(text.contains("    init.stripes.type.k: \"int\" -> \"float\"\n"), "{text}");
}

#[test]
fn parameters_in_another_order_are_a_difference() {
    let left = written(|_| {});
    let right = written(|document| document["classes"][0]["init"].as_array_mut().unwrap().swap(0, 1));
    let difference = compare(left.path(), right.path()).unwrap();
    assert_eq!(difference.changed[0].members[0].path, "init.order");
}

#[test]
fn a_directory_without_a_snapshot_names_the_command_that_makes_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = Catalog::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("run `schema-gen dump --out"), "{error}");
    assert!(compare(dir.path(), dir.path()).is_err());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name_and_the_next_step() {
    let dir = written(|_| {});
    let path = dir.path().join("zoo.Tiger.json");
    let good = fs::read_to_string(&path).unwrap();
    let error = |text: &str| {
        fs::write(&path, text).unwrap();
        let error = Catalog::open(dir.path()).unwrap().get("zoo.Tiger").unwrap_err().to_string();
        assert!(error.contains("zoo.Tiger.json"), "{error}");
        error
    };
    let malformed = error("{\n  \"format\": 1,\n  oops");
    assert!(malformed.contains("line 3") && malformed.contains("schema-gen dump"), "{malformed}");
    assert!(error(&good.replace("\"format\": 1", "\"format\": 7")).contains("update dspex"));
    assert!(error(&good.replace("\"format\": 1", "\"format\": 0")).contains("run `schema-gen dump`"));
    assert!(error(&good.replace("\"format\": 1", "\"formats\": 1")).contains("it has no `format`"));
    assert!(error(&good.replace("1111", "aaaa")).contains("does not match the index"));
    assert!(error(&good.replace("\"zoo.Tiger\"", "\"zoo.Lion\"")).contains("it describes `zoo.Lion`"));
    fs::remove_file(&path).unwrap();
    let gone = Catalog::open(dir.path()).unwrap().get("zoo.Tiger").unwrap_err().to_string();
    assert!(gone.contains("`zoo.Tiger.json`, which is not there; run `schema-gen dump`"), "{gone}");
}

#[test]
fn a_digest_finds_classes_by_every_path_and_holds_only_them_and_the_index() {
    let dir = written(|_| {});
    let snapshot = Catalog::open(dir.path()).unwrap();
    let digest = snapshot.digest().unwrap();
    let names: Vec<_> = digest.keys().map(String::as_str).collect();
    assert!(names.contains(&"index.json") && names.contains(&"zoo.Tiger.json"), "{names:?}");
    assert!(!names.contains(&"functions.json"));
    let out = tempfile::tempdir().unwrap();
    for (name, text) in &digest {
        fs::write(out.path().join(name), text).unwrap();
    }
    let digested = Catalog::open(out.path()).unwrap();
    for path in ["zoo.Tiger", "zoo.cats.Tiger", "zoo.cats.big.Tiger"] {
        assert_eq!(digested.get(path).unwrap(), snapshot.get("zoo.Tiger").unwrap(), "{path}");
    }
    assert_eq!(digested.get("zoo.cats.Lion").unwrap(), None);
}

#[test]
fn an_index_cannot_point_out_of_its_directory() {
    let dir = written(|_| {});
    let path = dir.path().join("index.json");
    let text = fs::read_to_string(&path).unwrap();
    for outside in ["../zoo.Tiger.json", "/etc/passwd", ".hidden"] {
        fs::write(&path, text.replace("zoo.Tiger.json", outside)).unwrap();
        assert!(matches!(Catalog::open(dir.path()), Err(Error::Invalid { .. })));
    }
}

#[test]
fn a_dump_that_is_not_complete_is_refused() {
    let error = |edit: fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(DUMP).unwrap();
        edit(&mut document);
        Dump::parse(&document.to_string(), "dump.json").unwrap_err().to_string()
    };
    assert!(error(|document| document["format"] = json!(2)).contains("update dspex"));
    assert!(error(|document| document["dspy"] = json!(null)).contains("no `dspy`"));
    assert!(error(|document| document["classes"] = json!({})).contains("no list `classes`"));
    assert!(error(|document| document["functions"] = json!([{}])).contains("a function has no name"));
    assert!(error(|document| document["classes"][1]["name"] = json!("zoo.Tiger")).contains("there twice"));
    assert!(
        error(|document| document["classes"][0]["abi_sha256"] = json!("x")).contains("lacks a fingerprint")
    );
    assert!(error(|document| document["classes"][0]["kind"] = json!(1)).contains("zoo.Tiger"));
    assert!(Dump::parse("[", "dump.json").is_err());
}

#[test]
fn the_table_embeds_classes_and_their_other_paths_in_order() {
    let dir = written(|_| {});
    let table = builtin_table(&Catalog::open(dir.path()).unwrap(), "../s").unwrap();
    assert!(table.contains("(\"zoo.Tiger\", include_str!(\"../s/zoo.Tiger.json\"))"), "{table}");
    let aliases = "    (\"zoo.cats.Tiger\", \"zoo.Tiger\"),\n    (\"zoo.cats.big.Tiger\", \"zoo.Tiger\"),\n";
    assert!(table.contains(aliases), "{table}");
}
