//! Bindings of the built-in snapshot.

fn main() -> Result<(), schema_gen::Error> {
    schema_gen::configure().compile()
}
