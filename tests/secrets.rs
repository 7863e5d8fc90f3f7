//! Keys and tokens stay where they belong: a run of everything, in a process of its own, whose output, files, store and
//! Python processes are searched for them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::operator::Operator;
use common::provider::{Behaviour, KEY, Provider};
use common::{builder, parent_of, program, recorder};
#[cfg(feature = "tls")]
use dspex::ClientTls;
use dspex::prelude::*;
use dspex::state::VarSpec;
use dspex::{Carrier, CircuitBreaker, Endpoint, SessionFilter, SessionId, WorkerLimits};
use serde_json::json;

/// Set in the process that does the run: where it may leave files.
const DIR: &str = "DSPEX_TEST_SECRETS_DIR";

/// The token of this host at its endpoint.
const TOKEN: &str = "canary-token-9d1f0c52-never-show-this";

/// The key of this host's certificate.
#[cfg(feature = "tls")]
const TLS_KEY: &str = "canary-of-a-private-key-77aa-never-show-this";

/// All that nobody may see.
const SECRETS: &[&str] = &[
    KEY,
    TOKEN,
    #[cfg(feature = "tls")]
    TLS_KEY,
];

/// What the environment of the run has, and its Python processes with it: a search that does not find it finds nothing.
const VISIBLE: (&str, &str) = ("DSPEX_TEST_SECRETS_VISIBLE", "this-is-seen-by-everybody-3b1e");

/// A text that calls and a variable have.
const TOLD: &str = "told by the worker";

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
        .env(VISIBLE.0, VISIBLE.1)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&told);
    let hidden =
        SECRETS.iter().fold(text.clone().into_owned(), |text, secret| text.replace(secret, "SECRET"));
    assert!(output.status.success(), "{hidden}");
    // What is searched is what should be there: tracing at its finest, errors, worker's lines, status, events, metrics.
    for part in [
        "TRACE",
        TOLD,
        "PoolStatus {",
        "pool default: ",
        "\"pools\":[{",
        "Ended {",
        "ended after",
        "dspex_call_seconds{pool=default,outcome=lm}",
        "dspex_lm_breaker_state{model=openai/gpt-4o-mini}",
        #[cfg(feature = "tls")]
        "ClientTls {",
        "Incorrect API key provided: ***",
        "the provider refused the key",
        "ended by signal 11",
    ] {
        assert!(text.contains(part), "the run does not show `{part}`");
    }
    let found = |text: &str| files(dir.path()).into_iter().filter(|file| holds_file(file, text)).count();
    assert!(found(TOLD) > 0, "the store's files are searched");
    for secret in SECRETS {
        assert!(!holds(&told, secret), "the output shows a secret: {}", lines_with(&text, secret));
        let leaking: Vec<PathBuf> =
            files(dir.path()).into_iter().filter(|file| holds_file(file, secret)).collect();
        assert!(leaking.is_empty(), "{leaking:?}");
    }
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
fn assert_hidden(mut pid: u32) {
    for _ in 0..2 {
        // The parent of an operator's worker is this test.
        let command = if pid == std::process::id() { "--nocapture" } else { "run.py" };
        for (file, visible) in [("environ", VISIBLE.1), ("cmdline", command)] {
            let seen = std::fs::read(format!("/proc/{pid}/{file}")).expect(file);
            assert!(holds(&seen, visible), "/proc/{pid}/{file} does not show what it has");
            assert!(!SECRETS.iter().any(|secret| holds(&seen, secret)), "/proc/{pid}/{file}");
        }
        pid = parent_of(pid);
    }
}

async fn run(dir: &Path) {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).init();
    let _turn = recorder::install().await;
    // Others of the same user may look into such workers, which root may always: there is something to be seen.
    let limits = WorkerLimits::new().debuggable(true);
    for carrier in [Carrier::Framed, Carrier::Grpc] {
        let begun = builder(carrier)
            .durable(dir.join("state.db"))
            .worker_limits(limits)
            .circuit_breaker(CircuitBreaker::new().failures(100));
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
    #[cfg(feature = "tls")]
    with_certificates().await;
    everything(Dspex::builder().endpoint(endpoint.clone()).start().await.unwrap()).await;
    let wrong = Endpoint::tcp(endpoint.to_string()).token(format!("{TOKEN}-not"));
    println!("{:?}", Dspex::builder().endpoint(wrong).start().await.map(drop).unwrap_err());
    println!("{:?}", Dspex::builder().token(TOKEN).endpoint(Endpoint::tcp("nowhere")));
    drop(operator);
    recorder::recorded().iter().for_each(|metric| println!("{metric}"));
}

/// What shows of a key in PEM, as a text and in a file, where it can and where it cannot be used.
#[cfg(feature = "tls")]
async fn with_certificates() {
    let certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    for key in
        [TLS_KEY.to_owned(), format!("-----BEGIN PRIVATE KEY-----\n{TLS_KEY}\n-----END PRIVATE KEY-----\n")]
    {
        let tls = ClientTls::from_pem(certificate, certificate, key);
        let endpoint = Endpoint::tcp("127.0.0.1:9").tls(tls.clone()).token(TOKEN);
        println!("{tls:?} {endpoint:?} {:?}", Dspex::builder().endpoint(endpoint.clone()));
        let error = Dspex::builder().endpoint(endpoint).start().await.map(drop).unwrap_err();
        println!("{error} {error:?}");
    }
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
    let mut events = dspex.pool_events();
    let call = async |name: &str, args| dspex.dspy().call(&program(name), &args, &json!({})).await;
    let pid = call("process_id", json!([])).await.unwrap().as_u64().unwrap();
    for behaviour in [Behaviour::Answer, Behaviour::RepeatKey, Behaviour::RateLimit, Behaviour::Fail] {
        let provider = Provider::start(behaviour).await;
        let lm = provider.lm();
        println!("{lm:?} {:?}", SessionConfig::new().lm(lm.clone()));
        let session =
            dspex.sessions().create(SessionId::generate(), SessionConfig::new().lm(lm)).await.unwrap();
        let variables = session.variables();
        variables.create("plain", VarSpec::string(), TOLD).await.unwrap();
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
    assert_hidden(u32::try_from(pid).unwrap());
    println!("{:?}", call("log_warning", json!([TOLD])).await);
    println!("{:?}", call("fail", json!(["on purpose"])).await);
    println!("{:?}", call("end_by_signal", json!([11])).await.unwrap_err());
    println!("{:?} {:?}", dspex.load(), dspex.health_check().await);
    let status = dspex.status().await;
    println!("{status:?}\n{status}\n{}", serde_json::to_string(&status).unwrap());
    common::eventually("the models' breakers are recorded", || {
        recorder::recorded().iter().any(|metric| metric.starts_with("dspex_lm_breaker_state"))
    })
    .await;
    while let Ok(event) = events.try_recv() {
        println!("{event:?} {event}");
    }
    dspex.shutdown(Duration::from_secs(5)).await;
}
