//! Equality, order and membership as in Python.

use super::budget::Budget;
use super::fault::{fault, Res};
use super::value::{Dict, Key, Value, View};
use num_bigint::BigInt;
use num_traits::FromPrimitive;
use std::cmp::Ordering;
use std::rc::Rc;

/// None where one of them is no number.
fn compared_numbers(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return Some(Some(a.cmp(&b)));
    }
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Some(a.partial_cmp(b)),
        (Value::Float(a), _) => Some(compared_float(*a, &b.as_big()?)),
        (_, Value::Float(b)) => Some(compared_float(*b, &a.as_big()?).map(Ordering::reverse)),
        _ => Some(Some(a.as_big()?.cmp(&b.as_big()?))),
    }
}

fn compared_float(number: f64, whole: &BigInt) -> Option<Ordering> {
    if number.is_nan() {
        return None;
    }
    let Some(floor) = BigInt::from_f64(number.floor()) else {
        return Some(if number > 0.0 { Ordering::Greater } else { Ordering::Less });
    };
    let order = floor.cmp(whole);
    Some(if order == Ordering::Equal && number.fract() != 0.0 { Ordering::Greater } else { order })
}

/// Of what can be a key; tuples' items too.
pub fn keys_are_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Tuple(a), Value::Tuple(b)) => {
            Rc::ptr_eq(a, b) || a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| keys_are_equal(a, b))
        }
        _ => are_equal_scalars(a, b),
    }
}

fn are_equal_scalars(a: &Value, b: &Value) -> bool {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return a == b;
    }
    if let Some(order) = compared_numbers(a, b) {
        return order == Some(Ordering::Equal);
    }
    match (a, b) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Iterator(a), Value::Iterator(b)) => Rc::ptr_eq(a, b),
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b) || a.is_same_method(b),
        (Value::Range(a), Value::Range(b)) => {
            a.length == b.length && (a.length == 0 || a.start == b.start && (a.length == 1 || a.step == b.step))
        }
        _ => false,
    }
}

/// `==`
pub fn are_equal(a: &Value, b: &Value, budget: &Budget) -> Res<bool> {
    budget.spend(1)?;
    match (a, b) {
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => are_equal_lists(a, b, budget),
        (Value::Dict(a), Value::Dict(b)) => are_equal_dicts(a, b, budget),
        (Value::View(View::Values, a), Value::View(View::Values, b)) => Ok(Rc::ptr_eq(a, b)),
        (Value::View(one, a), Value::View(other, b)) if one == other => {
            Ok(a.len() == b.len() && a.keys().all(|key| b.contains_key(key)))
        }
        _ => {
            if let (Some(a), Some(_)) = (a.as_str(), b.as_str()) {
                budget.spend_bytes(a.len())?;
            }
            Ok(are_equal_scalars(a, b))
        }
    }
}

/// Python takes an item for its own equal without looking.
fn are_equal_items(a: &Value, b: &Value, budget: &Budget) -> Res<bool> {
    Ok(is_same(a, b) || are_equal(a, b, budget)?)
}

fn are_equal_lists(a: &Rc<Vec<Value>>, b: &Rc<Vec<Value>>, budget: &Budget) -> Res<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        if !are_equal_items(a, b, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn are_equal_dicts(a: &Rc<Dict>, b: &Rc<Dict>, budget: &Budget) -> Res<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a.iter() {
        let Some(other) = b.get(key) else { return Ok(false) };
        if !are_equal_items(value, other, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `is` of Python, where that says something.
pub fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
        _ => false,
    }
}

/// `<`, `>`, ...: None where none of them holds, as with NaN.
pub fn compared(a: &Value, b: &Value, sign: &str, budget: &Budget) -> Res<Option<Ordering>> {
    budget.spend(1)?;
    if let Some(order) = compared_numbers(a, b) {
        return Ok(order);
    }
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        budget.spend_bytes(a.len().min(b.len()))?;
        return Ok(Some(a.cmp(b)));
    }
    match (a, b) {
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                if !are_equal_items(a, b, budget)? {
                    return compared(a, b, sign, budget);
                }
            }
            Ok(Some(a.len().cmp(&b.len())))
        }
        (Value::Undefined(what), _) | (_, Value::Undefined(what)) => fault(&**what),
        _ => fault(format!(
            "'{sign}' not supported between instances of '{}' and '{}'",
            a.type_name(),
            b.type_name()
        )),
    }
}

/// `item in container`
pub fn contains(container: &Value, item: &Value, budget: &Budget) -> Res<bool> {
    match container {
        Value::Text(text) | Value::Markup(text) => match item.as_str() {
            Some(part) => {
                budget.spend_bytes(text.len())?;
                Ok(text.contains(part))
            }
            None => fault(format!("'in <string>' requires string as left operand, not {}", item.type_name())),
        },
        Value::Dict(dict) | Value::View(View::Keys, dict) => {
            Ok(dict.contains_key(&Key::new(item.clone(), budget)?))
        }
        Value::Range(range) => Ok(match item.as_i64() {
            Some(number) => {
                let steps = (i128::from(number) - i128::from(range.start)) / i128::from(range.step);
                (0..range.length as i128).contains(&steps)
                    && i128::from(range.start) + steps * i128::from(range.step) == i128::from(number)
            }
            None => false,
        }),
        Value::List(items) | Value::Tuple(items) => {
            for own in items.iter() {
                if are_equal_items(own, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other if other.is_iterable() => {
            for own in other.items(budget)? {
                if are_equal_items(&own, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => fault(format!("argument of type '{}' is not iterable", other.type_name())),
    }
}

/// Stable, ascending by `keys`.
pub fn sorted<T: Clone>(items: Vec<(Value, T)>, descending: bool, budget: &Budget) -> Res<Vec<(Value, T)>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let mut first = items;
    let second = first.split_off(first.len() / 2);
    let (first, second) = (sorted(first, descending, budget)?, sorted(second, descending, budget)?);
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let order = compared(&b.0, &a.0, "<", budget)?;
        let second_goes_first = order == Some(if descending { Ordering::Greater } else { Ordering::Less });
        merged.extend(if second_goes_first { second.next() } else { first.next() });
    }
    merged.extend(first);
    merged.extend(second);
    Ok(merged)
}
