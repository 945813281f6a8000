//! Numbers with a given number of digits, as C and Python write them.

use super::budget::Budget;
use super::fault::{fault, Res};
use num_bigint::BigInt;
use num_traits::Signed;

/// Digits behind the point that a template may ask for; Python itself refuses some more.
const MOST_DIGITS: usize = 10_000;

/// The magnitude of `number` by "e", "f", "g" or "%", without its sign. `alternate` keeps the point and zeros.
pub fn float_digits(number: f64, kind: char, precision: usize, alternate: bool, budget: &Budget) -> Res<String> {
    if precision > MOST_DIGITS {
        return fault(format!("a precision of {precision} digits, expected at most {MOST_DIGITS}"));
    }
    budget.spend_bytes(precision + 320)?;
    let number = number.abs();
    if !number.is_finite() {
        let text = if number.is_nan() { "nan" } else { "inf" };
        let text = if kind == '%' { format!("{text}%") } else { text.to_string() };
        return Ok(if kind.is_ascii_uppercase() { text.to_uppercase() } else { text });
    }
    let text = match kind.to_ascii_lowercase() {
        'f' => format!("{number:.precision$}"),
        '%' => format!("{:.precision$}%", number * 100.0),
        'e' => scientific(number, precision),
        _ => general(number, precision.max(1), alternate),
    };
    let text = if alternate && precision == 0 && matches!(kind, 'f' | 'F') { text + "." } else { text };
    Ok(if kind.is_ascii_uppercase() { text.to_uppercase() } else { text })
}

fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn general(number: f64, precision: usize, alternate: bool) -> String {
    let text = scientific(number, precision - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
    let power: i64 = exponent.parse().unwrap_or_default();
    if power < -4 || power >= precision as i64 {
        let digits = if alternate { digits } else { without_zeros(digits) };
        return format!("{digits}e{exponent}");
    }
    let places = (precision as i64 - 1 - power) as usize;
    let text = format!("{number:.places$}");
    if alternate { text } else { without_zeros(&text).to_string() }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// The magnitude of `number` in base 2, 8, 10 or 16 by "b", "o", "d", "x" or "X".
pub fn integer_digits(number: &BigInt, kind: char, budget: &Budget) -> Res<String> {
    budget.spend_bytes(number.bits() as usize)?;
    let magnitude = number.abs();
    Ok(match kind {
        'b' => magnitude.to_str_radix(2),
        'o' => magnitude.to_str_radix(8),
        'x' => magnitude.to_str_radix(16),
        'X' => magnitude.to_str_radix(16).to_uppercase(),
        _ => super::value::big_text(&magnitude, budget)?,
    })
}

/// How a text is brought to a width.
#[derive(Clone, Copy)]
pub struct Padding {
    pub fill: char,
    pub align: char,
    pub width: usize,
}

/// `sign` goes before the filling where that is between sign and digits ("=").
pub fn padded(sign: &str, text: &str, padding: Padding, budget: &Budget) -> Res<String> {
    let length = super::text::char_len(sign) + super::text::char_len(text);
    let missing = padding.width.saturating_sub(length);
    budget.spend_bytes(missing.saturating_mul(padding.fill.len_utf8()).saturating_add(text.len()))?;
    let fill = |count: usize| padding.fill.to_string().repeat(count);
    Ok(match padding.align {
        '<' => format!("{sign}{text}{}", fill(missing)),
        '^' => format!("{}{sign}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
        '=' => format!("{sign}{}{text}", fill(missing)),
        _ => format!("{}{sign}{text}", fill(missing)),
    })
}
