//! `value.name`, `value[key]` and slices, by the rules of Jinja2's sandbox.

use super::budget::Budget;
use super::fault::{fault, Res};
use super::objects::Object;
use super::text::{byte_of, char_len};
use super::value::{Key, Value};
use std::rc::Rc;

const TEXT_METHODS: &[&str] = &[
    "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map", "index",
    "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace",
    "istitle", "isupper", "join", "ljust", "lower", "lstrip", "maketrans", "partition", "removeprefix", "removesuffix",
    "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip",
    "swapcase", "title", "translate", "upper", "zfill", "striptags", "unescape",
];
const LIST_METHODS: &[&str] = &["copy", "count", "index"];
const DICT_METHODS: &[&str] = &["copy", "fromkeys", "get", "items", "keys", "values"];
const INTEGER_METHODS: &[&str] = &["as_integer_ratio", "bit_count", "bit_length", "conjugate", "is_integer"];

/// What would change a value, which templates may not.
const LIST_CHANGES: &[&str] = &["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const DICT_CHANGES: &[&str] = &["clear", "pop", "popitem", "setdefault", "update"];

fn methods(value: &Value) -> (&'static [&'static str], &'static [&'static str]) {
    match value {
        Value::Text(_) => (&TEXT_METHODS[..TEXT_METHODS.len() - 2], &[]),
        Value::Markup(_) => (TEXT_METHODS, &[]),
        Value::List(_) => (LIST_METHODS, LIST_CHANGES),
        Value::Tuple(_) | Value::Range(_) => (&LIST_METHODS[1..], &[]),
        Value::Dict(_) => (DICT_METHODS, DICT_CHANGES),
        Value::Bool(_) | Value::Int(_) | Value::Big(_) => (INTEGER_METHODS, &[]),
        Value::Float(_) => (&["as_integer_ratio", "conjugate", "hex", "is_integer"], &[]),
        _ => (&[], &[]),
    }
}

/// Python's `getattr`, as far as templates may see: a method or a field.
pub fn own_attribute(value: &Value, name: &str) -> Option<Value> {
    if let Value::Object(object) = value {
        let method = || object.method(name).map(|name| Value::Object(Rc::new(Object::Method(value.clone(), name))));
        return object.attribute(name).or_else(method);
    }
    let (safe, changes) = methods(value);
    if let Some(name) = safe.iter().copied().find(|own| *own == name) {
        return Some(Value::Object(Rc::new(Object::Method(value.clone(), name))));
    }
    if changes.contains(&name) || name.starts_with("__") {
        let what = format!("access to attribute '{name}' of '{}' object is unsafe.", value.type_name());
        return Some(Value::undefined(what));
    }
    match (value, name) {
        // Of what groupby gives.
        (Value::Tuple(items), "grouper" | "list") if items.len() == 2 => Some(items[usize::from(name == "list")].clone()),
        (Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_), "real" | "numerator") => Some(value.clone()),
        (Value::Bool(_) | Value::Int(_) | Value::Big(_), "denominator") => Some(Value::Int(1)),
        (Value::Bool(_) | Value::Int(_) | Value::Big(_), "imag") => Some(Value::Int(0)),
        (Value::Float(_), "imag") => Some(Value::Float(0.0)),
        (Value::Range(range), "start") => Some(Value::Int(range.start)),
        (Value::Range(range), "stop") => Some(Value::Int(range.stop)),
        (Value::Range(range), "step") => Some(Value::Int(range.step)),
        _ => None,
    }
}

/// `value.name`
pub fn attribute(value: &Value, name: &str) -> Res<Value> {
    if let Value::Undefined(what) = value {
        return fault(&**what);
    }
    if let Some(found) = own_attribute(value, name) {
        return Ok(found);
    }
    if let Value::Dict(dict) = value {
        if let Some(found) = dict.get(name) {
            return Ok(found.clone());
        }
    }
    Ok(Value::undefined(format!("'{}' has no attribute '{name}'", described(value))))
}

/// `value[key]`
pub fn item(value: &Value, key: &Value, budget: &Budget) -> Res<Value> {
    if let Some(found) = own_item(value, key, budget)? {
        return Ok(found);
    }
    let Some(name) = key.as_str() else {
        let mut text = String::new();
        key.push_repr(&mut text, budget)?;
        return Ok(Value::undefined(format!("{} has no element {text}", described(value))));
    };
    if let Some(found) = own_attribute(value, name) {
        return Ok(found);
    }
    Ok(Value::undefined(format!("'{}' has no attribute '{name}'", described(value))))
}

fn described(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        other => format!("{} object", other.type_name()),
    }
}

fn own_item(value: &Value, key: &Value, budget: &Budget) -> Res<Option<Value>> {
    if let Value::Undefined(what) = value {
        return fault(&**what);
    }
    if let Value::Dict(dict) = value {
        let Ok(key) = Key::new(key.clone(), budget) else { return Ok(None) };
        return Ok(dict.get(&key).cloned());
    }
    let (Some(place), Some(length)) = (key.as_i64(), value.len()) else { return Ok(None) };
    let place = if place < 0 { place.saturating_add(length as i64) } else { place };
    let Some(place) = usize::try_from(place).ok().filter(|place| *place < length) else { return Ok(None) };
    Ok(match value {
        Value::Text(text) | Value::Markup(text) => {
            budget.spend_bytes(text.len())?;
            let begin = byte_of(text, place);
            text[begin..].chars().next().map(|c| Value::text(&*c.encode_utf8(&mut [0; 4])))
        }
        Value::List(items) | Value::Tuple(items) => Some(items[place].clone()),
        Value::Range(range) => Some(range.at(place)),
        _ => None,
    })
}

/// `value[start:stop:step]`; where a value has no slices, nothing is there.
pub fn slice(value: &Value, [start, stop, step]: &[Value; 3], budget: &Budget) -> Res<Value> {
    let Some(length) = value.len().filter(|_| {
        matches!(value, Value::Text(_) | Value::Markup(_) | Value::List(_) | Value::Tuple(_) | Value::Range(_))
    }) else {
        return match value {
            Value::Undefined(what) => fault(&**what),
            _ => Ok(Value::undefined(format!("{} has no element slice(...)", described(value)))),
        };
    };
    let bound = |value: &Value| match value {
        Value::None => Ok(None),
        other => match other.as_clamped() {
            Some(number) => Ok(Some(number)),
            None => Err(()),
        },
    };
    let (Ok(start), Ok(stop), Ok(step)) = (bound(start), bound(stop), bound(step)) else {
        return Ok(Value::undefined(format!("{} has no element slice(...)", described(value))));
    };
    let step = step.unwrap_or(1);
    if step == 0 {
        return fault("slice step cannot be zero");
    }
    let places = places(start, stop, step, length as i64);
    budget.spend_items(places.len())?;
    Ok(match value {
        Value::Text(text) | Value::Markup(text) => {
            budget.spend_bytes(text.len())?;
            super::arithmetic::like(value, text_slice(text, &places, step))
        }
        Value::List(items) => Value::list(places.iter().map(|place| items[*place].clone()).collect()),
        Value::Tuple(items) => Value::tuple(places.iter().map(|place| items[*place].clone()).collect()),
        Value::Range(range) => Value::list(places.iter().map(|place| range.at(*place)).collect()),
        _ => Value::None,
    })
}

fn text_slice(text: &str, places: &[usize], step: i64) -> String {
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return String::new() };
    if step == 1 {
        return text[byte_of(text, *first)..byte_of(text, last + 1)].to_string();
    }
    let characters: Vec<char> = text.chars().collect();
    places.iter().map(|place| characters[*place]).collect()
}

/// Python's `slice.indices`, counted out.
fn places(start: Option<i64>, stop: Option<i64>, step: i64, length: i64) -> Vec<usize> {
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(low, high);
    let (first, end) = if step > 0 { (low, high) } else { (high, low) };
    let (mut at, stop) = (start.map_or(first, clamp), stop.map_or(end, clamp));
    let mut places = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        places.push(at as usize);
        at = at.saturating_add(step);
    }
    places
}

/// Where a search from `start` to `stop` looks: characters of a text, items of a list.
pub fn bounds(start: Option<i64>, stop: Option<i64>, length: usize) -> (usize, usize) {
    let length = length as i64;
    let clamp = |bound: i64| (if bound < 0 { bound.saturating_add(length) } else { bound }).max(0);
    (start.map_or(0, clamp) as usize, stop.map_or(length, clamp).min(length) as usize)
}

/// Part of a text, by characters; None where it begins behind its end.
pub fn part(text: &str, start: Option<i64>, stop: Option<i64>) -> Option<(usize, &str)> {
    let (start, stop) = bounds(start, stop, char_len(text));
    (start <= stop).then(|| (start, &text[byte_of(text, start)..byte_of(text, stop)]))
}
