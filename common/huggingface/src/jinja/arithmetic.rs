//! Python's operators on numbers, texts and lists.

use super::budget::Budget;
use super::fault::{fault, Res};
use super::syntax::Binary;
use super::text::html_escaped;
use super::value::Value;
use num_bigint::BigInt;
use num_traits::{Pow, Signed, ToPrimitive, Zero};
use std::rc::Rc;

fn sign_of(binary: Binary) -> &'static str {
    match binary {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::FloorDiv => "//",
        Binary::Mod => "%",
        Binary::Pow => "** or pow()",
    }
}

pub fn binary(operator: Binary, a: &Value, b: &Value, budget: &Budget) -> Res<Value> {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        let quick = match operator {
            Binary::Add => a.checked_add(*b),
            Binary::Sub => a.checked_sub(*b),
            Binary::Mul => a.checked_mul(*b),
            _ => None,
        };
        if let Some(number) = quick {
            return Ok(Value::Int(number));
        }
    }
    if let (Some(text), Binary::Mod) = (a.as_str(), operator) {
        let formatted = super::printf::formatted(text, b, matches!(a, Value::Markup(_)), budget)?;
        return Ok(like(a, formatted));
    }
    if let Some(number) = of_numbers(operator, a, b, budget)? {
        return Ok(number);
    }
    let joined = match operator {
        Binary::Add => added(a, b, budget)?,
        Binary::Mul => match (a.as_clamped(), b.as_clamped()) {
            (None, Some(times)) => repeated(a, times, budget)?,
            (Some(times), None) => repeated(b, times, budget)?,
            _ => None,
        },
        _ => None,
    };
    match (joined, a, b) {
        (Some(joined), ..) => Ok(joined),
        (None, Value::Undefined(what), _) | (None, _, Value::Undefined(what)) => fault(&**what),
        (None, Value::Text(_), other) if operator == Binary::Add => {
            fault(format!("can only concatenate str (not \"{}\") to str", other.type_name()))
        }
        _ => fault(format!(
            "unsupported operand type(s) for {}: '{}' and '{}'",
            sign_of(operator),
            a.type_name(),
            b.type_name()
        )),
    }
}

/// Markup if `model` is.
pub fn like(model: &Value, text: impl Into<Rc<str>>) -> Value {
    match model {
        Value::Markup(_) => Value::Markup(text.into()),
        _ => Value::Text(text.into()),
    }
}

fn added(a: &Value, b: &Value, budget: &Budget) -> Res<Option<Value>> {
    Ok(Some(match (a, b) {
        (Value::Text(one), Value::Text(other)) => {
            budget.spend_bytes(one.len() + other.len())?;
            Value::text([&**one, &**other].concat())
        }
        (Value::Text(_) | Value::Markup(_), Value::Text(_) | Value::Markup(_)) => {
            let safe = |value: &Value| match value {
                Value::Markup(text) => text.to_string(),
                other => html_escaped(other.as_str().unwrap_or_default()),
            };
            budget.spend_bytes(6 * (a.as_str().map_or(0, str::len) + b.as_str().map_or(0, str::len)))?;
            Value::Markup((safe(a) + &safe(b)).into())
        }
        (Value::List(one), Value::List(other)) => {
            budget.spend_items(one.len() + other.len())?;
            Value::list([&one[..], &other[..]].concat())
        }
        (Value::Tuple(one), Value::Tuple(other)) => {
            budget.spend_items(one.len() + other.len())?;
            Value::tuple([&one[..], &other[..]].concat())
        }
        _ => return Ok(None),
    }))
}

fn repeated(value: &Value, times: i64, budget: &Budget) -> Res<Option<Value>> {
    let times = times.max(0) as usize;
    Ok(Some(match value {
        Value::Text(text) | Value::Markup(text) => {
            budget.spend_bytes(text.len().saturating_mul(times))?;
            like(value, if text.is_empty() { String::new() } else { text.repeat(times) })
        }
        Value::List(items) | Value::Tuple(items) => {
            budget.spend_items(items.len().saturating_mul(times))?;
            let all: Vec<Value> = if items.is_empty() {
                Vec::new()
            } else {
                items.iter().cycle().take(items.len() * times).cloned().collect()
            };
            if matches!(value, Value::List(_)) { Value::list(all) } else { Value::tuple(all) }
        }
        _ => return Ok(None),
    }))
}

/// None where one of them is no number.
fn of_numbers(operator: Binary, a: &Value, b: &Value, budget: &Budget) -> Res<Option<Value>> {
    if let (Some(a), Some(b)) = (a.as_big(), b.as_big()) {
        budget.spend((a.bits() + b.bits()) / 64)?;
        return of_integers(operator, a, b, budget).map(Some);
    }
    let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return Ok(None) };
    let zero = |what: &str| fault(what.to_string());
    Ok(Some(Value::Float(match operator {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div if b == 0.0 => return zero("division by zero"),
        Binary::Div => a / b,
        Binary::FloorDiv | Binary::Mod if b == 0.0 => return zero("division by zero"),
        Binary::FloorDiv => divided(a, b).0,
        Binary::Mod => divided(a, b).1,
        Binary::Pow => return float_power(a, b).map(|number| Some(Value::Float(number))),
    })))
}

fn float_power(a: f64, b: f64) -> Res<f64> {
    if a == 0.0 && b < 0.0 {
        return fault("zero to a negative power");
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
        return fault("a negative number to a power that is not whole");
    }
    let power = a.powf(b);
    if power.is_infinite() && a.is_finite() && b.is_finite() {
        return fault("(34, 'Numerical result out of range')");
    }
    Ok(power)
}

/// Python's `divmod` of floats.
fn divided(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 {
        if (b < 0.0) != (rest < 0.0) {
            rest += b;
            quotient -= 1.0;
        }
    } else {
        rest = 0f64.copysign(b);
    }
    let floor = quotient.floor();
    let whole = if quotient == 0.0 {
        0f64.copysign(a / b)
    } else if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    };
    (whole, rest)
}

fn of_integers(operator: Binary, a: BigInt, b: BigInt, budget: &Budget) -> Res<Value> {
    let is_division = matches!(operator, Binary::Div | Binary::FloorDiv | Binary::Mod);
    if is_division && b.is_zero() {
        return fault("division by zero");
    }
    Ok(match operator {
        Binary::Add => (a + b).into(),
        Binary::Sub => (a - b).into(),
        Binary::Mul => {
            budget.spend((a.bits() / 64).saturating_mul(b.bits() / 64))?;
            (a * b).into()
        }
        Binary::Div => return quotient(&a, &b),
        Binary::FloorDiv | Binary::Mod => {
            budget.spend((a.bits() / 64).saturating_mul(b.bits() / 64))?;
            let (mut whole, mut rest) = (&a / &b, &a % &b);
            if !rest.is_zero() && rest.is_negative() != b.is_negative() {
                whole -= 1;
                rest += &b;
            }
            if operator == Binary::Mod { rest.into() } else { whole.into() }
        }
        Binary::Pow if b.is_negative() => {
            Value::Float(float_power(a.to_f64().unwrap_or(f64::INFINITY), b.to_f64().unwrap_or(f64::NEG_INFINITY))?)
        }
        Binary::Pow => return power(a, &b, budget),
    })
}

/// The nearest float, also of numbers that are too large for one.
fn quotient(a: &BigInt, b: &BigInt) -> Res<Value> {
    const EXACT_BITS: u64 = 53;
    if a.bits() <= EXACT_BITS && b.bits() <= EXACT_BITS {
        return Ok(Value::Float(a.to_f64().unwrap_or_default() / b.to_f64().unwrap_or(1.0)));
    }
    // 64 bits of the quotient and whether more follow are enough to round.
    let shift = b.bits() as i64 - a.bits() as i64 + 64;
    let (a, b) = if shift > 0 { (a << shift, b.clone()) } else { (a.clone(), b << -shift) };
    let (whole, rest): (BigInt, BigInt) = (&a / &b, &a % &b);
    let rounded: BigInt = if rest.is_zero() { whole } else { (whole >> 1 << 1) | BigInt::from(1) };
    let number = rounded.to_f64().unwrap_or(f64::INFINITY) * 2f64.powi(-(shift.clamp(-4000, 4000) as i32));
    if number.is_infinite() {
        return fault("integer division result too large for a float");
    }
    Ok(Value::Float(number))
}

fn power(a: BigInt, b: &BigInt, budget: &Budget) -> Res<Value> {
    let small = a.bits() <= 1;
    let exponent = match b.to_u64() {
        Some(exponent) => exponent,
        None if small => (b % 2u32).to_u64().unwrap_or_default() + 2,
        None => u64::MAX,
    };
    let words = a.bits().saturating_mul(exponent) / 64;
    if !small {
        budget.spend(words.saturating_mul(words))?;
    }
    let exponent = if small { exponent.min(2 + exponent % 2) } else { exponent };
    Ok(Pow::pow(a, exponent).into())
}

pub fn negative(value: &Value) -> Res<Value> {
    match (value, value.as_big()) {
        (_, Some(number)) => Ok((-number).into()),
        (Value::Float(number), _) => Ok(Value::Float(-number)),
        (Value::Undefined(what), _) => fault(&**what),
        _ => fault(format!("bad operand type for unary -: '{}'", value.type_name())),
    }
}

pub fn positive(value: &Value) -> Res<Value> {
    match (value, value.as_big()) {
        (_, Some(number)) => Ok(number.into()),
        (Value::Float(_), _) => Ok(value.clone()),
        (Value::Undefined(what), _) => fault(&**what),
        _ => fault(format!("bad operand type for unary +: '{}'", value.type_name())),
    }
}
