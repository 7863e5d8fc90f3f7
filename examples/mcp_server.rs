//! Tools of Rust for any client of the Model Context Protocol, such as an editor or a desktop assistant.
//!
//! `cargo run --features mcp --example mcp_server` talks over standard input and output: the program that starts it is the
//! client. `cargo run --features mcp --example mcp_server -- 127.0.0.1:8808` listens at `http://127.0.0.1:8808/mcp` until Enter is pressed.
//!
//! No Python and no model takes part: the tools are the program's own, and whoever calls them has the model.

use dspex::mcp::ToolServer;
use dspex::prelude::*;
use dspex::tools;

/// A river, and what there is to know of it.
#[derive(FieldType, Debug, Clone)]
struct River {
    name: String,
    length_km: u32,
    /// Where its water ends.
    mouth: String,
}

/// The longest rivers of each continent that has some.
struct Atlas(Vec<River>);

impl Atlas {
    fn new() -> Self {
        let rivers = [
            ("Nile", 6650, "Mediterranean Sea"),
            ("Amazon", 6400, "Atlantic Ocean"),
            ("Yangtze", 6300, "East China Sea"),
            ("Mississippi", 3766, "Gulf of Mexico"),
            ("Volga", 3530, "Caspian Sea"),
            ("Murray", 2508, "Southern Ocean"),
        ];
        let river = |(name, length_km, mouth): (&str, u32, &str)| River {
            name: name.into(),
            length_km,
            mouth: mouth.into(),
        };
        Self(rivers.map(river).into())
    }
}

/// What there is to know of a river, by its name.
#[dspex_tool(read_only)]
fn river(
    #[ctx] atlas: State<Atlas>,
    /// Its English name, such as "Nile".
    name: String,
) -> Result<River, String> {
    let found = atlas.0.iter().find(|river| river.name.eq_ignore_ascii_case(name.trim()));
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = atlas.0.iter().map(|river| river.name.as_str()).collect();
        format!("the atlas has no river {name:?}; it has {}", known.join(", "))
    })
}

/// The names of rivers, the longest first, one after the other.
#[dspex_tool(read_only, stream)]
fn longest(
    #[ctx] atlas: State<Atlas>,
    /// How many.
    #[tool(default = 3, range(1..=6))]
    count: usize,
) -> impl futures::Stream<Item = String> + use<> {
    let names: Vec<String> = atlas.0.iter().take(count).map(|river| format!("{}\n", river.name)).collect();
    futures::stream::iter(names)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = ToolServer::new(tools![river, longest].state(Atlas::new()))
        .named("rivers", env!("CARGO_PKG_VERSION"))
        .instructions("Facts on long rivers; ask for the longest ones before you compare.");
    match std::env::args().nth(1) {
        None => server.serve_stdio().await?,
        Some(address) => {
            let running = server.serve_http(address).await?;
            println!("the tools are at {}", running.url());
            tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
            running.shutdown().await;
        }
    }
    Ok(())
}
