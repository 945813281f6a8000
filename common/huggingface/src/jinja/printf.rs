//! `'%s' % x`: Python's old way to format a text.

use super::budget::Budget;
use super::fault::{fault, Res};
use super::number_format::{float_digits, integer_digits, padded, Padding};
use super::text::{html_escaped, push_repr};
use super::value::{Key, Value};
use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed};

#[derive(Default)]
struct Flags {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
}

struct Formatter<'a> {
    rest: &'a str,
    values: &'a [Value],
    used: usize,
    mapping: Option<&'a Value>,
    escapes: bool,
    budget: &'a Budget,
    text: String,
}

/// `escapes`: the format is markup, and texts put into it are escaped.
pub fn formatted(format: &str, values: &Value, escapes: bool, budget: &Budget) -> Res<String> {
    let one = std::slice::from_ref(values);
    let list = match values {
        Value::Tuple(items) => items.as_slice(),
        _ => one,
    };
    let mapping = matches!(values, Value::Dict(_)).then_some(values);
    let mut formatter = Formatter { rest: format, values: list, used: 0, mapping, escapes, budget, text: String::new() };
    let mut named = false;
    while let Some(place) = formatter.rest.find('%') {
        budget.spend_bytes(place)?;
        formatter.text.push_str(&formatter.rest[..place]);
        formatter.rest = &formatter.rest[place + 1..];
        named |= formatter.rest.starts_with('(');
        formatter.conversion()?;
    }
    formatter.text.push_str(formatter.rest);
    // Lists may stay unused where they could be mappings, as in Python.
    let may_stay = named || mapping.is_some() || matches!(values, Value::List(_));
    if formatter.used < list.len() && !may_stay {
        return fault("not all arguments converted during string formatting");
    }
    Ok(formatter.text)
}

impl Formatter<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self, c: char) {
        self.rest = &self.rest[c.len_utf8()..];
    }

    fn value(&mut self) -> Res<Value> {
        let Some(value) = self.values.get(self.used) else { return fault("not enough arguments for format string") };
        self.used += 1;
        Ok(value.clone())
    }

    fn named_value(&mut self) -> Res<Option<Value>> {
        let Some(inside) = self.rest.strip_prefix('(') else { return Ok(None) };
        let mut depth = 1;
        let end = inside.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let Some(end) = end else { return fault("incomplete format key") };
        let Some(Value::Dict(dict)) = self.mapping else { return fault("format requires a mapping") };
        let key = &inside[..end];
        self.rest = &inside[end + 1..];
        match dict.get(&Key::text(key)) {
            Some(value) => Ok(Some(value.clone())),
            None => fault(format!("'{key}'")),
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let Some(c) = self.peek() {
            match c {
                '-' => flags.left = true,
                '+' => flags.plus = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                '#' => flags.alternate = true,
                _ => break,
            }
            self.skip(c);
        }
        flags
    }

    /// A width or precision, by digits or by "*".
    fn count(&mut self) -> Res<Option<i64>> {
        if self.peek() == Some('*') {
            self.skip('*');
            return match self.value()?.as_i64() {
                Some(number) => Ok(Some(number)),
                None => fault("* wants int"),
            };
        }
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().map(Some).or_else(|_| fault("width too big"))
    }

    fn conversion(&mut self) -> Res<()> {
        self.budget.spend(1)?;
        let named = self.named_value()?;
        let mut flags = self.flags();
        let width = self.count()?.unwrap_or_default();
        flags.left |= width < 0;
        let precision = if self.peek() == Some('.') {
            self.skip('.');
            Some(self.count()?.unwrap_or_default().max(0) as usize)
        } else {
            None
        };
        while let Some(c @ ('h' | 'l' | 'L')) = self.peek() {
            self.skip(c);
        }
        let Some(kind) = self.peek() else { return fault("incomplete format") };
        self.skip(kind);
        let width = width.unsigned_abs() as usize;
        if kind == '%' {
            self.text.push('%');
            return Ok(());
        }
        let value = match named {
            Some(value) => value,
            None => self.value()?,
        };
        let text = self.converted(kind, &value, &flags, width, precision)?;
        self.text.push_str(&text);
        Ok(())
    }

    fn converted(&self, kind: char, value: &Value, flags: &Flags, width: usize, precision: Option<usize>) -> Res<String> {
        let align = if flags.left { '<' } else { '>' };
        let plain = |text: String| padded("", &text, Padding { fill: ' ', align, width }, self.budget);
        match kind {
            's' | 'r' | 'a' => {
                let text = self.text_of(kind, value)?;
                plain(match precision {
                    Some(precision) => text.chars().take(precision).collect(),
                    None => text,
                })
            }
            'c' => plain(character(value)?.to_string()),
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
                let number = whole(kind, value)?;
                let mut digits = integer_digits(&number, kind, self.budget)?;
                if let Some(precision) = precision {
                    digits = padded("", &digits, Padding { fill: '0', align: '>', width: precision }, self.budget)?;
                }
                let prefix = match kind {
                    'o' | 'x' | 'X' if flags.alternate => format!("0{kind}"),
                    _ => String::new(),
                };
                self.number(number.is_negative(), &prefix, &digits, flags, width)
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number = match (value.as_f64(), value) {
                    (Some(number), _) => number,
                    (None, Value::Undefined(what)) => return fault(&**what),
                    _ => return fault(format!("must be real number, not {}", value.type_name())),
                };
                let digits = float_digits(number, kind, precision.unwrap_or(6), flags.alternate, self.budget)?;
                self.number(number.is_sign_negative() && !number.is_nan(), "", &digits, flags, width)
            }
            other => fault(format!("unsupported format character '{other}'")),
        }
    }

    fn text_of(&self, kind: char, value: &Value) -> Res<String> {
        let mut text = String::new();
        match (kind, value) {
            ('s', value) => {
                value.push_text(&mut text, self.budget)?;
                if self.escapes && !matches!(value, Value::Markup(_)) {
                    text = html_escaped(&text);
                }
            }
            ('a', Value::Text(own)) => push_repr(&mut text, own, true),
            _ => value.push_repr(&mut text, self.budget)?,
        }
        Ok(text)
    }

    fn number(&self, negative: bool, prefix: &str, digits: &str, flags: &Flags, width: usize) -> Res<String> {
        let sign = match (negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let zeros = flags.zero && !flags.left;
        let align = if flags.left { '<' } else if zeros { '=' } else { '>' };
        let fill = if zeros { '0' } else { ' ' };
        padded(&format!("{sign}{prefix}"), digits, Padding { fill, align, width }, self.budget)
    }
}

fn character(value: &Value) -> Res<char> {
    if let Some(number) = value.as_i64() {
        return match u32::try_from(number).ok().and_then(char::from_u32) {
            Some(c) => Ok(c),
            None => fault("%c arg not in range(0x110000)"),
        };
    }
    let mut characters = value.as_str().unwrap_or_default().chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(only),
        _ => fault("%c requires int or char"),
    }
}

fn whole(kind: char, value: &Value) -> Res<BigInt> {
    if let Some(number) = value.as_big() {
        return Ok(number);
    }
    match value {
        Value::Float(number) if matches!(kind, 'd' | 'i' | 'u') => match BigInt::from_f64(number.trunc()) {
            Some(number) => Ok(number),
            None => fault("cannot convert float infinity or NaN to integer"),
        },
        Value::Undefined(what) => fault(&**what),
        other => fault(format!("%{kind} format: a real number is required, not {}", other.type_name())),
    }
}
