//! A signature with a field `reasoning` cannot be reasoned about.

use dspex::signature;

async fn ask(dspex: &dspex::Dspex) {
    let _ = signature!("question -> reasoning").question("?").predict(dspex).await;
    let _ = signature!("question -> reasoning").question("?").chain_of_thought(dspex).await;
}

fn main() {}
