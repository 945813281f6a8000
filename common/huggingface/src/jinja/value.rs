//! Values of a template: Python's.

use super::budget::Budget;
use super::fault::{fault, Res};
use super::objects::Object;
use super::text::{float_text, push_repr};
use indexmap::{Equivalent, IndexMap};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

pub type Dict = IndexMap<Key, Value>;

#[derive(Clone)]
pub enum Value {
    /// What is not there, and what is said of it where it is used.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    Int(i64),
    /// Outside of an `Int`'s range.
    Big(Rc<BigInt>),
    Float(f64),
    Text(Rc<str>),
    /// A text that is not to be escaped any more.
    Markup(Rc<str>),
    List(Rc<Vec<Value>>),
    Tuple(Rc<Vec<Value>>),
    Dict(Rc<Dict>),
    Range(Rc<Range>),
    View(View, Rc<Dict>),
    /// Gives its items once.
    Iterator(Rc<Stream>),
    Object(Rc<Object>),
}

#[derive(Clone, Copy, PartialEq)]
pub enum View {
    Keys,
    Values,
    Items,
}

pub struct Range {
    pub start: i64,
    pub step: i64,
    pub stop: i64,
    pub length: usize,
}

impl Range {
    pub fn at(&self, place: usize) -> Value {
        Value::Int(self.start + self.step * place as i64)
    }
}

pub struct Stream {
    pub name: &'static str,
    pub items: RefCell<VecDeque<Value>>,
}

/// A value that can be a dictionary's key.
#[derive(Clone)]
pub struct Key(Value);

impl Key {
    /// Refuses what Python cannot hash. Pays for hashing.
    pub fn new(value: Value, budget: &Budget) -> Res<Key> {
        check_hashable(&value, budget)?;
        Ok(Key(value))
    }

    pub fn text(text: impl Into<Rc<str>>) -> Key {
        Key(Value::Text(text.into()))
    }

    pub fn value(&self) -> &Value {
        &self.0
    }
}

fn check_hashable(value: &Value, budget: &Budget) -> Res<()> {
    budget.spend(1)?;
    match value {
        Value::List(_) | Value::Dict(_) => fault(format!("unhashable type: '{}'", value.type_name())),
        Value::Tuple(items) => items.iter().try_for_each(|item| check_hashable(item, budget)),
        Value::Text(text) | Value::Markup(text) => budget.spend_bytes(text.len()),
        _ => Ok(()),
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        super::comparison::keys_are_equal(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_value(&self.0, state);
    }
}

fn hash_value<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Text(text) | Value::Markup(text) => text.hash(state),
        Value::Bool(flag) => i64::from(*flag).hash(state),
        Value::Int(number) => number.hash(state),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e18 => (*number as i64).hash(state),
        Value::Float(number) => number.to_bits().hash(state),
        Value::Tuple(items) => items.iter().for_each(|item| hash_value(item, state)),
        Value::None => 0.hash(state),
        _ => 1.hash(state),
    }
}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        key.0.as_str() == Some(self)
    }
}

impl From<BigInt> for Value {
    fn from(number: BigInt) -> Self {
        number.to_i64().map_or_else(|| Value::Big(Rc::new(number)), Value::Int)
    }
}

impl Value {
    pub fn text(text: impl Into<Rc<str>>) -> Value {
        Value::Text(text.into())
    }

    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Rc::new(items))
    }

    pub fn tuple(items: Vec<Value>) -> Value {
        Value::Tuple(Rc::new(items))
    }

    pub fn int(number: usize) -> Value {
        Value::Int(number as i64)
    }

    pub fn iterator(name: &'static str, items: Vec<Value>) -> Value {
        Value::Iterator(Rc::new(Stream { name, items: RefCell::new(items.into()) }))
    }

    pub fn undefined(what: impl Into<Rc<str>>) -> Value {
        Value::Undefined(what.into())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Markup(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined(_))
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "Undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Big(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::Markup(_) => "Markup",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Range(_) => "range",
            Value::View(View::Keys, _) => "dict_keys",
            Value::View(View::Values, _) => "dict_values",
            Value::View(View::Items, _) => "dict_items",
            Value::Iterator(_) => "generator",
            Value::Object(object) => object.type_name(),
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(flag) => *flag,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Big(_) | Value::Iterator(_) | Value::Object(_) => true,
            _ => self.len() != Some(0),
        }
    }

    pub fn len(&self) -> Option<usize> {
        Some(match self {
            Value::Undefined(_) => 0,
            Value::Text(text) | Value::Markup(text) => super::text::char_len(text),
            Value::List(items) | Value::Tuple(items) => items.len(),
            Value::Dict(dict) | Value::View(_, dict) => dict.len(),
            Value::Range(range) => range.length,
            Value::Object(object) => return object.len(),
            _ => return None,
        })
    }

    /// An integer; a bool is one in Python.
    pub fn as_big(&self) -> Option<BigInt> {
        match self {
            Value::Bool(flag) => Some(BigInt::from(i64::from(*flag))),
            Value::Int(number) => Some(BigInt::from(*number)),
            Value::Big(number) => Some((**number).clone()),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Bool(flag) => Some(i64::from(*flag)),
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// As `as_i64`, with what is larger at the ends of the range.
    pub fn as_clamped(&self) -> Option<i64> {
        match self {
            Value::Big(number) => Some(if number.is_negative() { i64::MIN } else { i64::MAX }),
            other => other.as_i64(),
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Big(number) => number.to_f64(),
            other => other.as_i64().map(|number| number as f64),
        }
    }

    /// All that an iteration gives; an iterator is empty afterwards.
    pub fn items(&self, budget: &Budget) -> Res<Vec<Value>> {
        budget.spend_items(self.len().unwrap_or_default())?;
        Ok(match self {
            Value::Undefined(_) => Vec::new(),
            Value::Text(text) | Value::Markup(text) => {
                text.chars().map(|c| Value::text(&*c.encode_utf8(&mut [0; 4]))).collect()
            }
            Value::List(items) | Value::Tuple(items) => items.to_vec(),
            Value::Dict(dict) | Value::View(View::Keys, dict) => dict.keys().map(|key| key.0.clone()).collect(),
            Value::View(View::Values, dict) => dict.values().cloned().collect(),
            Value::View(View::Items, dict) => {
                dict.iter().map(|(key, value)| Value::tuple(vec![key.0.clone(), value.clone()])).collect()
            }
            Value::Range(range) => (0..range.length).map(|place| range.at(place)).collect(),
            Value::Iterator(iterator) => iterator.items.take().into(),
            Value::Object(object) => return object.items(self),
            _ => return fault(format!("'{}' object is not iterable", self.type_name())),
        })
    }

    pub fn is_iterable(&self) -> bool {
        match self {
            Value::Object(object) => object.is_iterable(),
            Value::Iterator(_) => true,
            other => other.len().is_some(),
        }
    }

    /// Python's `str`.
    pub fn to_text(&self, budget: &Budget) -> Res<Rc<str>> {
        match self {
            Value::Text(text) | Value::Markup(text) => Ok(text.clone()),
            other => {
                let mut text = String::new();
                other.push_text(&mut text, budget)?;
                Ok(text.into())
            }
        }
    }

    pub fn push_text(&self, into: &mut String, budget: &Budget) -> Res<()> {
        match self {
            Value::Undefined(_) => Ok(()),
            Value::Text(text) | Value::Markup(text) => {
                budget.spend_bytes(text.len())?;
                into.push_str(text);
                Ok(())
            }
            other => other.push_repr(into, budget),
        }
    }

    /// Python's `repr`.
    pub fn push_repr(&self, into: &mut String, budget: &Budget) -> Res<()> {
        budget.spend(1)?;
        match self {
            Value::Undefined(_) => into.push_str("Undefined"),
            Value::None => into.push_str("None"),
            Value::Bool(flag) => into.push_str(if *flag { "True" } else { "False" }),
            Value::Int(number) => into.push_str(&number.to_string()),
            Value::Big(number) => into.push_str(&big_text(number, budget)?),
            Value::Float(number) => into.push_str(&float_text(*number)),
            Value::Text(text) => {
                budget.spend_bytes(4 * text.len())?;
                push_repr(into, text, false);
            }
            Value::Markup(text) => {
                budget.spend_bytes(4 * text.len())?;
                into.push_str("Markup(");
                push_repr(into, text, false);
                into.push(')');
            }
            Value::List(items) => push_items(into, "[", items, "]", budget)?,
            Value::Tuple(items) => push_items(into, "(", items, if items.len() == 1 { ",)" } else { ")" }, budget)?,
            Value::Dict(dict) => push_dict(into, dict, budget)?,
            Value::Range(range) => {
                into.push_str(&format!("range({}, {}", range.start, range.stop));
                into.push_str(&if range.step == 1 { ")".into() } else { format!(", {})", range.step) });
            }
            Value::View(..) => {
                into.push_str(self.type_name());
                push_items(into, "([", &self.items(budget)?, "])", budget)?;
            }
            Value::Iterator(iterator) => into.push_str(&format!("<{}>", iterator.name)),
            Value::Object(object) => object.push_repr(into, budget)?,
        }
        Ok(())
    }
}

pub fn big_text(number: &BigInt, budget: &Budget) -> Res<String> {
    // Python's own limit for such a text, for the same reason: the time it takes.
    const MOST_BITS: u64 = 14_284;
    budget.spend(number.bits() / 64)?;
    if number.bits() > MOST_BITS {
        return fault("Exceeds the limit (4300 digits) for integer string conversion");
    }
    Ok(number.to_string())
}

fn push_items(into: &mut String, begin: &str, items: &[Value], end: &str, budget: &Budget) -> Res<()> {
    into.push_str(begin);
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            into.push_str(", ");
        }
        item.push_repr(into, budget)?;
    }
    into.push_str(end);
    Ok(())
}

pub fn push_dict(into: &mut String, dict: &Dict, budget: &Budget) -> Res<()> {
    into.push('{');
    for (place, (key, value)) in dict.iter().enumerate() {
        if place > 0 {
            into.push_str(", ");
        }
        key.0.push_repr(into, budget)?;
        into.push_str(": ");
        value.push_repr(into, budget)?;
    }
    into.push('}');
    Ok(())
}
