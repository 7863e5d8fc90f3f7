//! What `signature!` refuses.

use dspex::signature;

fn main() {
    let _ = signature!("question -> answer: flaot");
    let _ = signature!("predict -> answer");
    let _ = signature!("mood: Literal['calm'] -> answer");
    let _ = signature!(question -> answer);
}
