//! The writer: JSON straight into a buffer, with tags for what JSON cannot hold.
//!
//! `serde_json` writes NaN as `null` and refuses wide integers in some positions, without a hook for either. JSON is
//! small enough to write directly; texts and finite numbers still go through `serde_json`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{self, Serialize};

use super::error::{Segment, WireError, WireErrorKind};
use super::key::KeyWriter;
use super::tag::float_name;
use super::{MAX_DEPTH, TAG};

/// `serde_json` passes a number of arbitrary precision, or text that is JSON already, as a struct of this name.
const NUMBER: &str = "$serde_json::private::Number";
const RAW: &str = "$serde_json::private::RawValue";

/// Writes one value at the end of the buffer.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, depth: 0 }
    }

    fn raw(self, text: &str) -> Result<(), WireError> {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn plain<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WireError> {
        write_plain(self.out, value)
    }

    fn tag(self, kind: &str, payload: &str) -> Result<(), WireError> {
        self.raw(&format!("{{\"{TAG}\":[\"{kind}\",\"{payload}\"]}}"))
    }

    fn nested(self, open: &str, close: &'static str) -> Result<Compound<'a>, WireError> {
        if self.depth >= MAX_DEPTH {
            return Err(WireError::new(WireErrorKind::TooDeep));
        }
        let start = self.out.len();
        self.out.extend_from_slice(open.as_bytes());
        Ok(Compound {
            out: self.out,
            depth: self.depth + 1,
            start,
            count: 0,
            close,
            key: None,
            tagged: false,
        })
    }

    /// `{"variant":` and then what `open` begins.
    fn variant(self, variant: &str, open: &str, close: &'static str) -> Result<Compound<'a>, WireError> {
        self.out.push(b'{');
        write_plain(self.out, variant)?;
        self.out.push(b':');
        // The enum's own object is one level, the content another.
        Writer { out: self.out, depth: self.depth + 1 }.nested(open, close)
    }
}

fn write_plain<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), WireError> {
    serde_json::to_writer(out, value).map_err(ser::Error::custom)
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = WireError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Struct<'a>;
    type SerializeStructVariant = Compound<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), WireError> {
        self.raw(if value { "true" } else { "false" })
    }

    fn serialize_i8(self, value: i8) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_i128(self, value: i128) -> Result<(), WireError> {
        if i64::try_from(value).is_ok() || u64::try_from(value).is_ok() {
            self.raw(&value.to_string())
        } else {
            self.tag("int", &value.to_string())
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_u128(self, value: u128) -> Result<(), WireError> {
        if u64::try_from(value).is_ok() {
            self.raw(&value.to_string())
        } else {
            self.tag("int", &value.to_string())
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), WireError> {
        match float_name(f64::from(value)) {
            Some(name) => self.tag("float", name),
            None => self.plain(&value),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<(), WireError> {
        match float_name(value) {
            Some(name) => self.tag("float", name),
            None => self.plain(&value),
        }
    }

    fn serialize_char(self, value: char) -> Result<(), WireError> {
        self.plain(&value)
    }

    fn serialize_str(self, value: &str) -> Result<(), WireError> {
        self.plain(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), WireError> {
        self.tag("bytes", &STANDARD.encode(value))
    }

    fn serialize_none(self) -> Result<(), WireError> {
        self.raw("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WireError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), WireError> {
        self.raw("null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), WireError> {
        self.raw("null")
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), WireError> {
        self.plain(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), WireError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), WireError> {
        let mut map = self.nested("{", "}")?;
        map.entry(variant, value)?;
        map.finish()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Compound<'a>, WireError> {
        self.nested("[", "]")
    }

    fn serialize_tuple(self, _length: usize) -> Result<Compound<'a>, WireError> {
        self.nested("[", "]")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Compound<'a>, WireError> {
        self.nested("[", "]")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'a>, WireError> {
        self.variant(variant, "[", "]}")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Compound<'a>, WireError> {
        self.nested("{", "}")
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Struct<'a>, WireError> {
        match name {
            NUMBER | RAW => Ok(Struct::Verbatim(self.out)),
            _ => self.nested("{", "}").map(Struct::Object),
        }
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'a>, WireError> {
        self.variant(variant, "{", "}}")
    }
}

/// An array or object under construction.
pub(super) struct Compound<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
    start: usize,
    count: usize,
    close: &'static str,
    /// The key whose value comes next, for the path of an error.
    key: Option<String>,
    /// The first key is `$dspex`: with no second one, the object must be escaped.
    tagged: bool,
}

impl Compound<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WireError> {
        if self.count > 0 {
            self.out.push(b',');
        }
        let index = self.count;
        self.count += 1;
        let writer = Writer { out: self.out, depth: self.depth };
        value.serialize(writer).map_err(|error| error.within(Segment::Index(index)))
    }

    fn begin_key(&mut self, key: &str) -> Result<(), WireError> {
        if self.count > 0 {
            self.out.push(b',');
        }
        if self.count == 0 && key == TAG {
            self.tagged = true;
            self.depth += 2; // the levels that escaping adds
        }
        self.count += 1;
        write_plain(self.out, key)?;
        self.out.push(b':');
        Ok(())
    }

    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), WireError> {
        self.begin_key(key)?;
        let writer = Writer { out: self.out, depth: self.depth };
        value.serialize(writer).map_err(|error| error.within(Segment::Key(key.to_owned())))
    }

    fn finish(self) -> Result<(), WireError> {
        self.out.extend_from_slice(self.close.as_bytes());
        if self.tagged && self.count == 1 {
            let object = self.out.split_off(self.start);
            // A struct variant's object starts after its own name, and closes with two braces.
            let (object, rest) = object.split_at(object.len() + 1 - self.close.len());
            self.out.extend_from_slice(format!("{{\"{TAG}\":[\"object\",").as_bytes());
            self.out.extend_from_slice(object);
            self.out.extend_from_slice(b"]}");
            self.out.extend_from_slice(rest);
        }
        Ok(())
    }
}

impl ser::SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = WireError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WireError> {
        self.element(value)
    }

    fn end(self) -> Result<(), WireError> {
        self.finish()
    }
}

impl ser::SerializeTuple for Compound<'_> {
    type Ok = ();
    type Error = WireError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WireError> {
        self.element(value)
    }

    fn end(self) -> Result<(), WireError> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Compound<'_> {
    type Ok = ();
    type Error = WireError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WireError> {
        self.element(value)
    }

    fn end(self) -> Result<(), WireError> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Compound<'_> {
    type Ok = ();
    type Error = WireError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WireError> {
        self.element(value)
    }

    fn end(self) -> Result<(), WireError> {
        self.finish()
    }
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = WireError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WireError> {
        let key = key.serialize(KeyWriter)?;
        self.begin_key(&key)?;
        self.key = Some(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WireError> {
        let key = self.key.take().unwrap_or_default();
        let writer = Writer { out: self.out, depth: self.depth };
        value.serialize(writer).map_err(|error| error.within(Segment::Key(key)))
    }

    fn end(self) -> Result<(), WireError> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Compound<'_> {
    type Ok = ();
    type Error = WireError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WireError> {
        self.entry(key, value)
    }

    fn end(self) -> Result<(), WireError> {
        self.finish()
    }
}

/// A struct: an object, or one of `serde_json`'s own.
pub(super) enum Struct<'a> {
    Object(Compound<'a>),
    Verbatim(&'a mut Vec<u8>),
}

impl ser::SerializeStruct for Struct<'_> {
    type Ok = ();
    type Error = WireError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WireError> {
        match self {
            Struct::Object(object) => object.entry(key, value),
            Struct::Verbatim(out) => {
                let text = value.serialize(KeyWriter)?;
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }

    fn end(self) -> Result<(), WireError> {
        match self {
            Struct::Object(object) => object.finish(),
            Struct::Verbatim(_) => Ok(()),
        }
    }
}
