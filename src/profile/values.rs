//! Values that TOML spells in more than one way.
//!
//! No untagged enums: their errors would not say what was expected.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use toml::Spanned;

/// An error's name or its number.
pub(crate) enum Errno {
    Name(String),
    Number(i64),
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Errno;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an error's name such as \"EPERM\", or its number")
            }

            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Errno, E> {
                Ok(Errno::Number(v))
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Errno, E> {
                Ok(Errno::Name(v.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A list of names, or a table from a machine's own architecture to those beside it.
pub(crate) enum Architectures {
    List(Vec<Spanned<String>>),
    Map(BTreeMap<Spanned<String>, Vec<Spanned<String>>>),
}

impl<'de> Deserialize<'de> for Architectures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Architectures;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of architectures, or a table of lists")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Architectures, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Architectures::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Architectures, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(Architectures::Map)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// TOML's integers end at 2^63 - 1: a greater one is written as a string.
pub(crate) struct Number(pub(crate) u64);

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number of 0 or more, as a string where it has 64 bits")
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Number, E> {
        u64::try_from(v).map(Number).map_err(|_| E::invalid_value(Unexpected::Signed(v), &self))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Number, E> {
        let digits = v.replace('_', "");
        let parsed = match digits.strip_prefix("0x") {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
            None => digits.parse(),
        };
        parsed.map(Number).map_err(|_| E::invalid_value(Unexpected::Str(v), &self))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// One number or several.
pub(crate) struct Values(pub(crate) Vec<u64>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Values;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of 0 or more, or a list of them")
            }

            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Values, E> {
                NumberVisitor.visit_i64(v).map(|v| Values(vec![v.0]))
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Values, E> {
                NumberVisitor.visit_str(v).map(|v| Values(vec![v.0]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(Number(v)) = seq.next_element()? {
                    values.push(v);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

/// `core = 0`, `core = "unlimited"`, or `nofile = { soft = 1024, hard = 4096 }`.
pub(crate) struct Limit {
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Amount(#[serde(deserialize_with = "amount")] Option<u64>);

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number of 0 or more, or \"unlimited\"")
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Option<u64>, E> {
        u64::try_from(v).map(Some).map_err(|_| E::invalid_value(Unexpected::Signed(v), &self))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Option<u64>, E> {
        if v == "unlimited" { Ok(None) } else { Err(E::invalid_value(Unexpected::Str(v), &self)) }
    }
}

fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(AmountVisitor)
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Limit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of 0 or more, \"unlimited\", or { soft = …, hard = … }")
            }

            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Limit, E> {
                AmountVisitor.visit_i64(v).map(|v| Limit { soft: v, hard: v })
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Limit, E> {
                AmountVisitor.visit_str(v).map(|v| Limit { soft: v, hard: v })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Limit, A::Error> {
                let (mut soft, mut hard) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "soft" => soft = Some(map.next_value::<Amount>()?.0),
                        "hard" => hard = Some(map.next_value::<Amount>()?.0),
                        other => return Err(A::Error::unknown_field(other, &["soft", "hard"])),
                    }
                }
                Ok(Limit {
                    soft: soft.ok_or_else(|| A::Error::missing_field("soft"))?,
                    hard: hard.ok_or_else(|| A::Error::missing_field("hard"))?,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}
