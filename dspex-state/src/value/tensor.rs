//! Tensors: numbers in a box, contiguous in memory and shared between clones.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ndarray::{Array, ArrayViewD, Dimension, IxDyn};

use super::{Dtype, Element};

/// Numbers in a box of any number of dimensions, in C order. Clones share the numbers.
///
/// ```
/// use dspex_state::Tensor;
/// use ndarray::array;
///
/// let tensor = Tensor::from(array![[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(tensor.shape(), [2, 2]);
/// assert_eq!(tensor.view::<f32>()?[[1, 0]], 3.0);
/// # Ok::<(), dspex_state::TensorError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Tensor {
    shape: Arc<[usize]>,
    data: Data,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Data {
    Float32(Arc<Vec<f32>>),
    Float64(Arc<Vec<f64>>),
    Int32(Arc<Vec<i32>>),
    Int64(Arc<Vec<i64>>),
}

/// Does a thing with the numbers of a tensor, whatever their type.
macro_rules! with_numbers {
    ($data:expr, $numbers:ident => $body:expr) => {
        match $data {
            $crate::value::tensor::Data::Float32($numbers) => $body,
            $crate::value::tensor::Data::Float64($numbers) => $body,
            $crate::value::tensor::Data::Int32($numbers) => $body,
            $crate::value::tensor::Data::Int64($numbers) => $body,
        }
    };
}
pub(crate) use with_numbers;

/// Why there is no such tensor, or no such view of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The shape does not have as many places as there are numbers.
    #[error("a tensor of the shape {shape:?} has {wanted} numbers, and {found} were given")]
    Count {
        /// The shape.
        shape: Vec<usize>,
        /// How many it wants.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// The shape has more places than memory.
    #[error("the shape {0:?} has more places than a machine can address")]
    TooLarge(Vec<usize>),
    /// The bytes are no whole number of numbers.
    #[error("{found} bytes are no tensor of the type {dtype} and the shape {shape:?}, which takes {wanted}")]
    Bytes {
        /// The shape.
        shape: Vec<usize>,
        /// The type of the numbers.
        dtype: Dtype,
        /// How many bytes it takes.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
    /// The numbers are of another type.
    #[error("the tensor's numbers are {found}, not {wanted}")]
    Dtype {
        /// What was asked for.
        wanted: Dtype,
        /// What it has.
        found: Dtype,
    },
}

impl Tensor {
    /// A tensor of these numbers in C order: the last index runs fastest. An empty shape is a single number.
    ///
    /// # Errors
    ///
    /// If the shape has not as many places as there are numbers.
    pub fn new<T: Element>(shape: impl Into<Vec<usize>>, numbers: Vec<T>) -> Result<Self, TensorError> {
        let shape = shape.into();
        let wanted = places(&shape)?;
        if wanted != numbers.len() {
            return Err(TensorError::Count { shape, wanted, found: numbers.len() });
        }
        Ok(Self { shape: shape.into(), data: T::DTYPE.collect(numbers) })
    }

    /// A tensor of little-endian bytes.
    ///
    /// # Errors
    ///
    /// If they are not as many as the shape takes.
    pub fn from_le_bytes(
        dtype: Dtype,
        shape: impl Into<Vec<usize>>,
        bytes: &[u8],
    ) -> Result<Self, TensorError> {
        let shape = shape.into();
        let wanted =
            places(&shape)?.checked_mul(dtype.size()).ok_or_else(|| TensorError::TooLarge(shape.clone()))?;
        if wanted != bytes.len() {
            return Err(TensorError::Bytes { shape, dtype, wanted, found: bytes.len() });
        }
        let data = match dtype {
            Dtype::Float32 => Data::Float32(Arc::new(numbers(bytes))),
            Dtype::Float64 => Data::Float64(Arc::new(numbers(bytes))),
            Dtype::Int32 => Data::Int32(Arc::new(numbers(bytes))),
            Dtype::Int64 => Data::Int64(Arc::new(numbers(bytes))),
        };
        Ok(Self { shape: shape.into(), data })
    }

    /// How many places there are along each dimension.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of its numbers.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        match self.data {
            Data::Float32(_) => Dtype::Float32,
            Data::Float64(_) => Dtype::Float64,
            Data::Int32(_) => Dtype::Int32,
            Data::Int64(_) => Dtype::Int64,
        }
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        with_numbers!(&self.data, numbers => numbers.len())
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers where they are; nothing is copied.
    ///
    /// # Errors
    ///
    /// If they are of another type than `T`.
    pub fn view<T: Element>(&self) -> Result<ArrayViewD<'_, T>, TensorError> {
        let numbers = self.as_slice::<T>()?;
        // The shape and the count agree since the tensor was made.
        ArrayViewD::from_shape(IxDyn(&self.shape), numbers).map_err(|_| TensorError::Count {
            shape: self.shape.to_vec(),
            wanted: numbers.len(),
            found: numbers.len(),
        })
    }

    /// The numbers in C order, where they are.
    ///
    /// # Errors
    ///
    /// If they are of another type than `T`.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], TensorError> {
        if T::DTYPE != self.dtype() {
            return Err(TensorError::Dtype { wanted: T::DTYPE, found: self.dtype() });
        }
        Ok(bytemuck::cast_slice(self.as_bytes()))
    }

    /// The memory of the numbers, in the machine's byte order.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        with_numbers!(&self.data, numbers => bytemuck::cast_slice(numbers.as_slice()))
    }

    /// The numbers as little-endian bytes. On little-endian machines they are shared, not copied.
    #[must_use]
    pub fn to_le_bytes(&self) -> Bytes {
        if cfg!(target_endian = "little") {
            return Bytes::from_owner(self.clone());
        }
        with_numbers!(&self.data, numbers => {
            let swapped: Vec<_> = numbers.iter().map(|number| number.swapped()).collect();
            Bytes::copy_from_slice(bytemuck::cast_slice(&swapped))
        })
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }
}

impl AsRef<[u8]> for Tensor {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<T: Element, D: Dimension> From<Array<T, D>> for Tensor {
    /// Takes over the memory of an array in C order; any other is copied into that order.
    fn from(array: Array<T, D>) -> Self {
        let shape: Arc<[usize]> = array.shape().into();
        let numbers = if array.is_standard_layout() {
            let count = array.len();
            let (mut numbers, offset) = array.into_raw_vec_and_offset();
            numbers.drain(..offset.unwrap_or(0).min(numbers.len()));
            numbers.truncate(count);
            numbers
        } else {
            array.iter().copied().collect()
        };
        Self { shape, data: T::DTYPE.collect(numbers) }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The numbers may be millions.
        write!(f, "Tensor({} {:?})", self.dtype(), self.shape)
    }
}

impl Dtype {
    /// The numbers as the data of a tensor. They are of this type.
    fn collect<T: Element>(self, numbers: Vec<T>) -> Data {
        // The types are equal, so no cast changes anything, and `cast_vec` keeps the memory.
        match self {
            Self::Float32 => Data::Float32(Arc::new(bytemuck::allocation::cast_vec(numbers))),
            Self::Float64 => Data::Float64(Arc::new(bytemuck::allocation::cast_vec(numbers))),
            Self::Int32 => Data::Int32(Arc::new(bytemuck::allocation::cast_vec(numbers))),
            Self::Int64 => Data::Int64(Arc::new(bytemuck::allocation::cast_vec(numbers))),
        }
    }
}

/// How many places a shape has.
fn places(shape: &[usize]) -> Result<usize, TensorError> {
    let count = shape.iter().try_fold(1_usize, |count, dimension| count.checked_mul(*dimension));
    count.ok_or_else(|| TensorError::TooLarge(shape.to_vec()))
}

/// Little-endian bytes as numbers: one copy, into memory with the numbers' alignment.
pub(super) fn numbers<T: Element>(bytes: &[u8]) -> Vec<T> {
    let mut numbers: Vec<T> = vec![T::zeroed(); bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut::<T, u8>(&mut numbers).copy_from_slice(bytes);
    if cfg!(target_endian = "big") {
        numbers.iter_mut().for_each(|number| *number = number.swapped());
    }
    numbers
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn an_array_keeps_its_memory() {
        let array = Array2::from_shape_fn((100, 100), |(i, j)| (i * 100 + j) as f32);
        let before = array.as_ptr();
        let tensor = Tensor::from(array);
        assert_eq!(tensor.view::<f32>().unwrap().as_ptr(), before);
        assert_eq!(tensor.to_le_bytes().as_ptr().cast(), before);
    }

    #[test]
    fn a_transposed_or_sliced_array_is_put_in_order() {
        let transposed = array![[1, 2, 3], [4, 5, 6]].reversed_axes();
        assert_eq!(Tensor::from(transposed).as_slice::<i32>().unwrap(), [1, 4, 2, 5, 3, 6]);
        let mut sliced = array![1_i64, 2, 3, 4];
        sliced.slice_axis_inplace(ndarray::Axis(0), (1..3).into());
        assert_eq!(Tensor::from(sliced).as_slice::<i64>().unwrap(), [2, 3]);
    }

    #[test]
    fn bytes_come_back_as_the_same_tensor() {
        let tensor = Tensor::new([2, 1], vec![i64::MIN, 9_007_199_254_740_993]).unwrap();
        assert_eq!(Tensor::from_le_bytes(Dtype::Int64, [2, 1], &tensor.to_le_bytes()).unwrap(), tensor);
        let single = Tensor::new([], vec![2.5_f64]).unwrap();
        assert_eq!(Tensor::from_le_bytes(Dtype::Float64, [], &single.to_le_bytes()).unwrap(), single);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert!(matches!(
            Tensor::new([2, 2], vec![1.0_f32]),
            Err(TensorError::Count { wanted: 4, found: 1, .. })
        ));
        assert!(matches!(Tensor::new([usize::MAX, 2], vec![1_i32]), Err(TensorError::TooLarge(_))));
        let error = Tensor::from_le_bytes(Dtype::Float32, [2], &[0; 7]).unwrap_err();
        assert!(matches!(error, TensorError::Bytes { wanted: 8, found: 7, .. }), "{error}");
        let wrong = Tensor::new([1], vec![1_i32]).unwrap();
        assert!(matches!(wrong.view::<f32>(), Err(TensorError::Dtype { .. })));
    }
}
