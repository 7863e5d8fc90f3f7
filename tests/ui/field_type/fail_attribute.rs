//! The helper attribute `#[field]`.

use dspex::FieldType;

#[derive(FieldType)]
#[field(create = ::dspex)]
struct UnknownKey {
    value: String,
}

#[derive(FieldType)]
#[field(crate = dspex)]
struct RelativeCrate {
    value: String,
}

#[derive(FieldType)]
#[field(crate = ::dspex, crate = ::dspex)]
struct Twice {
    value: String,
}

#[derive(FieldType)]
#[field(crate)]
struct NoValue {
    value: String,
}

#[derive(FieldType)]
#[field]
struct NoList {
    value: String,
}

#[derive(FieldType)]
enum Misplaced {
    #[field(crate = ::dspex)]
    A,
    B {
        #[field]
        value: String,
    },
}

fn main() {}
