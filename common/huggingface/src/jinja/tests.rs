//! Jinja2's tests: what may follow `is`.

use super::arguments::Arguments;
use super::comparison::{are_equal, compared, contains, is_same};
use super::fault::{fault, Res};
use super::letters::is_cased;
use super::list_filters::divides;
use super::runtime::Runtime;
use super::value::Value;
use std::cmp::Ordering;

const NAMES: &[&str] = &[
    "odd", "even", "divisibleby", "defined", "undefined", "filter", "test", "none", "boolean", "false", "true", "integer",
    "float", "lower", "upper", "string", "mapping", "number", "sequence", "iterable", "callable", "sameas", "escaped", "in",
    "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", "ge", ">=", "<", "lt", "lessthan", "<=", "le",
];

pub fn test(runtime: &Runtime, name: &str, value: &Value, arguments: Arguments) -> Res<bool> {
    if let Some(holds) = of_kind(name, value) {
        arguments.none(name)?;
        return Ok(holds);
    }
    match name {
        "odd" | "even" | "lower" | "upper" | "filter" | "test" => {
            arguments.none(name)?;
            return alone(runtime, name, value);
        }
        _ if !NAMES.contains(&name) => return fault(format!("No test named '{name}'.")),
        _ => {}
    }
    let names = match name {
        "divisibleby" => "num",
        "in" => "seq",
        "sameas" => "other",
        _ => "",
    };
    let [other] = arguments.bind(name, [names], 1)?;
    let other = other.unwrap_or(Value::None);
    let budget = &runtime.budget;
    let order = |sign: &str| compared(value, &other, sign, budget);
    match name {
        "divisibleby" => divides(value, &other, runtime),
        "in" => contains(&other, value, budget),
        "sameas" => Ok(is_same(value, &other)),
        "==" | "eq" | "equalto" => are_equal(value, &other, budget),
        "!=" | "ne" => Ok(!are_equal(value, &other, budget)?),
        ">" | "gt" | "greaterthan" => Ok(order(">")? == Some(Ordering::Greater)),
        ">=" | "ge" => Ok(matches!(order(">=")?, Some(Ordering::Greater | Ordering::Equal))),
        "<" | "lt" | "lessthan" => Ok(order("<")? == Some(Ordering::Less)),
        _ => Ok(matches!(order("<=")?, Some(Ordering::Less | Ordering::Equal))),
    }
}

/// Of what type it is.
fn of_kind(name: &str, value: &Value) -> Option<bool> {
    let is_integer = matches!(value, Value::Int(_) | Value::Big(_));
    Some(match name {
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => is_integer,
        "float" => matches!(value, Value::Float(_)),
        "number" => is_integer || matches!(value, Value::Float(_) | Value::Bool(_)),
        "string" => value.as_str().is_some(),
        "mapping" => matches!(value, Value::Dict(_)),
        "iterable" => value.is_iterable(),
        // What has a length and items by number or key.
        "sequence" => {
            matches!(value, Value::Undefined(_) | Value::Dict(_) | Value::Range(_) | Value::List(_) | Value::Tuple(_))
                || value.as_str().is_some()
        }
        "callable" => match value {
            Value::Object(object) => object.is_callable(),
            Value::Undefined(_) => true,
            _ => false,
        },
        "escaped" => matches!(value, Value::Markup(_)),
        _ => return None,
    })
}

fn alone(runtime: &Runtime, name: &str, value: &Value) -> Res<bool> {
    match name {
        "odd" | "even" => {
            let rest = super::arithmetic::binary(super::syntax::Binary::Mod, value, &Value::Int(2), &runtime.budget)?;
            are_equal(&rest, &Value::Int(i64::from(name == "odd")), &runtime.budget)
        }
        "lower" => Ok(is_cased(&value.to_text(&runtime.budget)?, char::is_lowercase, char::is_uppercase)),
        "upper" => Ok(is_cased(&value.to_text(&runtime.budget)?, char::is_uppercase, char::is_lowercase)),
        "filter" => Ok(value.as_str().is_some_and(|name| runtime.has_filter(name))),
        _ => Ok(value.as_str().is_some_and(|name| NAMES.contains(&name))),
    }
}
