//! The `tojson` filter of transformers: Python's `json.dumps`, without HTML escapes.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

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
pub fn to_json(state: &State, value: &Value, arguments: Rest<Value>, named: Kwargs) -> Result<Value, Error> {
    let style = Style::from_arguments(&arguments, named)?;
    let mut writer = Writer { state, style, text: String::new() };
    writer.value(value, 0)?;
    Ok(Value::from(writer.text))
}

impl Style {
    fn from_arguments(arguments: &[Value], named: Kwargs) -> Result<Self, Error> {
        let argument = |place: usize, name: &str| -> Result<Value, Error> {
            let by_name: Option<Value> = named.get(name)?;
            Ok(by_name.or_else(|| arguments.get(place).cloned()).unwrap_or_default())
        };
        let ensure_ascii = argument(0, "ensure_ascii")?.is_true();
        let indent = indent_text(&argument(1, "indent")?)?;
        let separators = argument(2, "separators")?;
        let sort_keys = argument(3, "sort_keys")?.is_true();
        named.assert_all_used()?;
        let default_item_separator = if indent.is_some() { "," } else { ", " };
        let (item_separator, key_separator) = if separators.is_none() || separators.is_undefined() {
            (default_item_separator.to_string(), ": ".to_string())
        } else {
            (separators.get_item_by_index(0)?.to_string(), separators.get_item_by_index(1)?.to_string())
        };
        Ok(Style { ensure_ascii, indent, item_separator, key_separator, sort_keys })
    }
}

fn indent_text(indent: &Value) -> Result<Option<String>, Error> {
    if indent.is_none() || indent.is_undefined() {
        return Ok(None);
    }
    if let Some(text) = indent.as_str() {
        return Ok(Some(text.to_string()));
    }
    match indent.as_usize().filter(|spaces| *spaces <= 64) {
        Some(spaces) => Ok(Some(" ".repeat(spaces))),
        None => Err(Error::new(ErrorKind::InvalidOperation, "tojson takes an indent of up to 64 spaces")),
    }
}

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    style: Style,
    text: String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson of more than {DEEPEST} levels")));
        }
        // A shared value may be written many times: bytes are paid for as they are made.
        self.state.consume_fuel(1)?;
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.text.push_str(&number_text(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.map(value, depth)?,
            kind => {
                return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson of a value that is {kind}")));
            }
        }
        Ok(())
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        self.text.push('[');
        let mut count = 0;
        for item in list.try_iter()? {
            self.begin_item(count, depth)?;
            self.value(&item, depth + 1)?;
            count += 1;
        }
        self.end_items(count, depth)?;
        self.text.push(']');
        Ok(())
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.style.sort_keys {
            keys.sort_by_key(key_text);
        }
        self.text.push('{');
        for (count, key) in keys.iter().enumerate() {
            self.begin_item(count, depth)?;
            self.string(&key_text(key))?;
            self.text.push_str(&self.style.key_separator.clone());
            self.value(&map.get_item(key)?, depth + 1)?;
        }
        self.end_items(keys.len(), depth)?;
        self.text.push('}');
        Ok(())
    }

    fn begin_item(&mut self, place: usize, depth: usize) -> Result<(), Error> {
        if place > 0 {
            self.state.consume_fuel(self.style.item_separator.len() as u64 / 64)?;
            self.text.push_str(&self.style.item_separator.clone());
        }
        self.new_line(depth + 1)
    }

    fn end_items(&mut self, count: usize, depth: usize) -> Result<(), Error> {
        if count > 0 {
            self.new_line(depth)?;
        }
        Ok(())
    }

    fn new_line(&mut self, depth: usize) -> Result<(), Error> {
        let Some(indent) = &self.style.indent else { return Ok(()) };
        self.state.consume_fuel((indent.len() * depth) as u64 / 64)?;
        self.text.push('\n');
        for _ in 0..depth {
            self.text.push_str(indent);
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.state.consume_fuel(text.len() as u64 / 64)?;
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

fn key_text(key: &Value) -> String {
    match key.kind() {
        ValueKind::None => "null".into(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.into(),
        ValueKind::Number => number_text(key),
        _ => key.to_string(),
    }
}

/// As Python's repr(): the shortest digits that give the number back, with an exponent of two digits or more.
pub fn number_text(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(number) = f64::try_from(value.clone()) else { return value.to_string() };
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let text = format!("{number:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", digits.strip_suffix(".0").unwrap_or(digits), exponent.abs())
}
