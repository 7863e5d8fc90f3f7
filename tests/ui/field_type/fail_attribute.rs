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
enum Misplaced {
    #[field(crate = ::dspex)]
    A,
    B {
        #[field]
        value: String,
    },
}

fn main() {}
