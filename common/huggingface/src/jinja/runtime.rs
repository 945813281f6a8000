//! What functions and filters of a template may use.

use super::arguments::Arguments;
use super::attributes::item;
use super::budget::Budget;
use super::fault::{fault, Res};
use super::value::Value;
use super::{list_filters, number_filters, tests, text_filters};

pub struct Runtime {
    pub budget: Budget,
}

impl Runtime {
    pub fn filter(&self, name: &str, value: Value, arguments: Arguments) -> Res<Value> {
        if let Some(filter) = text_filters::by_name(name) {
            return filter(self, value, arguments);
        }
        if let Some(filter) = list_filters::by_name(name) {
            return filter(self, value, arguments);
        }
        if let Some(filter) = number_filters::by_name(name) {
            return filter(self, value, arguments);
        }
        if name == "tojson" {
            return super::json_text::to_json(&value, arguments, &self.budget);
        }
        fault(format!("No filter named '{name}'."))
    }

    pub fn has_filter(&self, name: &str) -> bool {
        text_filters::by_name(name).is_some()
            || list_filters::by_name(name).is_some()
            || number_filters::by_name(name).is_some()
            || name == "tojson"
    }

    pub fn test(&self, name: &str, value: &Value, arguments: Arguments) -> Res<bool> {
        tests::test(self, name, value, arguments)
    }
}

/// A way from a value to one inside it, as filters take it: "a.0.b", or a number.
pub struct Path(Vec<Value>);

impl Path {
    pub fn new(attribute: Option<&Value>) -> Self {
        Path(match attribute {
            None => Vec::new(),
            Some(value) => match value.as_str() {
                Some(text) => text.split('.').map(part).collect(),
                None => vec![value.clone()],
            },
        })
    }

    pub fn follow(&self, value: &Value, default: Option<&Value>, budget: &Budget) -> Res<Value> {
        budget.spend(1 + self.0.len() as u64)?;
        let mut value = value.clone();
        for part in &self.0 {
            value = item(&value, part, budget)?;
            if let (Some(default), true) = (default, value.is_undefined()) {
                value = default.clone();
            }
        }
        Ok(value)
    }
}

fn part(text: &str) -> Value {
    match text.parse() {
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Value::Int(number),
        _ => Value::text(text),
    }
}

/// Upper and lower case made alike.
pub fn without_case(value: Value) -> Value {
    match value.as_str() {
        Some(text) => Value::text(text.to_lowercase()),
        None => value,
    }
}
