//! What an operator looks at: end points for health and status, and what happens to workers as it happens.
//!
//! `cargo run --example status` needs no key. It serves three pages on loopback, asks for them itself, kills one of its own workers
//! to show what that looks like, and ends. With an address (`cargo run --example status -- 127.0.0.1:8080`) it goes on serving:
//!
//! * `/live`: 200 as long as the program need not be started anew,
//! * `/ready`: 200 while new calls are taken, else 503 with the reasons,
//! * `/status`: all there is to know, as JSON.

use std::time::Duration;

use anyhow::Context;
use dspex::PoolChange;
use dspex::prelude::*;
use dspex::testing::StandInLm;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dspex = Dspex::builder().lm(Lm::host(StandInLm::new())).workers(2).start().await?;
    let given = std::env::args().nth(1);
    let listener = TcpListener::bind(given.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let address = listener.local_addr()?;
    println!("http://{address}/live, /ready and /status\n");
    tokio::spawn(serve(listener, dspex.clone()));

    // What happens to workers, for a log or an alarm. Metrics count the same.
    let mut events = dspex.pool_events();
    let mut watched = dspex.pool_events();
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => println!("event: {event}"),
                Err(RecvError::Lagged(missed)) => println!("{missed} events came too fast to be told"),
                Err(RecvError::Closed) => break,
            }
        }
    });

    let question = json!({"question": "What is 6 times 7?"});
    dspex.predict("question -> answer", &question).await?;
    println!("{}", dspex.status().await);
    println!("/ready says: {}\n", get(address, "/ready").await?);

    // A worker dies, as by a fault in a C library. Calls go on, and it is replaced.
    let pid = dspex.status().await.pools[0].workers[0].pid.context("the worker runs here")?;
    tokio::process::Command::new("kill").args(["-SEGV", &pid.to_string()]).status().await?;
    let replaced = async {
        // How a worker ended is known a little after its successor has started.
        let (mut ended, mut renewed) = (false, false);
        while let Ok(event) = watched.recv().await {
            match event.change {
                PoolChange::Ended { .. } => ended = true,
                PoolChange::Ready { .. } => {
                    renewed |= event.worker.is_some_and(|worker| worker.generation > 1)
                }
                _ => {}
            }
            if ended && renewed {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), replaced).await?;
    dspex.predict("question -> answer", &question).await?;
    println!("\n{}", dspex.status().await);
    println!("a probe: {:?}", dspex.probe(Duration::from_secs(5)).await.verdict);

    if given.is_some() {
        tokio::signal::ctrl_c().await?;
    }
    dspex.shutdown(Duration::from_secs(10)).await;
    println!("/ready says: {}", get(address, "/ready").await?);
    Ok(())
}

/// The status line and the text of an answer.
async fn answer(dspex: &Dspex, path: &str) -> (&'static str, String) {
    let health = dspex.health_check().await;
    let verdict = |ok: bool| if ok { "200 OK" } else { "503 Service Unavailable" };
    match path {
        "/live" => (verdict(health.live), "live\n".to_owned()),
        "/ready" => (verdict(health.ready), format!("{:?}\n", health.verdict)),
        "/status" => {
            let status = dspex.status().await;
            (verdict(true), serde_json::to_string_pretty(&status).unwrap_or_default())
        }
        _ => ("404 Not Found", String::new()),
    }
}

/// As little of HTTP as a load balancer needs. A program that has a server of its own adds the three paths there.
async fn serve(listener: TcpListener, dspex: Dspex) {
    while let Ok((stream, _)) = listener.accept().await {
        let dspex = dspex.clone();
        tokio::spawn(async move {
            let handled = tokio::time::timeout(Duration::from_secs(5), handle(stream, &dspex));
            if let Ok(Err(error)) = handled.await {
                eprintln!("a request: {error}");
            }
        });
    }
}

async fn handle(mut stream: TcpStream, dspex: &Dspex) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream).take(8 * 1024).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    // The headers say nothing that matters here, and are read so that the answer is not lost with them.
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, text) = answer(dspex, path).await;
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

async fn get(address: std::net::SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text.replace("\r\n", " ").trim().to_owned())
}
