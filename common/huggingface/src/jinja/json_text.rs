//! The `tojson` filter of transformers: Python's `json.dumps`, without HTML escapes.

use super::arguments::{flag, given, Arguments};
use super::budget::Budget;
use super::comparison::sorted;
use super::fault::{fault, Res};
use super::text::float_text;
use super::value::{big_text, Value};

/// Deeper than any tool's schema; writing recurses.
const DEEPEST: usize = 128;

struct Style {
    ensure_ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

/// `tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`
pub fn to_json(value: &Value, arguments: Arguments, budget: &Budget) -> Res<Value> {
    let style = Style::from_arguments(arguments, budget)?;
    let mut writer = Writer { budget, style, text: String::new() };
    writer.value(value, 0)?;
    Ok(Value::text(writer.text))
}

impl Style {
    fn from_arguments(arguments: Arguments, budget: &Budget) -> Res<Self> {
        let [ascii, indent, separators, sort] =
            arguments.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"], 0)?;
        let indent = given(&indent).map(indent_text).transpose()?;
        let mut style = Style {
            ensure_ascii: flag(&ascii, false),
            item_separator: if indent.is_some() { "," } else { ", " }.to_string(),
            indent,
            key_separator: ": ".to_string(),
            sort_keys: flag(&sort, false),
        };
        if let Some(separators) = given(&separators) {
            let Ok([item, key]) = <[Value; 2]>::try_from(separators.items(budget)?) else {
                return fault("tojson takes two separators, of items and of keys");
            };
            style.item_separator = item.to_text(budget)?.to_string();
            style.key_separator = key.to_text(budget)?.to_string();
        }
        Ok(style)
    }
}

fn indent_text(indent: &Value) -> Res<String> {
    if let Some(text) = indent.as_str() {
        return Ok(text.to_string());
    }
    match indent.as_i64() {
        Some(spaces) if spaces <= 64 => Ok(" ".repeat(spaces.max(0) as usize)),
        _ => fault("tojson takes an indent of up to 64 spaces"),
    }
}

struct Writer<'a> {
    budget: &'a Budget,
    style: Style,
    text: String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Res<()> {
        if depth > DEEPEST {
            return fault(format!("tojson of more than {DEEPEST} levels"));
        }
        // A shared value may be written many times: bytes are paid for as they are made.
        self.budget.spend(1)?;
        match value {
            Value::Text(text) | Value::Markup(text) => self.string(text)?,
            Value::List(items) | Value::Tuple(items) => self.list(items, depth)?,
            Value::Dict(_) => self.map(value, depth)?,
            other => match scalar_text(other, self.budget)? {
                Some(text) => self.text.push_str(&text),
                None => return fault(format!("tojson of a value that is {}", kind_of(other))),
            },
        }
        Ok(())
    }

    fn list(&mut self, items: &[Value], depth: usize) -> Res<()> {
        self.text.push('[');
        for (place, item) in items.iter().enumerate() {
            self.begin_item(place, depth)?;
            self.value(item, depth + 1)?;
        }
        self.end_items(items.len(), depth)?;
        self.text.push(']');
        Ok(())
    }

    fn map(&mut self, map: &Value, depth: usize) -> Res<()> {
        let Value::Dict(dict) = map else { return Ok(()) };
        let mut pairs: Vec<(Value, &Value)> = dict.iter().map(|(key, value)| (key.value().clone(), value)).collect();
        if self.style.sort_keys {
            pairs = sorted(pairs, false, self.budget)?;
        }
        self.text.push('{');
        for (place, (key, value)) in pairs.iter().enumerate() {
            self.begin_item(place, depth)?;
            match (key.as_str(), scalar_text(key, self.budget)?) {
                (Some(text), _) => self.string(text)?,
                (None, Some(text)) => self.string(&text)?,
                _ => {
                    let kind = key.type_name();
                    return fault(format!("keys must be str, int, float, bool or None, not {kind}"));
                }
            }
            self.text.push_str(&self.style.key_separator.clone());
            self.value(value, depth + 1)?;
        }
        self.end_items(pairs.len(), depth)?;
        self.text.push('}');
        Ok(())
    }

    fn begin_item(&mut self, place: usize, depth: usize) -> Res<()> {
        if place > 0 {
            self.budget.spend_bytes(self.style.item_separator.len())?;
            self.text.push_str(&self.style.item_separator.clone());
        }
        self.new_line(depth + 1)
    }

    fn end_items(&mut self, count: usize, depth: usize) -> Res<()> {
        if count > 0 {
            self.new_line(depth)?;
        }
        Ok(())
    }

    fn new_line(&mut self, depth: usize) -> Res<()> {
        let Some(indent) = &self.style.indent else { return Ok(()) };
        self.budget.spend_bytes(indent.len() * depth)?;
        self.text.push('\n');
        for _ in 0..depth {
            self.text.push_str(indent);
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Res<()> {
        self.budget.spend_bytes(text.len())?;
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                c if (c as u32) < 0x20 => self.text.push_str(&format!("\\u{:04x}", c as u32)),
                c if self.style.ensure_ascii && (c as u32) >= 0x7f => self.escaped(c),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
        Ok(())
    }

    /// In UTF-16, as JSON wants it. Python leaves the DEL character as it is.
    fn escaped(&mut self, c: char) {
        if c == '\u{7f}' {
            self.text.push(c);
            return;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            self.text.push_str(&format!("\\u{unit:04x}"));
        }
    }
}

/// Of what is neither a text nor holds others; None where JSON has nothing for it.
fn scalar_text(value: &Value, budget: &Budget) -> Res<Option<String>> {
    Ok(Some(match value {
        Value::None => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Big(number) => big_text(number, budget)?,
        Value::Float(number) if number.is_nan() => "NaN".into(),
        Value::Float(number) if number.is_infinite() => if *number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        Value::Float(number) => float_text(*number),
        _ => return Ok(None),
    }))
}

fn kind_of(value: &Value) -> String {
    if value.is_undefined() { "undefined".into() } else { format!("a {}", value.type_name()) }
}
