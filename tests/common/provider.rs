//! A provider of language models on this machine.

use std::sync::{Arc, Mutex};

use dspex::prelude::*;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The key that nobody but the provider may see.
pub const KEY: &str = "sk-canary-4711-never-show-this";

/// How the provider answers.
#[derive(Clone, Copy)]
pub enum Behaviour {
    Answer,
    RateLimit,
    /// Refuses the first request for so many seconds, and answers all others.
    RateLimitOnce(u32),
    RefuseKey,
    /// Refuses the key and repeats it, as some providers do.
    RepeatKey,
    Fail,
    Hang,
}

/// A provider that speaks OpenAI's chat form on loopback, and keeps the heads of the requests that it got.
pub struct Provider {
    url: String,
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, behaviour, kept.clone()));
            }
        });
        Self { url, heads }
    }

    pub fn lm(&self) -> Lm {
        Lm::new("openai/gpt-4o-mini").api_base(&self.url).api_key(KEY).num_retries(0)
    }
}

async fn serve(stream: TcpStream, behaviour: Behaviour, heads: Arc<Mutex<Vec<String>>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let lower = head.to_lowercase();
        let length =
            lower.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let repeated =
            head.lines().find_map(|line| line.split_once("Bearer ")).map(|(_, key)| key.to_owned());
        let number = {
            let mut heads = heads.lock().unwrap();
            heads.push(head);
            heads.len()
        };
        let error =
            |kind: &str| json!({"error": {"message": "told by the test", "type": kind, "code": kind}});
        let answered = |document| ("200 OK", String::new(), document);
        let refused = |seconds: u32| {
            let head = format!("retry-after: {seconds}\r\n");
            ("429 Too Many Requests", head, error("rate_limit_exceeded"))
        };
        let (status, extra, document) = match behaviour {
            Behaviour::RateLimit => refused(7),
            Behaviour::RateLimitOnce(seconds) if number == 1 => refused(seconds),
            Behaviour::Answer | Behaviour::RateLimitOnce(_) => answered(completion()),
            Behaviour::RefuseKey => ("401 Unauthorized", String::new(), error("invalid_api_key")),
            Behaviour::RepeatKey => {
                let message = format!("Incorrect API key provided: {}.", repeated.unwrap_or_default());
                let error =
                    json!({"message": message, "type": "invalid_request_error", "code": "invalid_api_key"});
                ("401 Unauthorized", String::new(), json!({"error": error}))
            }
            Behaviour::Fail => ("500 Internal Server Error", String::new(), error("server_error")),
            Behaviour::Hang => std::future::pending().await,
        };
        let text = document.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

fn completion() -> serde_json::Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    })
}
