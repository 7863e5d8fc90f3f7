//! Keys of objects: `serde` types that are keys of a map, as texts.

use serde::ser::{self, Impossible, Serialize};

use super::error::WireError;

/// Makes the text of an object's key, as `serde_json` does: texts, whole numbers, booleans and finite floats.
pub(super) struct KeyWriter;

fn no_key<T>() -> Result<T, WireError> {
    Err(ser::Error::custom("the key of a map must be a text, a number or a boolean"))
}

impl ser::Serializer for KeyWriter {
    type Ok = String;
    type Error = WireError;
    type SerializeSeq = Impossible<String, WireError>;
    type SerializeTuple = Impossible<String, WireError>;
    type SerializeTupleStruct = Impossible<String, WireError>;
    type SerializeTupleVariant = Impossible<String, WireError>;
    type SerializeMap = Impossible<String, WireError>;
    type SerializeStruct = Impossible<String, WireError>;
    type SerializeStructVariant = Impossible<String, WireError>;

    fn serialize_bool(self, value: bool) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_i8(self, value: i8) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_i16(self, value: i16) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_i32(self, value: i32) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_i64(self, value: i64) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_i128(self, value: i128) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_u8(self, value: u8) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_u16(self, value: u16) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_u32(self, value: u32) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_u64(self, value: u64) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_u128(self, value: u128) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_f32(self, value: f32) -> Result<String, WireError> {
        if value.is_finite() { finite_key(&value) } else { no_key() }
    }

    fn serialize_f64(self, value: f64) -> Result<String, WireError> {
        if value.is_finite() { finite_key(&value) } else { no_key() }
    }

    fn serialize_char(self, value: char) -> Result<String, WireError> {
        Ok(value.to_string())
    }

    fn serialize_str(self, value: &str) -> Result<String, WireError> {
        Ok(value.to_owned())
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<String, WireError> {
        no_key()
    }

    fn serialize_none(self) -> Result<String, WireError> {
        no_key()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, WireError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, WireError> {
        no_key()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<String, WireError> {
        no_key()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<String, WireError> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<String, WireError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<String, WireError> {
        no_key()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self::SerializeSeq, WireError> {
        no_key()
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple, WireError> {
        no_key()
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct, WireError> {
        no_key()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, WireError> {
        no_key()
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, WireError> {
        no_key()
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStruct, WireError> {
        no_key()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, WireError> {
        no_key()
    }
}

fn finite_key<T: Serialize>(value: &T) -> Result<String, WireError> {
    serde_json::to_string(value).map_err(ser::Error::custom)
}
