//! Bindings of the modules in `python`, of which `dspy-schema` tells.

fn main() -> Result<(), schema_gen::Error> {
    schema_gen::configure().compile()
}
