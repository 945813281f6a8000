//! Python's methods of texts.

use super::arguments::{flag, given, integer, integer_or, size, text, Arguments};
use super::arithmetic::like;
use super::attributes::part;
use super::budget::Budget;
use super::fault::{fault, Res};
use super::letters::{capitalized, is_all, is_cased, is_title, swapped, titled};
use super::number_format::{padded, Padding};
use super::text::{char_len, html_escaped, is_space, lines};
use super::text_parts::{expanded_tabs, partition, replaced, split, Side};
use super::value::Value;

pub fn call(own: &Value, name: &str, arguments: Arguments, budget: &Budget) -> Res<Value> {
    let own_text = own.as_str().unwrap_or_default();
    // Every method reads its text once.
    budget.spend_bytes(own_text.len())?;
    let made = |text: String| Ok(like(own, text));
    match name {
        "format" => made(super::str_format::formatted(own_text, &arguments, budget)?),
        "format_map" => {
            let [mapping] = arguments.bind(name, [""], 1)?;
            let Some(Value::Dict(dict)) = mapping else { return fault("format_map() argument must be a mapping") };
            let named = dict.iter().filter_map(|(key, value)| Some((key.value().as_str()?.into(), value.clone())));
            made(super::str_format::formatted(own_text, &Arguments { list: Vec::new(), named: named.collect() }, budget)?)
        }
        "split" | "rsplit" => {
            let [separator, count] = arguments.bind(name, ["sep", "maxsplit"], 0)?;
            let separator = given(&separator).map(|separator| text(separator, name)).transpose()?;
            let side = if name == "split" { Side::Left } else { Side::Right };
            let parts = split(own_text, separator, integer_or(&count, -1)?, side, budget)?;
            Ok(Value::list(parts.into_iter().map(|part| like(own, part)).collect()))
        }
        "splitlines" => {
            let [keep_ends] = arguments.bind(name, ["keepends"], 0)?;
            let lines = lines(own_text, flag(&keep_ends, false));
            budget.spend_items(lines.len())?;
            Ok(Value::list(lines.into_iter().map(|line| like(own, line)).collect()))
        }
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["", "", "count"], 2)?;
            let (old, new) = (old.unwrap_or(Value::None), new.unwrap_or(Value::None));
            let count = integer_or(&count, -1)?;
            made(replaced(own_text, text(&old, name)?, text(&new, name)?, count, budget)?)
        }
        "startswith" | "endswith" => affix(own_text, name, arguments),
        "find" | "rfind" | "index" | "rindex" | "count" => search(own_text, name, arguments, budget),
        "partition" | "rpartition" => {
            let [separator] = arguments.bind(name, [""], 1)?;
            let separator = separator.unwrap_or(Value::None);
            let side = if name == "partition" { Side::Left } else { Side::Right };
            let parts = partition(own_text, text(&separator, name)?, side)?;
            Ok(Value::tuple(parts.into_iter().map(|part| like(own, part)).collect()))
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = arguments.bind(name, [""], 1)?;
            let affix = affix.unwrap_or(Value::None);
            let affix = text(&affix, name)?;
            let rest = if name == "removeprefix" { own_text.strip_prefix(affix) } else { own_text.strip_suffix(affix) };
            made(rest.unwrap_or(own_text).to_string())
        }
        "strip" | "lstrip" | "rstrip" => {
            let [characters] = arguments.bind(name, [""], 0)?;
            let characters = given(&characters).map(|characters| text(characters, name)).transpose()?;
            made(stripped(own_text, characters, name != "rstrip", name != "lstrip", budget)?.to_string())
        }
        "join" => {
            let [list] = arguments.bind(name, [""], 1)?;
            join(own, &list.unwrap_or(Value::None), budget)
        }
        "center" | "ljust" | "rjust" | "zfill" => made(justified(own_text, name, arguments, budget)?),
        "expandtabs" => {
            let [width] = arguments.bind(name, ["tabsize"], 0)?;
            made(expanded_tabs(own_text, integer_or(&width, 8)?.max(0) as usize, budget)?)
        }
        "translate" => translated(own, arguments, budget),
        "encode" | "maketrans" => fault(format!("{name}() of a text is not there for chat templates")),
        "striptags" => {
            arguments.none(name)?;
            made(super::text_filters::without_tags(own_text))
        }
        _ => {
            arguments.none(name)?;
            simple(own, own_text, name)
        }
    }
}

/// Without arguments.
fn simple(own: &Value, text: &str, name: &str) -> Res<Value> {
    let changed = match name {
        "upper" => text.to_uppercase(),
        "lower" => text.to_lowercase(),
        "casefold" => text.to_lowercase().replace('ß', "ss"),
        "capitalize" => capitalized(text),
        "title" => titled(text),
        "swapcase" => swapped(text),
        _ => return Ok(Value::Bool(is_kind(text, name)?)),
    };
    Ok(like(own, changed))
}

fn is_kind(text: &str, name: &str) -> Res<bool> {
    Ok(match name {
        "isalnum" => is_all(text, char::is_alphanumeric),
        "isalpha" => is_all(text, char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => is_all(text, |c| super::letters::is_digit(c, name == "isdigit")),
        "isnumeric" => is_all(text, char::is_numeric),
        "isidentifier" => {
            text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        }
        "islower" => is_cased(text, char::is_lowercase, char::is_uppercase),
        "isupper" => is_cased(text, char::is_uppercase, char::is_lowercase),
        "isprintable" => text.chars().all(super::text::is_printable),
        "isspace" => is_all(text, is_space),
        "istitle" => is_title(text),
        _ => return fault(format!("'str' object has no method '{name}'")),
    })
}

pub fn stripped<'t>(text: &'t str, characters: Option<&str>, left: bool, right: bool, budget: &Budget) -> Res<&'t str> {
    budget.spend_bytes(text.len().saturating_mul(characters.map_or(1, str::len)) / 8)?;
    let goes = |c: char| characters.map_or_else(|| is_space(c), |characters| characters.contains(c));
    let text = if left { text.trim_start_matches(goes) } else { text };
    Ok(if right { text.trim_end_matches(goes) } else { text })
}

fn justified(text: &str, name: &str, arguments: Arguments, budget: &Budget) -> Res<String> {
    let [width, fill] = arguments.bind(name, ["", ""], 1)?;
    let width = size(&width.unwrap_or(Value::None))?;
    if name == "zfill" {
        let sign = text.len() - text.strip_prefix(['+', '-']).unwrap_or(text).len();
        return padded(&text[..sign], &text[sign..], Padding { fill: '0', align: '=', width }, budget);
    }
    let fill = match &fill {
        None => ' ',
        Some(fill) => {
            let mut characters = fill.as_str().unwrap_or_default().chars();
            match (characters.next(), characters.next()) {
                (Some(only), None) => only,
                _ => return fault("The fill character must be exactly one character long"),
            }
        }
    };
    if name == "center" {
        return centered(text, width, fill, budget);
    }
    padded("", text, Padding { fill, align: if name == "ljust" { '<' } else { '>' }, width }, budget)
}

/// The odd space goes to the left where the width is odd.
pub fn centered(text: &str, width: usize, fill: char, budget: &Budget) -> Res<String> {
    let length = char_len(text);
    let missing = width.saturating_sub(length);
    let left = missing / 2 + (missing & width & 1);
    let begun = padded("", text, Padding { fill, align: '>', width: length + left }, budget)?;
    padded("", &begun, Padding { fill, align: '<', width }, budget)
}

fn affix(own: &str, name: &str, arguments: Arguments) -> Res<Value> {
    let [affix, start, stop] = arguments.bind(name, ["", "", ""], 1)?;
    let place = |bound: &Option<Value>| given(bound).map(integer).transpose();
    let Some((_, own)) = part(own, place(&start)?, place(&stop)?) else { return Ok(Value::Bool(false)) };
    let has = |affix: &Value| match affix.as_str() {
        Some(affix) => Ok(if name == "startswith" { own.starts_with(affix) } else { own.ends_with(affix) }),
        None => fault(format!("{name} first arg must be str or a tuple of str, not {}", affix.type_name())),
    };
    match affix.unwrap_or(Value::None) {
        Value::Tuple(affixes) => {
            for affix in affixes.iter() {
                if has(affix)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        affix => has(&affix).map(Value::Bool),
    }
}

fn search(own: &str, name: &str, arguments: Arguments, budget: &Budget) -> Res<Value> {
    let [wanted, start, stop] = arguments.bind(name, ["", "", ""], 1)?;
    let wanted = wanted.unwrap_or(Value::None);
    let wanted = text(&wanted, name)?;
    let place = |bound: &Option<Value>| given(bound).map(integer).transpose();
    budget.spend_bytes(own.len())?;
    let Some((offset, own)) = part(own, place(&start)?, place(&stop)?) else {
        return if name.ends_with("index") { fault("substring not found") } else { Ok(Value::Int(if name == "count" { 0 } else { -1 })) };
    };
    if name == "count" {
        let count = if wanted.is_empty() { char_len(own) + 1 } else { own.matches(wanted).count() };
        return Ok(Value::int(count));
    }
    let found = if name.starts_with('r') { own.rfind(wanted) } else { own.find(wanted) };
    match found {
        Some(byte) => Ok(Value::int(offset + char_len(&own[..byte]))),
        None if name.ends_with("index") => fault("substring not found"),
        None => Ok(Value::Int(-1)),
    }
}

fn join(own: &Value, list: &Value, budget: &Budget) -> Res<Value> {
    let separator = own.as_str().unwrap_or_default();
    let items = list.items(budget)?;
    let mut joined = String::new();
    for (place, item) in items.iter().enumerate() {
        let Some(text) = item.as_str() else {
            return fault(format!("sequence item {place}: expected str instance, {} found", item.type_name()));
        };
        budget.spend_bytes(text.len() + separator.len() + 64)?;
        if place > 0 {
            joined.push_str(separator);
        }
        match (own, item) {
            (Value::Markup(_), Value::Text(text)) => joined.push_str(&html_escaped(text)),
            _ => joined.push_str(text),
        }
    }
    Ok(like(own, joined))
}

fn translated(own: &Value, arguments: Arguments, budget: &Budget) -> Res<Value> {
    let [table] = arguments.bind("translate", [""], 1)?;
    let Some(Value::Dict(table)) = table else { return fault("translate() wants a dictionary of characters' numbers") };
    let mut result = String::new();
    for c in own.as_str().unwrap_or_default().chars() {
        let key = super::value::Key::new(Value::Int(i64::from(c as u32)), budget)?;
        match table.get(&key) {
            None => result.push(c),
            Some(Value::None) => {}
            Some(Value::Text(text)) => {
                budget.spend_bytes(text.len())?;
                result.push_str(text);
            }
            Some(other) => match other.as_i64().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32) {
                Some(c) => result.push(c),
                None => return fault("character mapping must be in range(0x110000)"),
            },
        }
    }
    Ok(like(own, result))
}
