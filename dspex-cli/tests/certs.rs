//! `dspex certs`: what it makes, and what it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn certs(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dspex"));
    command.arg("certs").args(&args[..1]).arg("--dir").arg(dir).args(&args[1..]).output().unwrap()
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

#[test]
fn everything_is_its_owners_alone_and_the_next_commands_are_told() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("certs");
    let output = told(&certs(&dir, &["init", "--worker", "gpu=gpu-1.internal,10.0.0.5", "--host", "web"]));
    assert!(output.contains("dspex serve --listen") && output.contains("gpu/server.pem"), "{output}");
    assert!(
        output.contains("Endpoint::tcp(\"gpu-1.internal:7443\")") && output.contains("hosts/web"),
        "{output}"
    );
    assert!(!output.contains(read(&dir, "hosts/web/token").trim()), "a token is told to nobody");
    let mut seen = 0;
    let mut folders = vec![dir.clone()];
    while let Some(folder) = folders.pop() {
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(
                    path.metadata().unwrap().permissions().mode() & 0o777,
                    0o600,
                    "{}",
                    path.display()
                );
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 10, "2 of the authority, 4 of the workers, 4 of the host");
    assert_eq!(read(&dir, "workers/gpu/tokens"), format!("web:{}", read(&dir, "hosts/web/token")));
    let shown = told(&certs(&dir, &["show"]));
    assert!(shown.contains("workers/gpu: gpu, gpu-1.internal, 10.0.0.5; valid until 20"), "{shown}");
}

#[test]
fn nothing_is_overwritten() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("certs");
    told(&certs(&dir, &["init"]));
    let key = read(&dir, "ca.key");
    assert!(refused(&certs(&dir, &["init"])).contains("exists"));
    assert!(refused(&certs(&dir, &["add", "--host", "host"])).contains("hosts/host exists"));
    assert_eq!(read(&dir, "ca.key"), key);
}

#[test]
fn a_host_that_is_added_is_known_to_all_workers() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("certs");
    told(&certs(&dir, &["init", "--worker", "a", "--worker", "b", "--host", "one"]));
    told(&certs(&dir, &["add", "--host", "two"]));
    for worker in ["a", "b"] {
        let tokens = read(&dir, &format!("workers/{worker}/tokens"));
        for host in ["one", "two"] {
            assert!(tokens.contains(&format!("{host}:{}", read(&dir, &format!("hosts/{host}/token")))));
        }
    }
}

#[test]
fn a_host_that_is_removed_stays_out_whatever_is_made_later() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("certs");
    told(&certs(&dir, &["init", "--worker", "a", "--worker", "b", "--host", "one", "--host", "two"]));
    let token = read(&dir, "hosts/one/token").trim().to_owned();
    assert!(
        refused(&certs(&dir, &["remove", "--host", "../workers"]))
            .contains("no host `../workers`; there are: one, two")
    );
    assert!(told(&certs(&dir, &["remove", "--host", "one"])).contains("restart the workers"));
    told(&certs(&dir, &["add", "--host", "three"]));
    told(&certs(&dir, &["renew"]));
    assert!(!dir.join("hosts/one").exists());
    for worker in ["a", "b"] {
        let tokens = read(&dir, &format!("workers/{worker}/tokens"));
        assert!(!tokens.contains(&token) && tokens.contains("two:") && tokens.contains("three:"));
    }
    // The last one may go: the workers then serve nobody, and say so at their start.
    told(&certs(&dir, &["remove", "--host", "two", "--host", "three", "--host", "two"]));
    assert_eq!(read(&dir, "workers/a/tokens"), "");
}

#[test]
fn renewing_changes_keys_and_certificates_and_keeps_names_and_tokens() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("certs");
    told(&certs(&dir, &["init", "--worker", "gpu=10.0.0.5", "--days", "30"]));
    let files = [
        "workers/gpu/server.pem",
        "workers/gpu/server.key",
        "hosts/host/client.pem",
        "hosts/host/client.key",
    ];
    let kept = ["ca.pem", "ca.key", "workers/gpu/tokens", "hosts/host/token", "hosts/host/ca.pem"];
    let before: Vec<_> = files.iter().map(|name| read(&dir, name)).collect();
    let same: Vec<_> = kept.iter().map(|name| read(&dir, name)).collect();
    told(&certs(&dir, &["renew", "--days", "60"]));
    for (name, before) in files.iter().zip(before) {
        assert_ne!(read(&dir, name), before, "{name}");
    }
    for (name, before) in kept.iter().zip(same) {
        assert_eq!(read(&dir, name), before, "{name}");
    }
    assert!(told(&certs(&dir, &["show"])).contains("gpu, 10.0.0.5;"));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("certs");
    for (args, why) in [
        (&["init", "--worker", "../evil"][..], "cannot be a name"),
        (&["init", "--worker", "gpu=http://gpu:1"], "without a port"),
        (&["init", "--worker", "gpu=höst"], "cannot be an address"),
        (&["init", "--days", "9999"], "--days"),
        (&["init", "--worker", "gpu", "--worker", "gpu"], "exists"),
        (&["renew"], "No such file"),
        (&["add"], "nothing to make"),
    ] {
        let error = refused(&certs(&dir, args));
        assert!(error.contains(why), "{args:?}: {error}");
        assert!(!dir.exists());
    }
    std::fs::create_dir(&dir).unwrap();
    assert!(refused(&certs(&dir, &["renew"])).contains("holds no authority"));
}

/// What nobody but the owner of the directory may see: tokens, and lines of keys in PEM.
fn secrets(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(secrets(&path));
        } else if name == "token" || name.ends_with(".key") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.extend(text.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        }
    }
    found
}

#[test]
fn no_command_prints_a_key_or_a_token_whatever_comes_of_it() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("certs");
    let mut printed = String::new();
    let mut known = Vec::new();
    let mut outcomes = Vec::new();
    for args in [
        &["init", "--worker", "gpu=10.0.0.5", "--host", "web"][..],
        &["init"],
        &["add", "--host", "batch"],
        &["add", "--host", "web"],
        &["show"],
        &["renew"],
        &["renew", "--days", "0"],
        &["show"],
    ] {
        let output = certs(&dir, args);
        printed += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
        outcomes.push(output.status.success());
        known.extend(secrets(&dir));
    }
    assert_eq!(outcomes, [true, false, true, false, true, true, false, true]);
    // A key that is a certificate's place, a file of tokens that is no token's: what is read is not repeated.
    for (file, text) in
        [("ca.key", "canary-of-a-key-that-is-none"), ("workers/gpu/tokens", "canary of tokens: none")]
    {
        std::fs::write(dir.join(file), text).unwrap();
        known.push(text.to_owned());
        for args in [&["renew"][..], &["add", "--host", "later"], &["show"]] {
            let output = certs(&dir, args);
            printed += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
        }
    }
    assert!(known.len() > 20 && known.iter().all(|secret| secret.len() > 8), "{}", known.len());
    assert!(printed.contains("hosts/web") && printed.contains("valid until 20"), "{printed}");
    for secret in known {
        assert!(!printed.contains(&secret), "it is printed: {}", printed.replace(&secret, "SECRET"));
    }
}
