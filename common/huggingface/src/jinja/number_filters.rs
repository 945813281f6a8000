//! Jinja2's filters of numbers.

use super::arguments::{integer_or, text, Arguments};
use super::arithmetic::negative;
use super::fault::{fault, Res};
use super::runtime::Runtime;
use super::text::is_space;
use super::text_filters::Filter;
use super::value::Value;
use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed, ToPrimitive};

/// Further from the point no float has digits.
const FARTHEST_DIGIT: i64 = 400;

pub fn by_name(name: &str) -> Option<Filter> {
    let filter: Filter = match name {
        "abs" => |_, value, arguments| {
            arguments.none("abs")?;
            match (value.as_big(), &value) {
                (Some(number), _) => Ok(number.abs().into()),
                (_, Value::Float(number)) => Ok(Value::Float(number.abs())),
                (_, Value::Undefined(what)) => fault(&**what),
                _ => negative(&value),
            }
        },
        "int" => int,
        "float" => float,
        "round" => round,
        _ => return None,
    };
    Some(filter)
}

/// Python's `float(value)`.
pub fn float_of(value: &Value) -> Res<f64> {
    let number = match value.as_str() {
        Some(text) => float_text(text),
        None => value.as_f64(),
    };
    match (number, value) {
        (Some(number), _) => Ok(number),
        (None, Value::Undefined(what)) => fault(&**what),
        (None, Value::Text(text)) => fault(format!("could not convert string to float: '{text}'")),
        _ => fault(format!("float() argument must be a string or a real number, not '{}'", value.type_name())),
    }
}

/// Digits with single underlines between them, as Python reads numbers.
fn without_underlines(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let fits = |place: usize| {
        place > 0 && bytes[place - 1].is_ascii_alphanumeric() && bytes.get(place + 1).is_some_and(u8::is_ascii_alphanumeric)
    };
    (0..bytes.len()).all(|place| bytes[place] != b'_' || fits(place)).then(|| text.replace('_', ""))
}

fn float_text(text: &str) -> Option<f64> {
    let text = without_underlines(text.trim_matches(is_space))?.to_lowercase();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    (is_number || matches!(digits, "inf" | "infinity" | "nan")).then(|| text.parse().ok()).flatten()
}

fn integer_text(text: &str, base: i64) -> Option<BigInt> {
    let text = text.trim_matches(is_space);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let prefixed = |prefix: &str| digits.get(..2).filter(|begin| begin.eq_ignore_ascii_case(prefix)).map(|_| &digits[2..]);
    let prefixes = [("0b", 2), ("0o", 8), ("0x", 16)];
    let found = prefixes.iter().find_map(|(prefix, radix)| {
        (base == *radix || base == 0).then(|| prefixed(prefix)).flatten().map(|digits| (digits, *radix))
    });
    let (digits, radix) = found.unwrap_or((digits, if base == 0 { 10 } else { base }));
    let digits = without_underlines(digits.strip_prefix('_').filter(|_| found.is_some()).unwrap_or(digits))?;
    let is_valid = (2..=36).contains(&radix) && !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix as u32));
    let number = is_valid.then(|| BigInt::parse_bytes(digits.as_bytes(), radix as u32)).flatten()?;
    Some(if text.starts_with('-') { -number } else { number })
}

fn int(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [default, base] = arguments.bind("int", ["default", "base"], 0)?;
    let base = integer_or(&base, 10)?;
    if let Some(text) = value.as_str() {
        // Reading so many digits takes time by their square.
        runtime.budget.spend((text.len() as u64 / 64).saturating_pow(2))?;
        if let Some(number) = integer_text(text, base) {
            return Ok(number.into());
        }
    }
    if let Some(number) = value.as_big() {
        return Ok(number.into());
    }
    if let Value::Undefined(what) = &value {
        return fault(&**what);
    }
    let number = float_of(&value).ok().and_then(|number| BigInt::from_f64(number.trunc()));
    match (number, &value) {
        (Some(number), _) => Ok(number.into()),
        _ => Ok(default.unwrap_or(Value::Int(0))),
    }
}

fn float(_: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [default] = arguments.bind("float", ["default"], 0)?;
    if let Value::Undefined(what) = &value {
        return fault(&**what);
    }
    Ok(float_of(&value).map_or_else(|_| default.unwrap_or(Value::Float(0.0)), Value::Float))
}

fn round(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [precision, method] = arguments.bind("round", ["precision", "method"], 0)?;
    let precision = integer_or(&precision, 0)?;
    let method = method.unwrap_or_else(|| Value::text("common"));
    let method = given_method(text(&method, "round")?)?;
    if method == "common" {
        return match (value.as_big(), &value) {
            (Some(number), _) => rounded_integer(number, precision, runtime),
            (_, Value::Float(number)) => rounded_float(*number, precision),
            (_, Value::Undefined(what)) => fault(&**what),
            _ => fault(format!("type {} doesn't define __round__ method", value.type_name())),
        };
    }
    let Some(number) = value.as_f64() else {
        return fault(format!("must be real number, not {}", value.type_name()));
    };
    let scale = 10f64.powi(precision.clamp(-FARTHEST_DIGIT, FARTHEST_DIGIT) as i32);
    let scaled = number * scale;
    let whole = if method == "ceil" { scaled.ceil() } else { scaled.floor() };
    if !whole.is_finite() {
        return fault("cannot convert float infinity or NaN to integer");
    }
    Ok(Value::Float(whole / scale))
}

fn given_method(method: &str) -> Res<&str> {
    if matches!(method, "common" | "ceil" | "floor") {
        return Ok(method);
    }
    fault("method must be common, ceil or floor")
}

/// Half to even, as Python's `round`.
fn rounded_integer(number: BigInt, precision: i64, runtime: &Runtime) -> Res<Value> {
    if precision >= 0 {
        return Ok(number.into());
    }
    if precision < -FARTHEST_DIGIT {
        runtime.budget.spend(number.bits())?;
        return Ok(Value::Int(0));
    }
    let unit = BigInt::from(10).pow(-precision as u32);
    let mut rest: BigInt = &number % &unit;
    if rest.is_negative() {
        rest += &unit;
    }
    let low: BigInt = &number - &rest;
    let twice: BigInt = &rest * 2;
    let is_odd = (&low / &unit).bit(0);
    let goes_up = twice > unit || twice == unit && is_odd;
    Ok(if goes_up { low + unit } else { low }.into())
}

fn rounded_float(number: f64, precision: i64) -> Res<Value> {
    if !number.is_finite() || precision > FARTHEST_DIGIT {
        return Ok(Value::Float(number));
    }
    if precision >= 0 {
        let text = format!("{number:.*}", precision as usize);
        return Ok(Value::Float(text.parse().unwrap_or(number)));
    }
    let scale = 10f64.powi(precision.max(-FARTHEST_DIGIT) as i32);
    let exact = BigInt::from_f64(number.trunc()).and_then(|whole| {
        // What is behind the point decides ties only.
        let unit = BigInt::from(10).pow((-precision).min(FARTHEST_DIGIT) as u32);
        let low: BigInt = (&whole / &unit) * &unit;
        let rest = (number - low.to_f64()?).abs() * scale;
        let is_odd = (&low / &unit).bit(0);
        let goes_away = rest > 0.5 || rest == 0.5 && is_odd;
        let step = if number < 0.0 { -unit } else { unit };
        (if goes_away { low + step } else { low }).to_f64()
    });
    Ok(Value::Float(exact.unwrap_or(0.0).copysign(number)))
}

