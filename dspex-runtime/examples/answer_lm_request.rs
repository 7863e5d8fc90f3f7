//! Answers language-model requests as the stand-in does: one request of DSPy's JSON a line on stdin, one answer a
//! line on stdout. `python/tools/check_stand_in.py` drives real DSPy with it.

use std::io::{BufRead, Write};

use dspex_runtime::lm::LmRequest;
use dspex_runtime::testing::StandInLm;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = StandInLm::new();
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request = LmRequest::decode(line?.as_bytes())?;
        let name = request.model.clone();
        output.write_all(&model.answer(&request).encode(&name)?)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}
