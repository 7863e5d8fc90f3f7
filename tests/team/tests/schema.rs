//! The schema that the bindings are made of is that of the modules in `python`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use dspex::Dspex;
use dspex_schema::Dump;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checked_in_schema_is_what_introspection_says() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = ["my_team.rag", "my_team.models"];
    let mut builder = Dspex::builder().workers(1).python_path(package.join("python"));
    for module in modules {
        builder = builder.allow_module(module);
    }
    let dspex = builder.start().await.expect("dspex starts");
    let document = dspex.dspy().discover_schema(&modules).await.unwrap();
    let dump = Dump::parse(&document.to_string(), "the worker's answer").unwrap();
    for (name, text) in dump.files() {
        let checked_in = fs::read_to_string(package.join("dspy-schema").join(&name)).unwrap_or_default();
        assert!(
            checked_in == text,
            "{name} is stale; in `tests/team`, run `schema-gen dump --module {} --python-path python`",
            modules.join(" --module ")
        );
    }
}
