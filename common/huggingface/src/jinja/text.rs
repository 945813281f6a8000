//! Texts and numbers as Python reads and writes them.

/// Python's `str.isspace`.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Python's `str.splitlines`.
pub fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end = |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let mark = match rest[end..].chars().next() {
            Some('\r') if rest[end + 1..].starts_with('\n') => 2,
            Some(c) => c.len_utf8(),
            None => 0,
        };
        lines.push(&rest[..if keep_ends { end + mark } else { end }]);
        rest = &rest[end + mark..];
    }
    lines
}

/// A text in a template's source, without its quotes.
pub fn unescaped(text: &str) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        result.push_str(&rest[..place]);
        let escape = &rest[place + 1..];
        let Some(kind) = escape.chars().next() else { return Err("syntax error: a text ends with \\".into()) };
        let after = &escape[kind.len_utf8()..];
        rest = after;
        match kind {
            '\n' => {}
            '\\' | '\'' | '"' => result.push(kind),
            'a' => result.push('\x07'),
            'b' => result.push('\x08'),
            'f' => result.push('\x0c'),
            'n' => result.push('\n'),
            'r' => result.push('\r'),
            't' => result.push('\t'),
            'v' => result.push('\x0b'),
            '0'..='7' => {
                let length = escape.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                result.push(character(&escape[..length], 8)?);
                rest = &escape[length..];
            }
            'x' | 'u' | 'U' => {
                let length = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = after.get(..length).ok_or_else(|| format!("syntax error: truncated \\{kind} escape"))?;
                result.push(character(digits, 16)?);
                rest = &after[length..];
            }
            'N' => return Err("syntax error: a \\N escape in a text".into()),
            _ => {
                result.push('\\');
                result.push(kind);
            }
        }
    }
    Ok(result + rest)
}

fn character(digits: &str, radix: u32) -> Result<char, String> {
    let code = digits.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok()).flatten();
    code.and_then(char::from_u32).ok_or_else(|| format!("syntax error: {digits:?} is no character's number"))
}

/// Python's `repr` of a text.
pub fn push_repr(into: &mut String, text: &str, ascii_only: bool) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    into.push(quote);
    for c in text.chars() {
        match c {
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            c if c == quote => {
                into.push('\\');
                into.push(c);
            }
            ' '..='~' => into.push(c),
            c if is_printable(c) && !ascii_only => into.push(c),
            c => push_escaped(into, c),
        }
    }
    into.push(quote);
}

pub fn push_escaped(into: &mut String, c: char) {
    let code = c as u32;
    into.push_str(&match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    });
}

pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // Behind another character, marks that join it are printed as they are.
    let mut bytes = [b'a', 0, 0, 0, 0];
    let size = c.encode_utf8(&mut bytes[1..]).len();
    std::str::from_utf8(&bytes[..=size]).is_ok_and(|text| !text.escape_debug().any(|escaped| escaped == '\\'))
}

/// Of the texts of the fewest digits that give `number` back, the one nearest to it, half to even as in Python: Rust takes
/// the upper one of two that are as near. "-1.25e-7", without ".0".
fn shortest_digits(number: f64) -> String {
    let shortest = format!("{number:e}");
    let digits = shortest.split_once('e').map_or(0, |(mantissa, _)| mantissa.bytes().filter(u8::is_ascii_digit).count());
    let nearest = format!("{number:.*e}", digits.saturating_sub(1));
    if nearest.parse() == Ok(number) { nearest } else { shortest }
}

/// Python's `repr` of a float: the shortest digits that give it back.
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let text = shortest_digits(number);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (minus, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{minus}{mantissa}e{sign}{:02}", exponent.abs());
    }
    if exponent < 0 {
        return format!("{minus}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{minus}{digits}{}.0", "0".repeat(whole - digits.len()));
    }
    format!("{minus}{}.{}", &digits[..whole], &digits[whole..])
}

pub fn char_len(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

/// Byte offset of the character at `place`, or the text's end.
pub fn byte_of(text: &str, place: usize) -> usize {
    if text.is_ascii() {
        return place.min(text.len());
    }
    text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte)
}

/// HTML's special characters, as markupsafe escapes them.
pub fn html_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&#34;"),
            c => escaped.push(c),
        }
    }
    escaped
}
