//! Crates outside of the workspace that depend on dspex by path: without a build script, with one, and with a schema of
//! their own, good and bad.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const WITHOUT_BUILD_SCRIPT: &str = r#"
//! Depends on dspex alone, under another name.
#![deny(warnings, missing_docs)]

use renamed::{FieldType, Module, Signature, ToolSet, dspex_tool, dspex_tools, dspy_module, signature, tools};

/// How soon.
#[derive(Debug, Clone, FieldType)]
#[field(crate = ::renamed)]
pub enum Urgency {
    /// Now.
    High,
    /// Some day.
    Low,
}

/// Triage a support ticket.
#[dspy_module("dspy.ChainOfThought", crate = ::renamed, temperature = 0.2)]
#[derive(Debug, Clone)]
pub struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    /// How soon.
    #[output]
    urgency: Urgency,
}

/// A signature to share.
#[derive(Signature)]
#[signature(crate = "::renamed", derive(Debug, Clone))]
pub struct Shared {
    /// What the customer wrote.
    #[input]
    ticket: String,
    /// How soon.
    #[output]
    r#type: Urgency,
}

/// Shares it.
#[dspy_module("dspy.ChainOfThought", signature = Shared, crate = ::renamed)]
pub struct Sharing;

/// A signature as text, with types of its own.
#[dspy_module(
    "dspy.Predict",
    crate = ::renamed,
    signature = "mood: Literal['calm', 'wild'], value: int | str, urgency: Urgency -> image: dspy.Image, any: Any"
)]
pub struct Text;

/// Asks in passing.
///
/// # Errors
/// Those of the call.
pub async fn ask(caller: &impl renamed::Caller) -> renamed::Result<String> {
    let asking = signature!(
        "mood: Literal['calm', 'wild'], value: int | str, note: str | None -> type",
        crate = ::renamed,
        describe(r#type = "The type.")
    );
    Ok(asking.mood(|mood| mood.wild).value(3).predict(caller).await?.r#type)
}

/// The facade through a path of this crate.
pub mod nested {
    pub use renamed as facade;

    /// Asks.
    #[facade::dspy_module("dspy.Predict", crate = crate::nested::facade)]
    pub struct Ask {
        /// The question.
        #[input]
        question: String,
        /// The answer.
        #[output]
        answer: Option<Vec<String>>,
    }
}

/// Adds.
#[dspex_tool(crate = ::renamed, examples(add(left = 1) -> 4))]
#[must_use]
pub fn add(left: u32, #[tool(default = 3, range(1..))] right: u32, urgency: Option<Urgency>) -> u32 {
    let _ = urgency;
    left + right
}

/// A service.
pub struct Service;

#[dspex_tools(crate = ::renamed)]
impl Service {
    /// Subtracts.
    #[dspex_tool(timeout = "1s")]
    pub async fn subtract(&self, left: u32, right: u32) -> Result<u32, renamed::ToolError> {
        left.checked_sub(right).ok_or_else(|| renamed::ToolError::new("right is larger"))
    }
}

/// An agent.
#[dspy_module("dspy.ReAct", signature = "question -> answer", tools(add), crate = ::renamed)]
pub struct Agent;

/// The tools.
#[must_use]
pub fn all() -> (ToolSet, ToolSet) {
    (tools![add], std::sync::Arc::new(Service).tools())
}

/// The name of a module.
#[must_use]
pub fn name() -> &'static str {
    Triage::definition().name
}

/// Uses everything.
///
/// # Errors
/// Those of the call.
pub async fn triage(session: &renamed::Session) -> renamed::Result<String> {
    let out = Triage::call(session, TriageInputs { ticket: String::new() }).await?;
    Ok(format!("{:?}, {}", out.urgency, out.reasoning))
}
"#;

/// Bindings, and a module of a class of the team's own.
const WITH_BUILD_SCRIPT: &str = r#"
//! Has a build script, and a schema with a class that dspex has never heard of.
#![deny(warnings, missing_docs)]

dspex::include_bindings!();

/// Answers from the team's documents.
#[dspex::dspy_module("my_team.rag.RagProgram", depth = 3)]
pub struct Rag {
    /// The question.
    #[input]
    question: String,
    /// The answer.
    #[output]
    answer: String,
}

/// Uses what the class adds to the outputs.
#[must_use]
pub fn sources(outputs: RagOutputs) -> Vec<String> {
    outputs.sources
}

/// A draft of the same class, by its other path.
pub fn draft() -> my_team::Rag {
    my_team::rag::RagProgram::new("question -> answer").depth(3)
}

/// What is selected is there.
pub fn optimizer() -> dspy::teleprompt::LabeledFewShot {
    dspy::LabeledFewShot::new().k(4)
}

/// A function of the team's, with types.
///
/// # Errors
/// Those of the call.
pub async fn rank(caller: &impl dspex::Caller) -> dspex::Result<Vec<f64>> {
    my_team::rag::rank(caller, vec!["a".to_owned()]).r#type("bm25").await
}

/// A value of a type of this crate.
#[derive(Debug, dspex::FieldType)]
pub struct Passage {
    /// Its text.
    pub text: String,
}

/// A method that answers with it.
///
/// # Errors
/// Those of the call.
pub async fn best(program: &my_team::rag::RagProgramInstance) -> dspex::Result<Passage> {
    program.best_passage("What?", vec![Passage { text: String::new() }]).await
}
"#;

#[test]
fn a_crate_without_serde_and_with_dspex_under_another_name_compiles() {
    let krate = Crate::new("downstream");
    krate.write("src/lib.rs", WITHOUT_BUILD_SCRIPT);
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
    krate.write("src/lib.rs", WITH_BUILD_SCRIPT);
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

/// A crate in a directory of its own.
struct Crate {
    name: &'static str,
    dir: tempfile::TempDir,
}

impl Crate {
    fn new(name: &'static str) -> Self {
        let krate = Self { name, dir: tempfile::tempdir().unwrap() };
        fs::copy(workspace().join("Cargo.lock"), krate.path("Cargo.lock")).unwrap();
        krate
    }

    /// With a build script that sets these options.
    fn with_build_script(name: &'static str, options: &str) -> Self {
        let krate = Self::new(name);
        krate.manifest(&format!(
            "[dependencies]\ndspex = {{ path = {:?} }}\n\n[build-dependencies]\nschema-gen = {{ path = {:?} }}\n",
            workspace(),
            workspace().join("schema-gen"),
        ));
        krate.build_script(options);
        krate
    }

    fn manifest(&self, dependencies: &str) {
        let package =
            format!("[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n", self.name);
        self.write("Cargo.toml", &format!("{package}\n[workspace]\n\n{dependencies}"));
    }

    fn build_script(&self, options: &str) {
        self.write(
            "build.rs",
            &format!(
                "fn main() -> Result<(), schema_gen::Error> {{\n    schema_gen::configure(){options}.compile()\n}}\n"
            ),
        );
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// A schema directory: DSPy's, and a module of a team's own.
    fn schema(&self, dir: &str) {
        let snapshot = workspace().join("dspex-schema/schemas/3.4.1");
        fs::create_dir_all(self.path(dir)).unwrap();
        for entry in fs::read_dir(snapshot).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, self.path(dir).join(path.file_name().unwrap())).unwrap();
        }
        let text = json!({"k": "str"});
        let passage = json!({"k": "ref", "name": "my_team.rag.Passage"});
        let parameter = |name: &str, role: &str, required: bool, ty: &Value| json!({"name": name, "role": role, "required": required, "type": ty, "doc": "See [the page](x) and <b>."});
        let program = json!({
            "format": 1, "dspy": "3.4.1", "name": "my_team.rag.RagProgram", "kind": "module", "async": true,
            "canonical": "my_team.rag.program.RagProgram", "exports": ["my_team.Rag", "my_team.rag.RagProgram"],
            "call": "inputs", "abi_sha256": "ab".repeat(32), "doc_sha256": "cd".repeat(32),
            "doc": "Answers from [documents].\n\n    rag = RagProgram(1)\n\nSee https://example.org/a_b.",
            "init": [parameter("signature", "signature", true, &text), parameter("depth", "value", false, &json!({"k": "int"}))],
            "outputs": {"from_signature": true, "extra": [{"name": "sources", "doc": "Where it stands.", "type": {"k": "list", "of": text}}]},
            "methods": [{"name": "best_passage", "binding": "method", "doc": "", "returns": passage, "params": [
                parameter("question", "value", true, &text),
                parameter("among", "value", true, &json!({"k": "list", "of": passage})),
            ]}],
        });
        let data = json!({
            "format": 1, "dspy": "3.4.1", "name": "my_team.rag.Passage", "kind": "type", "call": null,
            "abi_sha256": "ef".repeat(32), "init": [parameter("text", "value", true, &text)],
        });
        for class in [&program, &data] {
            self.write(&format!("{dir}/{}.json", class["name"].as_str().unwrap()), &class.to_string());
        }
        self.edit_index(dir, |index| {
            for class in [&program, &data] {
                let name = class["name"].as_str().unwrap();
                index["classes"][name] =
                    json!({"file": format!("{name}.json"), "abi_sha256": class["abi_sha256"]});
            }
        });
        let functions = self.path(dir).join("functions.json");
        let mut document: Value = serde_json::from_str(&fs::read_to_string(&functions).unwrap()).unwrap();
        document["functions"].as_array_mut().unwrap().push(json!({
            "name": "my_team.rag.rank", "returns": {"k": "list", "of": {"k": "float"}}, "params": [
                parameter("texts", "value", true, &json!({"k": "list", "of": text})),
                parameter("type", "value", false, &text),
            ],
        }));
        fs::write(functions, document.to_string()).unwrap();
        self.edit_index(dir, |index| {
            index["functions_sha256"] = json!(dspex_schema::fingerprint::of(&document));
        });
    }

    fn edit_index(&self, dir: &str, edit: impl FnOnce(&mut Value)) {
        let path = self.path(dir).join("index.json");
        let mut index = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        edit(&mut index);
        fs::write(path, index.to_string()).unwrap();
    }

    fn build(&self) -> Output {
        Command::new(env!("CARGO"))
            .args(["build", "--offline"])
            .current_dir(self.dir.path())
            .env("CARGO_TARGET_DIR", target_dir())
            .env_remove("RUSTFLAGS")
            .output()
            .unwrap()
    }

    fn builds(&self) {
        let output = self.build();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What cargo says about a crate that does not build.
    fn fails(&self) -> String {
        let output = self.build();
        assert!(!output.status.success(), "it builds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A file that the build script wrote.
    fn out(&self, name: &str) -> PathBuf {
        // The directory is named by a hash, and other runs left directories of crates of the same name.
        let newest =
            |dir: &PathBuf| fs::metadata(dir.join("output")).and_then(|output| output.modified()).ok();
        let build = target_dir().join("debug/build");
        let prefix = format!("{}-", self.name);
        let mut dirs: Vec<_> = fs::read_dir(build)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|dir| {
                let name = dir.file_name().unwrap().to_string_lossy().into_owned();
                name.strip_prefix(&prefix).is_some_and(|hash| hash.len() == 16) && dir.join("out").exists()
            })
            .collect();
        dirs.sort_by_key(newest);
        dirs.last().unwrap().join("out/dspex").join(name)
    }

    fn bindings(&self) -> String {
        fs::read_to_string(self.out("dspy.rs")).unwrap()
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory that this test was built in, where most dependencies are built already.
fn target_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}
