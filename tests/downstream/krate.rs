//! A crate outside of the workspace, with or without a build script and a schema.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A crate in a directory of its own.
pub struct Crate {
    name: &'static str,
    dir: tempfile::TempDir,
}

impl Crate {
    pub fn new(name: &'static str) -> Self {
        let krate = Self { name, dir: tempfile::tempdir().unwrap() };
        fs::copy(workspace().join("Cargo.lock"), krate.path("Cargo.lock")).unwrap();
        krate
    }

    /// With a build script that sets these options.
    pub fn with_build_script(name: &'static str, options: &str) -> Self {
        let krate = Self::new(name);
        krate.manifest(&format!(
            "[dependencies]\ndspex = {{ path = {:?} }}\n\n[build-dependencies]\nschema-gen = {{ path = {:?} }}\n",
            workspace(),
            workspace().join("schema-gen"),
        ));
        krate.build_script(options);
        krate
    }

    pub fn manifest(&self, dependencies: &str) {
        let package =
            format!("[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n", self.name);
        self.write("Cargo.toml", &format!("{package}\n[workspace]\n\n{dependencies}"));
    }

    pub fn build_script(&self, options: &str) {
        self.write(
            "build.rs",
            &format!(
                "fn main() -> Result<(), schema_gen::Error> {{\n    schema_gen::configure(){options}.compile()\n}}\n"
            ),
        );
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// A schema directory: DSPy's, and a module of a team's own.
    pub fn schema(&self, dir: &str) {
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

    pub fn edit_index(&self, dir: &str, edit: impl FnOnce(&mut Value)) {
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

    pub fn builds(&self) {
        let output = self.build();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What cargo says about a crate that does not build.
    pub fn fails(&self) -> String {
        let output = self.build();
        assert!(!output.status.success(), "it builds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A file that the build script wrote.
    pub fn out(&self, name: &str) -> PathBuf {
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

    pub fn bindings(&self) -> String {
        fs::read_to_string(self.out("dspy.rs")).unwrap()
    }
}

pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory that this test was built in, where most dependencies are built already.
fn target_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}
