//! Lists the worker's Python sources, so that the crate carries them wherever it is built.
//!
//! `python` beside this file is a link to the repository's `python/`; a packaged crate holds the files themselves.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let python = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("python");
    if !python.join("requirements.lock").is_file() {
        println!(
            "cargo::error=dspex-runtime/python does not lead to the Python sources; it is a symbolic link, which git \
             creates on Windows only with core.symlinks=true"
        );
        return Ok(());
    }
    let mut files = Vec::new();
    collect(&python.join("run.py"), &mut files)?;
    collect(&python.join("dspex_worker"), &mut files)?;
    files.sort();

    let mut table = String::from("const SOURCES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let name = file.strip_prefix(&python).unwrap_or(file).to_string_lossy().replace('\\', "/");
        // `Debug` of a string is a Rust string literal.
        let _ = writeln!(table, "    ({name:?}, include_bytes!({:?})),", file.to_string_lossy());
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("worker_sources.rs");
    // Left alone where it says the same, so that nothing is compiled anew for a touched file.
    if fs::read_to_string(&out).ok().as_deref() != Some(&table) {
        fs::write(&out, table)?;
    }
    for watched in ["build.rs", "python/run.py", "python/dspex_worker", "python/requirements.lock"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    Ok(())
}

/// Every file that belongs to the package: no bytecode, nothing hidden.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !path.exists() || name.starts_with('.') || name == "__pycache__" || name.ends_with(".pyc") {
        return Ok(());
    }
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}
