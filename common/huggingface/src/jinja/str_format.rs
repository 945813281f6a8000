//! `'{}'.format(x)`: Python's replacement fields and format specifications.

use super::arguments::Arguments;
use super::attributes::{attribute, item};
use super::budget::Budget;
use super::fault::{fault, Res};
use super::number_format::{float_digits, integer_digits, padded, Padding};
use super::text::push_repr;
use super::value::Value;
use num_traits::Signed;
use std::iter::Peekable;
use std::str::Chars;

/// Fields inside a field's specification, as in Python.
const DEEPEST: usize = 2;

struct Fields<'a> {
    arguments: &'a Arguments,
    next: usize,
    budget: &'a Budget,
}

pub fn formatted(format: &str, arguments: &Arguments, budget: &Budget) -> Res<String> {
    Fields { arguments, next: 0, budget }.formatted(format, DEEPEST)
}

impl Fields<'_> {
    fn formatted(&mut self, format: &str, depth: usize) -> Res<String> {
        if depth == 0 {
            return fault("Max string recursion exceeded");
        }
        self.budget.spend_bytes(format.len())?;
        let mut text = String::new();
        let mut rest = format;
        while let Some(place) = rest.find(['{', '}']) {
            text.push_str(&rest[..place]);
            let (mark, after) = rest[place..].split_at(1);
            if let Some(after) = after.strip_prefix(mark) {
                text.push_str(mark);
                rest = after;
            } else if mark == "}" {
                return fault("Single '}' encountered in format string");
            } else {
                let mut open = 1;
                let end = after.find(|c| {
                    open += i32::from(c == '{') - i32::from(c == '}');
                    open == 0
                });
                let Some(end) = end else { return fault("expected '}' before end of string") };
                text.push_str(&self.field(&after[..end], depth)?);
                rest = &after[end + 1..];
            }
        }
        text.push_str(rest);
        Ok(text)
    }

    fn field(&mut self, field: &str, depth: usize) -> Res<String> {
        self.budget.spend(1)?;
        let mut brackets = 0;
        let name_end = field.find(|c| {
            brackets += i32::from(c == '[') - i32::from(c == ']');
            brackets <= 0 && matches!(c, '!' | ':')
        });
        let (name, rest) = field.split_at(name_end.unwrap_or(field.len()));
        let (conversion, specification) = match rest.strip_prefix('!') {
            Some(conversion) => match conversion.split_once(':') {
                Some((conversion, specification)) => (Some(conversion), specification),
                None => (Some(conversion), ""),
            },
            None => (None, rest.strip_prefix(':').unwrap_or_default()),
        };
        let mut value = self.value(name)?;
        if let Some(conversion) = conversion {
            value = self.converted(&value, conversion)?;
        }
        let specification = self.formatted(specification, depth - 1 + usize::from(specification.is_empty()))?;
        format_value(&value, &specification, self.budget)
    }

    fn converted(&self, value: &Value, conversion: &str) -> Res<Value> {
        let mut text = String::new();
        match (conversion, value) {
            ("s", value) => value.push_text(&mut text, self.budget)?,
            ("a", Value::Text(own)) => push_repr(&mut text, own, true),
            ("r" | "a", value) => value.push_repr(&mut text, self.budget)?,
            _ => return fault(format!("Unknown conversion specifier '{conversion}'")),
        }
        Ok(Value::text(text))
    }

    /// By a name or number, and what follows it: ".field" and "[item]".
    fn value(&mut self, name: &str) -> Res<Value> {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut rest) = name.split_at(end);
        let mut value = self.first_value(first)?;
        while !rest.is_empty() {
            if let Some(field) = rest.strip_prefix('.') {
                let end = field.find(['.', '[']).unwrap_or(field.len());
                value = attribute(&value, &field[..end])?;
                rest = &field[end..];
            } else {
                let inside = rest[1..].split_once(']');
                let Some((inside, after)) = inside else { return fault("Missing ']' in format string") };
                let key = inside.parse().map_or_else(|_| Value::text(inside), Value::Int);
                value = item(&value, &key, self.budget)?;
                rest = after;
            }
        }
        Ok(value)
    }

    fn first_value(&mut self, name: &str) -> Res<Value> {
        let place = if name.is_empty() {
            self.next += 1;
            Some(self.next - 1)
        } else {
            name.parse().ok()
        };
        let value = match place {
            Some(place) => self.arguments.list.get(place),
            None => self.arguments.named.iter().find(|(own, _)| **own == *name).map(|(_, value)| value),
        };
        match (value, place) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(place)) => fault(format!("Replacement index {place} out of range for positional args tuple")),
            (None, None) => fault(format!("'{name}'")),
        }
    }
}

struct Specification {
    fill: Option<char>,
    align: Option<char>,
    sign: char,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Specification {
    fn read(text: &str) -> Option<Self> {
        let mut rest = text.chars().peekable();
        let is_align = |c: &char| "<>=^".contains(*c);
        let fill = if text.chars().nth(1).is_some_and(|c| is_align(&c)) { rest.next() } else { None };
        let align = rest.next_if(is_align);
        let sign = rest.next_if(|c| "+- ".contains(*c)).unwrap_or('-');
        rest.next_if_eq(&'z');
        let alternate = rest.next_if_eq(&'#').is_some();
        let zero = rest.next_if_eq(&'0').is_some();
        let width = Self::number(&mut rest)?.unwrap_or_default();
        let grouping = rest.next_if(|c| matches!(c, ',' | '_'));
        let precision = match rest.next_if_eq(&'.') {
            Some(_) => Some(Self::number(&mut rest)??),
            None => None,
        };
        let kind = rest.next();
        rest.next().is_none().then_some(Self { fill, align, sign, alternate, zero, width, grouping, precision, kind })
    }

    /// None where it is too large.
    fn number(text: &mut Peekable<Chars>) -> Option<Option<usize>> {
        let mut number: Option<usize> = None;
        while let Some(digit) = text.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
            number = Some(number.unwrap_or_default().checked_mul(10)?.checked_add(digit as usize)?);
        }
        Some(number)
    }

    fn padding(&self, align: char) -> Padding {
        let zero_align = if self.zero && align == '>' { '=' } else { align };
        Padding {
            fill: self.fill.unwrap_or(if self.zero { '0' } else { ' ' }),
            align: self.align.unwrap_or(zero_align),
            width: self.width,
        }
    }
}

/// Python's `format(value, specification)`.
pub fn format_value(value: &Value, specification: &str, budget: &Budget) -> Res<String> {
    if specification.is_empty() {
        return Ok(value.to_text(budget)?.to_string());
    }
    let Some(read) = Specification::read(specification) else {
        return fault(format!("Invalid format specifier '{specification}' for object of type '{}'", value.type_name()));
    };
    let is_float_kind = read.kind.is_some_and(|kind| "eEfFgG%".contains(kind));
    match value {
        Value::Text(text) | Value::Markup(text) if matches!(read.kind, None | Some('s')) => {
            let text: String = text.chars().take(read.precision.unwrap_or(usize::MAX)).collect();
            padded("", &text, read.padding('<'), budget)
        }
        Value::Bool(_) | Value::Int(_) | Value::Big(_) if !is_float_kind => format_integer(value, &read, budget),
        Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_) if is_float_kind || read.kind.is_none() => {
            format_float(value.as_f64().unwrap_or(f64::INFINITY), &read, budget)
        }
        Value::Undefined(_) | Value::Text(_) | Value::Markup(_) | Value::Float(_) => fault(format!(
            "Unknown format code '{}' for object of type '{}'",
            read.kind.unwrap_or('s'),
            value.type_name()
        )),
        other => fault(format!("unsupported format string passed to {}.__format__", other.type_name())),
    }
}

fn format_integer(value: &Value, specification: &Specification, budget: &Budget) -> Res<String> {
    let kind = specification.kind.unwrap_or('d');
    let number = value.as_big().unwrap_or_default();
    let group = match kind {
        'c' => {
            let c = value.as_i64().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
            let Some(c) = c else { return fault("%c arg not in range(0x110000)") };
            return padded("", &c.to_string(), specification.padding('<'), budget);
        }
        'd' | 'n' => 3,
        'b' | 'o' | 'x' | 'X' => 4,
        other => return fault(format!("Unknown format code '{other}' for object of type 'int'")),
    };
    let digits = integer_digits(&number, kind, budget)?;
    let prefix = if specification.alternate && group == 4 { format!("0{kind}") } else { String::new() };
    format_number(number.is_negative(), &prefix, &digits, group, specification, budget)
}

fn format_float(number: f64, specification: &Specification, budget: &Budget) -> Res<String> {
    let digits = match (specification.kind, specification.precision) {
        (Some(kind), precision) => float_digits(number, kind, precision.unwrap_or(6), specification.alternate, budget)?,
        (None, Some(precision)) => {
            // As "g", but with a digit behind the point.
            let text = float_digits(number, 'g', precision, false, budget)?;
            let is_whole = number.is_finite() && !text.contains(['.', 'e']);
            if !is_whole {
                text
            } else if text.len() >= precision.max(1) {
                float_digits(number, 'e', precision.max(1) - 1, false, budget)?
            } else {
                text + ".0"
            }
        }
        (None, None) => super::text::float_text(number.abs()),
    };
    format_number(number.is_sign_negative() && !number.is_nan(), "", &digits, 3, specification, budget)
}

fn format_number(
    negative: bool,
    prefix: &str,
    digits: &str,
    group: usize,
    specification: &Specification,
    budget: &Budget,
) -> Res<String> {
    let sign = match (negative, specification.sign) {
        (true, _) => "-",
        (false, '+') => "+",
        (false, ' ') => " ",
        _ => "",
    };
    let sign = format!("{sign}{prefix}");
    let padding = specification.padding('>');
    let Some(separator) = specification.grouping else { return padded(&sign, digits, padding, budget) };
    let end = digits.find(['.', 'e', '%']).filter(|_| group == 3).unwrap_or(digits.len());
    let (mut whole, rest) = (digits[..end].to_string(), &digits[end..]);
    if padding.fill == '0' && padding.align == '=' {
        // The zeros are grouped too.
        let room = padding.width.saturating_sub(sign.len() + rest.len());
        let count = room - room / (group + 1) + usize::from(room > 0 && room % (group + 1) == 0);
        budget.spend_bytes(count)?;
        whole = "0".repeat(count.saturating_sub(whole.len())) + &whole;
    }
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % group == 0 {
            grouped.push(separator);
        }
        grouped.push(digit);
    }
    padded(&sign, &(grouped + rest), padding, budget)
}
