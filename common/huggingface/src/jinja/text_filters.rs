//! Jinja2's filters of texts.

use super::arguments::{flag, given, integer, integer_or, size, text, Arguments};
use super::arithmetic::like;
use super::fault::{fault, Res};
use super::number_format::float_digits;
use super::runtime::Runtime;
use super::text::{byte_of, char_len, html_escaped, lines};
use super::text_methods::{centered, stripped};
use super::text_parts::replaced;
use super::value::{Dict, Value};

pub type Filter = fn(&Runtime, Value, Arguments) -> Res<Value>;

pub fn by_name(name: &str) -> Option<Filter> {
    let filter: Filter = match name {
        "capitalize" => |runtime, value, arguments| cased(runtime, value, arguments, super::letters::capitalized),
        "lower" => |runtime, value, arguments| cased(runtime, value, arguments, str::to_lowercase),
        "upper" => |runtime, value, arguments| cased(runtime, value, arguments, str::to_uppercase),
        "title" => |runtime, value, arguments| cased(runtime, value, arguments, titled),
        "striptags" => |runtime, value, arguments| {
            arguments.none("striptags")?;
            Ok(Value::text(without_tags(&value.to_text(&runtime.budget)?)))
        },
        "string" => |runtime, value, arguments| {
            arguments.none("string")?;
            if value.as_str().is_some() { Ok(value) } else { Ok(Value::Text(value.to_text(&runtime.budget)?)) }
        },
        "trim" => trim,
        "center" => center,
        "e" | "escape" => escape,
        "forceescape" => |runtime, value, arguments| {
            let text = value.to_text(&runtime.budget)?;
            escape(runtime, Value::Text(text), arguments)
        },
        "safe" => |runtime, value, _| Ok(Value::Markup(value.to_text(&runtime.budget)?)),
        "replace" => replace,
        "format" => format,
        "indent" => indent,
        "truncate" => truncate,
        "wordwrap" => super::text_wrap::word_wrap,
        "wordcount" => word_count,
        "urlencode" => url_encode,
        "xmlattr" => xml_attributes,
        "filesizeformat" => file_size,
        "pprint" => super::pretty_print::pretty_print,
        "urlize" => |_, _, _| fault("urlize is not there for chat templates"),
        _ => return None,
    };
    Some(filter)
}

fn cased(runtime: &Runtime, value: Value, arguments: Arguments, change: fn(&str) -> String) -> Res<Value> {
    arguments.none("filter")?;
    let text = value.to_text(&runtime.budget)?;
    runtime.budget.spend_bytes(text.len())?;
    Ok(like(&value, change(&text)))
}

/// Unlike Python's method: words begin behind white space and opening brackets.
fn titled(text: &str) -> String {
    let mut begins = true;
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        if super::text::is_space(c) || "-({[<".contains(c) {
            begins = true;
            result.push(c);
        } else if std::mem::take(&mut begins) {
            result.extend(c.to_uppercase());
        } else {
            result.extend(c.to_lowercase());
        }
    }
    result
}

fn trim(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [characters] = arguments.bind("trim", ["chars"], 0)?;
    let characters = given(&characters).map(|characters| text(characters, "strip")).transpose()?;
    let own = value.to_text(&runtime.budget)?;
    Ok(like(&value, stripped(&own, characters, true, true, &runtime.budget)?))
}

fn center(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [width] = arguments.bind("center", ["width"], 0)?;
    let width = size(&width.unwrap_or(Value::Int(80)))?;
    Ok(like(&value, centered(&value.to_text(&runtime.budget)?, width, ' ', &runtime.budget)?))
}

fn escape(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("escape")?;
    if let Value::Markup(_) = value {
        return Ok(value);
    }
    let text = value.to_text(&runtime.budget)?;
    runtime.budget.spend_bytes(6 * text.len())?;
    Ok(Value::Markup(html_escaped(&text).into()))
}

fn replace(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [old, new, count] = arguments.bind("replace", ["old", "new", "count"], 2)?;
    let text_of = |value: Option<Value>| value.unwrap_or(Value::None).to_text(&runtime.budget);
    let (own, old, new) = (value.to_text(&runtime.budget)?, text_of(old)?, text_of(new)?);
    let count = given(&count).map_or(Ok(-1), integer)?;
    Ok(Value::text(replaced(&own, &old, &new, count, &runtime.budget)?))
}

fn format(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    if !arguments.list.is_empty() && !arguments.named.is_empty() {
        return fault("can't handle positional and keyword arguments at the same time");
    }
    let own = value.to_text(&runtime.budget)?;
    let values = if arguments.named.is_empty() {
        Value::tuple(arguments.list)
    } else {
        let named = arguments.named.into_iter().map(|(name, value)| (super::value::Key::text(name), value));
        Value::Dict(std::rc::Rc::new(named.collect::<Dict>()))
    };
    let escapes = matches!(value, Value::Markup(_));
    Ok(like(&value, super::printf::formatted(&own, &values, escapes, &runtime.budget)?))
}

fn indent(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [width, first, blank] = arguments.bind("indent", ["width", "first", "blank"], 0)?;
    let (first, blank) = (flag(&first, false), flag(&blank, false));
    let width = width.unwrap_or(Value::Int(4));
    let indention = match width.as_str() {
        Some(text) => text.to_string(),
        None => {
            let width = size(&width)?;
            runtime.budget.spend_bytes(width)?;
            " ".repeat(width)
        }
    };
    let own = text(&value, "indent")?.to_string() + "\n";
    let lines = lines(&own, false);
    runtime.budget.spend_bytes(own.len().saturating_add((indention.len() + 64).saturating_mul(lines.len())))?;
    let mut result = String::new();
    for (place, line) in lines.iter().enumerate() {
        if place > 0 {
            result.push('\n');
        }
        if (place == 0 && first) || (place > 0 && (blank || !line.is_empty())) {
            result.push_str(&indention);
        }
        result.push_str(line);
    }
    Ok(like(&value, result))
}

fn truncate(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [length, kill_words, end, leeway] = arguments.bind("truncate", ["length", "killwords", "end", "leeway"], 0)?;
    let (length, leeway) = (integer_or(&length, 255)?, given(&leeway).map_or(Ok(5), integer)?);
    let end = end.unwrap_or_else(|| Value::text("..."));
    let end = text(&end, "truncate")?;
    if length < char_len(end) as i64 || leeway < 0 {
        return fault(format!("expected length >= {}, got {length}", char_len(end)));
    }
    let own = text(&value, "truncate")?;
    runtime.budget.spend_bytes(own.len())?;
    if char_len(own) as i64 <= length.saturating_add(leeway) {
        return Ok(value);
    }
    let mut kept = &own[..byte_of(own, length as usize - char_len(end))];
    if !flag(&kill_words, false) {
        kept = kept.rsplit_once(' ').map_or(kept, |(words, _)| words);
    }
    Ok(like(&value, format!("{kept}{end}")))
}

fn word_count(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("wordcount")?;
    let text = value.to_text(&runtime.budget)?;
    runtime.budget.spend_bytes(text.len())?;
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    Ok(Value::int(words.count()))
}

/// Python's `urllib.parse.quote`.
fn quoted(text: &str, for_query: bool) -> String {
    let mut result = String::new();
    for byte in text.bytes() {
        match byte {
            b'/' if !for_query => result.push('/'),
            b' ' if for_query => result.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) => result.push(byte as char),
            byte => result.push_str(&format!("%{byte:02X}")),
        }
    }
    result
}

fn url_encode(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("urlencode")?;
    let budget = &runtime.budget;
    if value.as_str().is_some() || !value.is_iterable() {
        let text = value.to_text(budget)?;
        budget.spend_bytes(3 * text.len())?;
        return Ok(Value::text(quoted(&text, false)));
    }
    let pairs = match &value {
        Value::Dict(dict) => Value::View(super::value::View::Items, dict.clone()).items(budget)?,
        other => other.items(budget)?,
    };
    let mut parts = Vec::new();
    for pair in pairs {
        let Ok([key, value]) = <[Value; 2]>::try_from(pair.items(budget)?) else {
            return fault("urlencode wants pairs of a name and a value");
        };
        parts.push(format!("{}={}", quoted(&key.to_text(budget)?, true), quoted(&value.to_text(budget)?, true)));
        budget.spend_bytes(3 * parts.last().map_or(0, String::len))?;
    }
    Ok(Value::text(parts.join("&")))
}

fn xml_attributes(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [space] = arguments.bind("xmlattr", ["autospace"], 0)?;
    let Value::Dict(dict) = &value else { return fault("xmlattr wants a mapping") };
    let mut parts = Vec::new();
    for (key, value) in dict.iter().filter(|(_, value)| !matches!(value, Value::None | Value::Undefined(_))) {
        let key = text(key.value(), "xmlattr")?;
        if key.contains(|c: char| c.is_ascii_whitespace() || c == '\x0b' || "/>=".contains(c)) {
            return fault(format!("Invalid character in attribute name: '{key}'"));
        }
        let own = value.to_text(&runtime.budget)?;
        runtime.budget.spend_bytes(6 * own.len())?;
        let own = if matches!(value, Value::Markup(_)) { own.to_string() } else { html_escaped(&own) };
        parts.push(format!("{}=\"{own}\"", html_escaped(key)));
    }
    let text = parts.join(" ");
    Ok(Value::text(if flag(&space, true) && !text.is_empty() { format!(" {text}") } else { text }))
}

fn file_size(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [binary] = arguments.bind("filesizeformat", ["binary"], 0)?;
    let binary = flag(&binary, false);
    let bytes = super::number_filters::float_of(&value)?;
    let (base, letters) = if binary { (1024f64, "KMGTPEZY") } else { (1000f64, "kMGTPEZY") };
    if bytes == 1.0 {
        return Ok(Value::text("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::text(format!("{} Bytes", bytes.trunc() as i64)));
    }
    let unit = "iB";
    for (place, letter) in letters.chars().enumerate() {
        let next = base.powi(place as i32 + 2);
        if bytes < next || place == 7 {
            let number = float_digits(base * bytes / next, 'f', 1, false, &runtime.budget)?;
            return Ok(Value::text(format!("{number} {letter}{}", if binary { unit } else { "B" })));
        }
    }
    Ok(Value::None)
}

/// markupsafe's `striptags`: without comments and tags, white space made one space, entities as characters.
pub fn without_tags(text: &str) -> String {
    let without = |text: &str, begin: &str, end: &str| {
        let (mut result, mut rest) = (String::new(), text);
        while let Some(place) = rest.find(begin) {
            let Some(length) = rest[place..].find(end) else { break };
            result.push_str(&rest[..place]);
            rest = &rest[place + length + end.len()..];
        }
        result + rest
    };
    let text = without(&without(text, "<!--", "-->"), "<", ">");
    let words: Vec<&str> = text.split(super::text::is_space).filter(|word| !word.is_empty()).collect();
    super::text_wrap::html_unescaped(&words.join(" "))
}
