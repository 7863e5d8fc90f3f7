//! Embeddings: vectors in single precision.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ndarray::ArrayView1;

use super::tensor::numbers;
use super::{Dtype, TensorError};

/// A vector of numbers in single precision. Clones share the numbers.
///
/// ```
/// use dspex_state::Embedding;
///
/// let embedding = Embedding::from(vec![0.6, 0.8]);
/// assert_eq!(embedding.dimensions(), 2);
/// assert!((embedding.norm() - 1.0).abs() < 1e-6);
/// ```
#[derive(Clone, PartialEq)]
pub struct Embedding(Arc<Vec<f32>>);

impl Embedding {
    /// How many numbers there are.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// The numbers.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The numbers as a view; nothing is copied.
    #[must_use]
    pub fn view(&self) -> ArrayView1<'_, f32> {
        ArrayView1::from(self.as_slice())
    }

    /// The Euclidean length.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.0.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
    }

    /// The sum of the absolute values.
    #[must_use]
    pub fn l1_norm(&self) -> f64 {
        self.0.iter().map(|x| f64::from(*x).abs()).sum()
    }

    /// The same direction with the Euclidean length 1; a vector of zeros stays as it is.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let norm = self.norm();
        if norm == 0.0 {
            return self.clone();
        }
        Self(Arc::new(self.0.iter().map(|x| (f64::from(*x) / norm) as f32).collect()))
    }

    /// The numbers as little-endian bytes. On little-endian machines they are shared, not copied.
    #[must_use]
    pub fn to_le_bytes(&self) -> Bytes {
        if cfg!(target_endian = "little") {
            return Bytes::from_owner(self.clone());
        }
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>().into()
    }

    /// An embedding of little-endian bytes.
    ///
    /// # Errors
    ///
    /// If they are no whole number of numbers.
    pub fn from_le_bytes(bytes: &[u8]) -> Result<Self, TensorError> {
        let dimensions = bytes.len() / 4;
        if !bytes.len().is_multiple_of(4) {
            let (dtype, wanted) = (Dtype::Float32, 4 * dimensions);
            return Err(TensorError::Bytes { shape: vec![dimensions], dtype, wanted, found: bytes.len() });
        }
        Ok(Self(Arc::new(numbers(bytes))))
    }
}

impl AsRef<[u8]> for Embedding {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(self.as_slice())
    }
}

impl From<Vec<f32>> for Embedding {
    fn from(numbers: Vec<f32>) -> Self {
        Self(Arc::new(numbers))
    }
}

impl From<ndarray::Array1<f32>> for Embedding {
    fn from(array: ndarray::Array1<f32>) -> Self {
        Self(Arc::new(array.to_vec()))
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding({})", self.dimensions())
    }
}
