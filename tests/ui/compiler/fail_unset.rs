//! A call before all inputs are set, and one of a wrong type.

use dspex::signature;

async fn ask(dspex: &dspex::Dspex) {
    let _ = signature!("question, k: int -> answer").question("?").predict(dspex).await;
    let _ = signature!("question, k: int -> answer").question("?").k("three").predict(dspex).await;
}

fn main() {}
