//! The reader: a `serde` deserializer over a JSON document whose tags it resolves.
//!
//! Only documents with a tag, or with an error whose place is sought, come this way; plain ones go through
//! `serde_json` directly.

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::error::{Segment, WireError, WireErrorKind};
use super::tag::Tag;

/// `serde_json` asks for text that is JSON already under this name.
const RAW: &str = "$serde_json::private::RawValue";

/// Reads one value.
pub(super) struct Reader {
    value: Value,
}

impl Reader {
    pub(super) fn new(value: Value) -> Self {
        Self { value }
    }

    /// What the value stands for, where the target's type is known.
    fn resolve(self) -> Result<Resolved, WireError> {
        let resolved = match Tag::of(&self.value)? {
            None => None,
            Some(Tag::Float(value)) => Some(Resolved::Float(value)),
            Some(Tag::Int(digits)) => Some(Resolved::Int(digits.to_owned())),
            Some(Tag::Bytes(bytes)) => Some(Resolved::Bytes(bytes)),
            Some(Tag::Str(_)) => return Err(WireError::new(WireErrorKind::LoneSurrogate)),
            Some(Tag::Opaque { python_type, repr }) => {
                return Err(WireError::new(WireErrorKind::Opaque {
                    python_type: python_type.to_owned(),
                    repr: repr.to_owned(),
                }));
            }
            Some(Tag::Object(object)) => Some(Resolved::Plain(Value::Object(object.clone()))),
        };
        Ok(resolved.unwrap_or(Resolved::Plain(self.value)))
    }
}

/// A value without its tag.
enum Resolved {
    Plain(Value),
    Float(f64),
    Int(String),
    Bytes(Vec<u8>),
}

impl Resolved {
    /// Gives the visitor the value, whatever it expects; it makes the error where it expected something else.
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        match self {
            Resolved::Plain(value) => visit_plain(value, visitor),
            Resolved::Float(value) => visitor.visit_f64(value),
            Resolved::Int(digits) => visit_digits(&digits, visitor),
            Resolved::Bytes(bytes) => visitor.visit_byte_buf(bytes),
        }
    }
}

fn visit_digits<'de, V: Visitor<'de>>(digits: &str, visitor: V) -> Result<V::Value, WireError> {
    if let Ok(value) = digits.parse::<u64>() {
        visitor.visit_u64(value)
    } else if let Ok(value) = digits.parse::<i64>() {
        visitor.visit_i64(value)
    } else if let Ok(value) = digits.parse::<u128>() {
        visitor.visit_u128(value)
    } else if let Ok(value) = digits.parse::<i128>() {
        visitor.visit_i128(value)
    } else {
        Err(WireError::custom(format!("the integer {} does not fit into 128 bits", shortened(digits))))
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= 40 { text.to_owned() } else { format!("{}.. ({} digits)", &text[..20], text.len()) }
}

/// Everything but tags.
fn visit_plain<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, WireError> {
    match value {
        Value::Null => visitor.visit_unit(),
        Value::Bool(value) => visitor.visit_bool(value),
        Value::Number(number) => {
            if let Some(value) = number.as_u64() {
                visitor.visit_u64(value)
            } else if let Some(value) = number.as_i64() {
                visitor.visit_i64(value)
            } else if let Some(value) = number.as_f64() {
                visitor.visit_f64(value)
            } else {
                visit_digits(&number.to_string(), visitor)
            }
        }
        Value::String(text) => visitor.visit_string(text),
        Value::Array(items) => {
            let length = items.len();
            let mut items = Items { items: items.into_iter(), index: 0 };
            let result = visitor.visit_seq(&mut items)?;
            if items.items.len() > 0 {
                return Err(WireError::invalid_length(length, &"fewer elements"));
            }
            Ok(result)
        }
        Value::Object(object) => {
            let length = object.len();
            let mut entries = Entries { entries: object.into_iter(), current: None };
            let result = visitor.visit_map(&mut entries)?;
            if entries.entries.len() > 0 {
                return Err(WireError::invalid_length(length, &"fewer entries"));
            }
            Ok(result)
        }
    }
}

macro_rules! typed {
    ($($method:ident)+) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
                self.resolve()?.visit(visitor)
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Reader {
    type Error = WireError;

    typed! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_char deserialize_str deserialize_string
        deserialize_unit deserialize_map deserialize_identifier
    }

    /// The target takes anything: tags stay visible, except around real objects.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        match Tag::of(&self.value)? {
            Some(Tag::Object(object)) => visit_plain(Value::Object(object.clone()), visitor),
            Some(_) => visit_verbatim(self.value, visitor),
            None => visit_plain(self.value, visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        match self.resolve()? {
            // A wide integer is a float too, as near as a float comes.
            Resolved::Int(digits) => match digits.parse() {
                Ok(value) => visitor.visit_f64(value),
                Err(_) => visit_digits(&digits, visitor),
            },
            other => other.visit(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        self.resolve()?.visit(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        self.resolve()?.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        self.resolve()?.visit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        if name == RAW {
            let text = self.value.to_string();
            return visitor.visit_map(serde::de::value::MapDeserializer::new(std::iter::once((RAW, text))));
        }
        visitor.visit_newtype_struct(self)
    }

    /// `Vec<u8>` is a sequence to serde, and bytes to people.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        match self.resolve()? {
            Resolved::Bytes(bytes) => {
                visitor.visit_seq(serde::de::value::SeqDeserializer::<_, WireError>::new(bytes.into_iter()))
            }
            other => other.visit(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, WireError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WireError> {
        self.resolve()?.visit(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WireError> {
        match self.resolve()? {
            Resolved::Plain(Value::String(variant)) => visitor.visit_enum(Variant { variant, content: None }),
            Resolved::Plain(Value::Object(object)) => {
                let mut entries = object.into_iter();
                match (entries.next(), entries.next()) {
                    (Some((variant, content)), None) => {
                        visitor.visit_enum(Variant { variant, content: Some(content) })
                    }
                    _ => Err(WireError::invalid_value(
                        Unexpected::Map,
                        &"an object with the variant as its only key",
                    )),
                }
            }
            other => other.visit(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        visitor.visit_unit()
    }
}

/// A tag as the object that it is on the wire.
fn visit_verbatim<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, WireError> {
    match value {
        Value::Object(tag) => visitor.visit_map(serde::de::value::MapDeserializer::<_, WireError>::new(
            tag.into_iter().map(|(key, value)| (key, Verbatim(value))),
        )),
        value => visit_plain(value, visitor),
    }
}

/// The inside of a tag, which is no place for tags.
struct Verbatim(Value);

impl<'de> IntoDeserializer<'de, WireError> for Verbatim {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Verbatim {
    type Error = WireError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        self.0.deserialize_any(visitor).map_err(WireError::custom)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for &mut Items {
    type Error = WireError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, WireError> {
        let Some(value) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Reader::new(value)).map(Some).map_err(|error| error.within(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries {
    entries: serde_json::map::IntoIter,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for &mut Entries {
    type Error = WireError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, WireError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.current = Some((key.clone(), value));
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, WireError> {
        let (key, value) =
            self.current.take().ok_or_else(|| WireError::custom("a value was asked for before its key"))?;
        seed.deserialize(Reader::new(value)).map_err(|error| error.within(Segment::Key(key)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A key: a text, or a number or boolean written as one.
struct Key(String);

macro_rules! parsed_key {
    ($($method:ident $visit:ident)+) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
                match self.0.parse() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(WireError::invalid_type(Unexpected::Str(&self.0), &visitor)),
                }
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Key {
    type Error = WireError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        visitor.visit_string(self.0)
    }

    parsed_key! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_i128 visit_i128
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_u128 visit_u128
        deserialize_f32 visit_f32
        deserialize_f64 visit_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WireError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, WireError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WireError> {
        let text: StringDeserializer<WireError> = self.0.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Variant {
    variant: String,
    content: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = WireError;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content), WireError> {
        let content = Content { variant: self.variant.clone(), content: self.content };
        seed.deserialize(Key(self.variant)).map(|variant| (variant, content))
    }
}

struct Content {
    variant: String,
    content: Option<Value>,
}

impl Content {
    fn take(self, expected: &str) -> Result<(Segment, Reader), WireError> {
        match self.content {
            Some(value) => Ok((Segment::Key(self.variant), Reader::new(value))),
            None => Err(WireError::custom(format!("the variant {:?} needs {expected}", self.variant))),
        }
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = WireError;

    fn unit_variant(self) -> Result<(), WireError> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(WireError::custom(format!("the variant {:?} has no content", self.variant))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, WireError> {
        let (segment, reader) = self.take("a value")?;
        seed.deserialize(reader).map_err(|error| error.within(segment))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, WireError> {
        let (segment, reader) = self.take("a list")?;
        reader.deserialize_seq(visitor).map_err(|error| error.within(segment))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WireError> {
        let (segment, reader) = self.take("an object")?;
        reader.deserialize_map(visitor).map_err(|error| error.within(segment))
    }
}
