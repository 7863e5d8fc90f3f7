//! What can be the type of a field.

use dspex::FieldType;

#[derive(FieldType)]
enum Empty {}

#[derive(FieldType)]
struct Unit;

#[derive(FieldType)]
union Either {
    a: u8,
    b: i8,
}

#[derive(FieldType)]
struct Generic<T> {
    value: T,
}

#[derive(FieldType)]
struct Borrowed<'a> {
    value: &'a str,
}

#[derive(FieldType)]
struct Where
where
    String: Clone,
{
    value: String,
}

// Types with errors can still be used as fields.
#[derive(FieldType)]
struct Uses {
    empty: Empty,
    unit: Unit,
    generic: Generic<u8>,
}

fn main() {}
