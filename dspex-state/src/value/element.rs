//! The numbers that tensors are made of.

use std::fmt;

/// The type of a tensor's numbers, by numpy's names.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Dtype {
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// Whole numbers of 32 bits with their sign.
    Int32,
    /// Whole numbers of 64 bits with their sign.
    Int64,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Float32, Self::Float64, Self::Int32, Self::Int64];

    /// Numpy's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// How many bytes one number takes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Float32 | Self::Int32 => 4,
            Self::Float64 | Self::Int64 => 8,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
}

/// A number that tensors are made of: `f32`, `f64`, `i32` or `i64`.
pub trait Element: sealed::Sealed + bytemuck::Pod + PartialOrd + fmt::Debug + Send + Sync {
    /// Its name in numpy.
    const DTYPE: Dtype;
    /// The number in double precision, for comparisons with bounds; whole numbers beyond 2^53 are rounded.
    fn as_f64(self) -> f64;
    /// The number whose bytes are in the other order.
    #[doc(hidden)]
    fn swapped(self) -> Self;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::Float32;
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
    fn swapped(self) -> Self {
        Self::from_bits(self.to_bits().swap_bytes())
    }
}

impl Element for f64 {
    const DTYPE: Dtype = Dtype::Float64;
    fn as_f64(self) -> f64 {
        self
    }
    fn swapped(self) -> Self {
        Self::from_bits(self.to_bits().swap_bytes())
    }
}

impl Element for i32 {
    const DTYPE: Dtype = Dtype::Int32;
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
    fn swapped(self) -> Self {
        self.swap_bytes()
    }
}

impl Element for i64 {
    const DTYPE: Dtype = Dtype::Int64;
    fn as_f64(self) -> f64 {
        self as f64
    }
    fn swapped(self) -> Self {
        self.swap_bytes()
    }
}
