//! What a function is called with.

use super::fault::{fault, Res};
use super::value::Value;
use std::rc::Rc;

#[derive(Default)]
pub struct Arguments {
    pub list: Vec<Value>,
    pub named: Vec<(Rc<str>, Value)>,
}

impl Arguments {
    /// By parameter; `required` is how many must be there. A parameter without a name is given by its place alone.
    pub fn bind<const N: usize>(self, function: &str, names: [&str; N], required: usize) -> Res<[Option<Value>; N]> {
        if self.list.len() > N {
            return fault(format!("{function}() takes at most {N} arguments ({} given)", self.list.len()));
        }
        let mut bound: [Option<Value>; N] = std::array::from_fn(|_| None);
        let places = self.list.len();
        for (place, value) in bound.iter_mut().zip(self.list) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            match names.iter().position(|own| !own.is_empty() && *own == &*name) {
                Some(place) if place < places => return fault(format!("{function}() got multiple values for argument '{name}'")),
                Some(place) => bound[place] = Some(value),
                None => return fault(format!("{function}() got an unexpected keyword argument '{name}'")),
            }
        }
        match bound[..required].iter().position(Option::is_none) {
            Some(place) => fault(format!("{function}() missing its argument {} '{}'", place + 1, names[place])),
            None => Ok(bound),
        }
    }

    /// Of a function that takes none.
    pub fn none(self, function: &str) -> Res<()> {
        self.bind(function, [], 0).map(|[]| ())
    }
}

/// Of an argument that may be left out, None too.
pub fn given(argument: &Option<Value>) -> Option<&Value> {
    argument.as_ref().filter(|value| !matches!(value, Value::None))
}

pub fn integer(value: &Value) -> Res<i64> {
    match value.as_clamped() {
        Some(number) => Ok(number),
        None => fault(match value {
            Value::Undefined(what) => what.to_string(),
            other => format!("'{}' object cannot be interpreted as an integer", other.type_name()),
        }),
    }
}

pub fn integer_or(argument: &Option<Value>, default: i64) -> Res<i64> {
    argument.as_ref().map_or(Ok(default), integer)
}

pub fn text<'a>(value: &'a Value, function: &str) -> Res<&'a str> {
    match value.as_str() {
        Some(text) => Ok(text),
        None => fault(format!("{function}() argument must be str, not {}", value.type_name())),
    }
}

pub fn flag(argument: &Option<Value>, default: bool) -> bool {
    argument.as_ref().map_or(default, Value::is_true)
}

/// A width or count that memory is asked for: negative ones are 0.
pub fn size(value: &Value) -> Res<usize> {
    Ok(integer(value)?.max(0) as usize)
}
