//! Sockets of local workers: who may connect to them, what they ask for, and whom the host shows it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{assert_serves, builder, eventually, kill, worker_pids};
use dspex::pool::env::{EnvConfig, Environment};
use dspex::prelude::*;
use dspex::{Carrier, Endpoint, PoolError};
use serde_json::{Value, json};

const PROGRAMS: &str = "dspex_security_programs";

/// Nobody: a user who owns nothing.
const NOBODY: u32 = 65534;

/// The directories with the sockets of pools of this process.
fn socket_dirs() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok);
    let of_ours = |dir: &PathBuf| {
        let owner = std::fs::read(dir.join("owner.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&owner).is_ok_and(|owner| owner["pid"] == std::process::id())
    };
    entries.map(|entry| entry.path()).filter(of_ours).collect()
}

fn socket_in(dir: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == "sock")).expect("a socket")
}

/// A pool with a listening worker, the directory of its socket, and the token that the worker asks for.
async fn listening() -> (Dspex, PathBuf, String) {
    // Pools of one process start one after the other, to tell their directories apart.
    static START: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let start = START.lock().await;
    let before = socket_dirs();
    let dspex = builder(Carrier::Grpc).allow_module(PROGRAMS).start().await.unwrap();
    let dir = socket_dirs().into_iter().find(|dir| !before.contains(dir)).expect("a directory of its own");
    drop(start);
    let tokens = dspex.dspy().call(&format!("{PROGRAMS}.tokens"), &json!([]), &json!({})).await.unwrap();
    let tokens: Vec<_> = tokens.as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
    let [token] = tokens[..] else { panic!("one token, not {}", tokens.len()) };
    (dspex, dir, token.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_start_has_a_token_of_its_own_and_a_worker_serves_nobody_with_another_one() {
    let (one, dir, token) = listening().await;
    let (_two, _, other) = listening().await;
    assert_eq!((token.len(), other.len()), (64, 64));
    assert_ne!(token, other);
    let at = Endpoint::unix(socket_in(&dir));
    let before = one.status().await.pools[0].workers[0].calls;
    for (wrong, why) in [
        (None, "gave none"),
        (Some(other.as_str()), "none of the worker's"),
        (Some(&token[..63]), "none of the worker's"),
    ] {
        let endpoint = wrong.map_or(at.clone(), |wrong| at.clone().token(wrong));
        let error = Dspex::builder().endpoint(endpoint).start().await.map(drop).unwrap_err();
        assert!(matches!(error, Error::Pool(PoolError::Down(_))), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(why) && !text.contains(&token) && !text.contains(&other), "{text}");
    }
    assert_eq!(one.status().await.pools[0].workers[0].calls, before);
    assert_serves(&one).await;
    // The way there is the right one: with the token it serves.
    let here = at.token(token);
    assert_serves(&Dspex::builder().endpoint(here).start().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_gone_leaves_no_socket() {
    let (dspex, dir, _) = listening().await;
    for _ in 0..3 {
        let (gone, pid) = (socket_in(&dir), worker_pids(&dspex)[0]);
        kill(pid, "KILL");
        eventually("there is another worker", || worker_pids(&dspex).first().is_some_and(|new| *new != pid))
            .await;
        eventually("its socket is gone", || !gone.exists()).await;
        assert_ne!(socket_in(&dir), gone);
    }
}

/// Runs a script of Python, as another user if one is named.
fn python(script: &str, path: &Path, uid: Option<u32>) -> Child {
    let environment = Environment::provision(&EnvConfig::new()).unwrap();
    let drop_rights = "import os, socket, sys\nif sys.argv[2] != 'own':\n    os.setgroups([])\n    os.setgid(int(sys.argv[2]))\n    os.setuid(int(sys.argv[2]))\n";
    let mut command = Command::new(environment.python);
    command.args(["-I", "-c", &format!("{drop_rights}{script}")]).arg(path);
    command.arg(uid.map_or_else(|| "own".to_owned(), |uid| uid.to_string()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// What becomes of connecting to a socket.
fn connecting(path: &Path, uid: Option<u32>) -> String {
    let script = "try:\n    socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n    print('connected')\nexcept OSError as problem:\n    print(type(problem).__name__)\n";
    let output = python(script, path, uid).wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sockets_of_workers_are_reached_by_their_owner_alone() {
    let (_dspex, dir, _) = listening().await;
    let own = rustix::process::geteuid().as_raw();
    let socket = socket_in(&dir);
    let seen = |path: &Path| {
        let metadata = path.symlink_metadata().unwrap();
        (metadata.permissions().mode() & 0o7777, metadata.uid())
    };
    assert_eq!((seen(&dir), seen(&socket)), ((0o700, own), (0o600, own)));
    assert_eq!(connecting(&socket, None), "connected");
    if own == 0 {
        assert_eq!(connecting(&socket, Some(NOBODY)), "PermissionError");
        println!("root: another user's connection was refused by the kernel");
    } else {
        println!("not root: only the modes were looked at, no other user tried");
    }
}

/// Something that listens as another user, where everybody may, and tells how many bytes each connection shows it.
struct Stranger {
    process: Child,
    told: std::io::Lines<BufReader<std::process::ChildStdout>>,
    path: PathBuf,
}

impl Stranger {
    fn listen(path: &Path) -> Self {
        let script = "listener = socket.socket(socket.AF_UNIX)\nlistener.bind(sys.argv[1])\nlistener.listen()\nprint('listens', flush=True)\nwhile True:\n    connection, _ = listener.accept()\n    connection.settimeout(20)\n    print(len(connection.recv(65536)), flush=True)\n    connection.close()\n";
        let mut process = python(script, path, Some(NOBODY));
        let mut told = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(told.next().unwrap().unwrap(), "listens");
        Self { process, told, path: path.to_owned() }
    }

    /// How many bytes it was shown by each connection since it was asked last.
    fn was_shown(&mut self) -> Vec<usize> {
        // A last connection of our own: those before it have come to their end then.
        const LAST: &[u8] = b"last";
        UnixStream::connect(&self.path).unwrap().write_all(LAST).unwrap();
        let told = self.told.by_ref().map(|line| line.unwrap().parse().unwrap());
        told.take_while(|shown| *shown != LAST.len()).collect()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_listens_as_another_user_is_shown_nothing_unless_the_host_said_so() {
    let own = rustix::process::geteuid().as_raw();
    if own != 0 {
        println!(
            "not root: no other user can listen here; `check_owner` has a test of its own in the runtime"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = dir.path().join("worker.sock");
    let mut stranger = Stranger::listen(&path);
    let endpoint = Endpoint::unix(&path).token("a-token-that-a-stranger-must-not-see");
    let refusal =
        async |endpoint: Endpoint| Dspex::builder().endpoint(endpoint).start().await.map(drop).unwrap_err();
    let error = refusal(endpoint.clone()).await.to_string();
    assert!(
        error.contains("runs as user 65534 and not as user 0") && error.contains("owned_by(65534)"),
        "{error}"
    );
    let shown = stranger.was_shown();
    assert!(!shown.is_empty() && shown.iter().all(|bytes| *bytes == 0), "{shown:?}");
    let error = refusal(endpoint.owned_by(NOBODY)).await.to_string();
    assert!(!error.contains("runs as user"), "{error}");
    let shown = stranger.was_shown();
    assert!(shown.iter().any(|bytes| *bytes > 0), "so it would have been seen: {shown:?}");
    println!("root: the credentials of a real socket of another user were refused");
}
