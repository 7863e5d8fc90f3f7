//! Regenerates the checked-in protocol code of both languages from `proto/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const PROTO: &str = "dspex/v1/worker.proto";
const RUST_OUT: &str = "dspex-runtime/src/generated";

/// Writes the Rust code (always) and the Python stubs (with `python`, an interpreter that has grpcio-tools).
/// With `check`, writes nothing and fails where the checked-in files differ.
pub fn run(root: &Path, python: Option<&Path>, check: bool) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let rust = scratch.path().join("rust");
    std::fs::create_dir_all(&rust)?;
    generate_rust(&root.join("proto"), &rust)?;
    let mut pairs = vec![(rust, root.join(RUST_OUT))];
    if let Some(python) = python {
        let out = scratch.path().join("python");
        std::fs::create_dir_all(&out)?;
        generate_python(root, python, &out)?;
        pairs.push((out, root.join("python/dspex_worker/proto")));
    }
    let mut stale = Vec::new();
    for (from, to) in pairs {
        stale.extend(sync(&from, &to, check)?);
    }
    if check && !stale.is_empty() {
        let names: Vec<_> = stale.iter().map(|path| path.display().to_string()).collect();
        bail!("generated protocol code is stale: {}; run `cargo xtask proto`", names.join(", "));
    }
    Ok(())
}

fn generate_rust(proto: &Path, out: &Path) -> Result<()> {
    let files = protox::compile([PROTO], [proto]).context("the protocol does not compile")?;
    tonic_prost_build::configure()
        .build_server(false)
        // These two carry secrets; `proto.rs` gives them a redacting `Debug`.
        .skip_debug([".dspex.v1.LmSpec", ".dspex.v1.Open"])
        .bytes(".dspex.v1")
        .btree_map(".dspex.v1")
        .out_dir(out)
        .compile_fds(files)
        .context("the protocol's Rust code could not be generated")
}

fn generate_python(root: &Path, python: &Path, out: &Path) -> Result<()> {
    let status = Command::new(python)
        .arg(root.join("python/tools/gen_proto.py"))
        .arg("--out")
        .arg(out)
        .status()
        .with_context(|| format!("{} could not be started", python.display()))?;
    if !status.success() {
        bail!("python/tools/gen_proto.py failed ({status})");
    }
    Ok(())
}

/// Copies what differs, or with `check` only names it.
fn sync(from: &Path, to: &Path, check: bool) -> Result<Vec<PathBuf>> {
    let mut stale = Vec::new();
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let target = to.join(path.file_name().context("a generated file has a name")?);
        let new = std::fs::read(&path)?;
        if std::fs::read(&target).ok().as_ref() != Some(&new) {
            if !check {
                std::fs::create_dir_all(to)?;
                std::fs::write(&target, &new)?;
            }
            stale.push(target);
        }
    }
    Ok(stale)
}
