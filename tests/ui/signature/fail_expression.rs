//! What `signature!` refuses.

use dspex::signature;

fn main() {
    let _ = signature!("question -> answer: flaot");
    let _ = signature!("predict -> answer");
    let _ = signature!("mood: int | Literal['calm'] -> answer");
    let _ = signature!("moods: list[int | str] -> answer");
    let _ = signature!(question -> answer);
    let _ = signature!();
    let _ = signature!("question -> answer" crate = ::dspex);
    let _ = signature!("question -> answer", crate = dspex);
    let _ = signature!("question -> answer", crate = ::dspex, crate = ::dspex, instructions = "", instructions = "");
    let _ = signature!("question -> answer", instruction = "Be brief.");
    let _ = signature!("question -> answer: flaot", temperature = 0.5);
    let _ = signature!("question -> answer", describe(questio = "a", answer = "b", answer = "c", x = "d"));
    let _ = signature!("question -> answer", describe());
    let _ = signature!("question -> answer", describe = "b");
    let _ = signature!("question -> answer", describe(answer = 3));
}
