//! Types inside of a field's type.

use dspex::FieldType;

#[derive(FieldType)]
struct Types {
    text: &'static str,
    list: Vec<Option<&'static str>>,
}

#[derive(FieldType)]
enum Variants {
    Pointer(*const u8),
    Object { value: Box<dyn std::fmt::Debug> },
}

fn main() {}
