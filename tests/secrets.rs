//! Keys and tokens stay where they belong: a run of everything, in a process of its own, whose output, files, store and
//! Python processes are searched for them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::operator::Operator;
use common::provider::{Behaviour, KEY, Provider};
use common::{builder, program};
use dspex::prelude::*;
use dspex::state::VarSpec;
use dspex::{Carrier, Endpoint, SessionFilter, SessionId};
use serde_json::json;

/// Set in the process that does the run: where it may leave files.
const DIR: &str = "DSPEX_TEST_SECRETS_DIR";

/// The token of this host at its endpoint.
const TOKEN: &str = "canary-token-9d1f0c52-never-show-this";

/// Answer the question.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Ask {
    #[input]
    question: String,
    #[output]
    answer: i64,
}

/// Answer the question with tools.
#[dspy_module("dspy.ReAct", tools(look_up), max_iters = 2)]
#[derive(Debug)]
struct Agent {
    #[input]
    question: String,
    #[output]
    answer: i64,
}

/// Looks something up.
#[dspex_tool]
async fn look_up(
    /// The word.
    word: String,
) -> String {
    word
}

#[test]
fn no_key_and_no_token_is_found_in_output_files_store_or_processes() {
    if let Some(dir) = std::env::var_os(DIR) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(run(&PathBuf::from(dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_key_and_no_token_is_found_in_output_files_store_or_processes", "--nocapture"])
        .env(DIR, dir.path())
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&told);
    assert!(output.status.success(), "{}", text.replace(KEY, "KEY").replace(TOKEN, "TOKEN"));
    // What is searched is what should be there: tracing at its finest, errors, worker's lines, the store.
    for part in [
        "TRACE",
        "told by the worker",
        "Incorrect API key provided: ***",
        "the provider refused the key",
        "ended by signal 11",
    ] {
        assert!(text.contains(part), "the run does not show `{part}`");
    }
    for secret in [KEY, TOKEN] {
        assert!(!holds(&told, secret), "the output shows a secret: {}", lines_with(&text, secret));
        let leaking: Vec<PathBuf> =
            files(dir.path()).into_iter().filter(|file| holds_file(file, secret)).collect();
        assert!(leaking.is_empty(), "{leaking:?}");
    }
    assert!(dir.path().join("state.db").metadata().unwrap().len() > 0);
}

fn lines_with(text: &str, secret: &str) -> String {
    text.lines()
        .filter(|line| line.contains(secret))
        .map(|line| line.replace(secret, "SECRET") + "\n")
        .collect()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

fn holds_file(file: &Path, secret: &str) -> bool {
    std::fs::read(file).is_ok_and(|bytes| holds(&bytes, secret))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// What other processes of this user can see of a Python process, and of its parent.
fn assert_hidden(pid: u64) {
    let mut pid = pid.to_string();
    for _ in 0..2 {
        for file in ["environ", "cmdline"] {
            let seen = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(!holds(&seen, KEY) && !holds(&seen, TOKEN), "/proc/{pid}/{file}");
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        pid = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    }
}

async fn run(dir: &Path) {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).init();
    for carrier in [Carrier::Framed, Carrier::Grpc] {
        let begun = builder(carrier).durable(dir.join("state.db"));
        println!("{begun:?}");
        everything(begun.start().await.unwrap()).await;
    }
    // The operator's own files are elsewhere: there the token is meant to be.
    let line = format!("here:{TOKEN}\n");
    let (operator, endpoint) = tokio::task::spawn_blocking(move || {
        Operator::start_in(Path::new("/tmp"), Some("127.0.0.1:0"), Some(&line))
    })
    .await
    .unwrap();
    let endpoint = endpoint.token(TOKEN);
    println!("{endpoint:?} {endpoint}");
    everything(Dspex::builder().endpoint(endpoint.clone()).start().await.unwrap()).await;
    let wrong = Endpoint::tcp(endpoint.to_string()).token(format!("{TOKEN}-not"));
    println!("{:?}", Dspex::builder().endpoint(wrong).start().await.map(drop).unwrap_err());
    drop(operator);
}

fn show<T: std::fmt::Debug>(result: dspex::Result<T>) {
    let error = match result {
        Ok(answer) => return println!("{answer:?}"),
        Err(error) => error,
    };
    println!("{error}\n{error:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        println!("{error}\n{error:?}");
        cause = error.source();
    }
}

async fn everything(dspex: Dspex) {
    let call = async |name: &str, args| dspex.dspy().call(&program(name), &args, &json!({})).await;
    let pid = call("process_id", json!([])).await.unwrap().as_u64().unwrap();
    for behaviour in [Behaviour::Answer, Behaviour::RepeatKey, Behaviour::RateLimit, Behaviour::Fail] {
        let provider = Provider::start(behaviour).await;
        let lm = provider.lm();
        println!("{lm:?} {:?}", SessionConfig::new().lm(lm.clone()));
        let session =
            dspex.sessions().create(SessionId::generate(), SessionConfig::new().lm(lm)).await.unwrap();
        let variables = session.variables();
        variables.create("plain", VarSpec::string(), "told by the worker").await.unwrap();
        let ask = Ask::create(&session).await.unwrap();
        let agent = Agent::create(&session).await.unwrap();
        println!(
            "{dspex:?} {session:?} {ask:?} {agent:?} {:?}",
            dspex.sessions().list(SessionFilter::new()).await
        );
        show(ask.run(AskInputs { question: "6 times 7?".into() }).await);
        show(agent.run(AgentInputs { question: "6 times 7?".into() }).await);
        // It was really used.
        assert!(provider.heads.lock().unwrap().iter().all(|head| head.contains(KEY)));
        println!("{:?} {:?}", ask.spec_hash(), dspex.sessions().stats().await);
    }
    assert_hidden(pid);
    println!("{:?}", call("log_warning", json!(["told by the worker"])).await);
    println!("{:?}", call("fail", json!(["on purpose"])).await);
    println!("{:?}", call("end_by_signal", json!([11])).await.unwrap_err());
    println!("{:?} {:?}", dspex.load(), dspex.health_check().await);
    dspex.shutdown(Duration::from_secs(5)).await;
}
