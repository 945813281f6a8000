//! Tokens of a template, cut as Jinja2 does with `trim_blocks` and `lstrip_blocks`.

use super::fault::{fault_at, Res};
use super::text::is_space;

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Data(String),
    BlockBegin,
    BlockEnd,
    VariableBegin,
    VariableEnd,
    Name(String),
    Text(String),
    /// Decimal digits.
    Integer(String),
    Float(f64),
    Operator(&'static str),
    End,
}

#[derive(Clone)]
pub struct Token {
    pub line: u32,
    pub kind: Kind,
}

/// Longer ones first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":",
    "|", ",", ";",
];

pub struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    /// What was read last ended with a line.
    line_starting: bool,
    open: Vec<&'static str>,
    tokens: Vec<Token>,
}

/// Of a source whose lines end with "\n".
pub fn tokens_of(source: &str) -> Res<Vec<Token>> {
    let source = source.strip_suffix('\n').unwrap_or(source);
    let mut lexer = Lexer { source, at: 0, line: 1, line_starting: true, open: Vec::new(), tokens: Vec::new() };
    while lexer.at < source.len() {
        lexer.root()?;
    }
    lexer.push(Kind::End);
    Ok(lexer.tokens)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { line: self.line, kind });
    }

    fn push_data(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(Kind::Data(text.to_string()));
        }
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.source[self.at..self.at + bytes];
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count() as u32;
        self.line_starting = passed.ends_with('\n');
        self.at += bytes;
    }

    /// Text up to the next tag, and the tag.
    fn root(&mut self) -> Res<()> {
        let rest = self.rest();
        let Some((begin, tag)) = next_tag(rest) else {
            self.push_data(rest);
            self.advance(rest.len());
            return Ok(());
        };
        let after = &rest[begin + 2..];
        let sign = after.chars().next().filter(|c| matches!(c, '-' | '+'));
        let text = self.stripped(&rest[..begin], sign, tag != "{{");
        self.push_data(text);
        let raw = if tag == "{%" { raw_begin(after) } else { None };
        self.advance(begin);
        match (tag, raw) {
            (_, Some(length)) => {
                self.advance(2 + length);
                self.raw()
            }
            ("{#", _) => {
                self.advance(2 + sign.map_or(0, char::len_utf8));
                self.comment()
            }
            _ => {
                self.push(if tag == "{%" { Kind::BlockBegin } else { Kind::VariableBegin });
                self.advance(2 + sign.map_or(0, char::len_utf8));
                self.tag(tag == "{%")
            }
        }
    }

    /// Text before a tag: without the white space that the tag's sign or the line it begins takes away.
    fn stripped<'t>(&self, text: &'t str, sign: Option<char>, is_block: bool) -> &'t str {
        if sign == Some('-') {
            return text.trim_end_matches(is_space);
        }
        if sign == Some('+') || !is_block {
            return text;
        }
        let line = text.rfind('\n').map_or(0, |end| end + 1);
        let starts_line = line > 0 || self.line_starting;
        if starts_line && text[line..].chars().all(is_space) {
            return &text[..line];
        }
        text
    }

    fn comment(&mut self) -> Res<()> {
        let Some(end) = self.rest().find("#}") else {
            return fault_at(self.line, "syntax error: a comment has no end");
        };
        let sign = self.rest()[..end].chars().next_back();
        self.advance(end + 2 + after_end(&self.rest()[end + 2..], sign == Some('-'), sign != Some('+')));
        Ok(())
    }

    fn raw(&mut self) -> Res<()> {
        let rest = self.rest();
        let mut from = 0;
        while let Some(found) = rest[from..].find("{%") {
            let begin = from + found;
            let after = &rest[begin + 2..];
            if let Some((length, sign)) = raw_end(after) {
                let text = self.stripped(&rest[..begin], sign, true);
                self.push_data(text);
                self.advance(begin + 2 + length);
                return Ok(());
            }
            from = begin + 2;
        }
        fault_at(self.line, "syntax error: raw has no endraw")
    }

    /// Tokens up to the end of the tag.
    fn tag(&mut self, is_block: bool) -> Res<()> {
        let end = if is_block { "%}" } else { "}}" };
        loop {
            let rest = self.rest();
            let spaces = rest.len() - rest.trim_start_matches(is_space).len();
            if spaces > 0 {
                self.advance(spaces);
                continue;
            }
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if self.open.is_empty() {
                let sign = matches!(first, '-' | '+') && (is_block || first == '-');
                let body = if sign { &rest[1..] } else { rest };
                if let Some(after) = body.strip_prefix(end) {
                    self.push(if is_block { Kind::BlockEnd } else { Kind::VariableEnd });
                    let trims = is_block && first != '+';
                    let more = after_end(after, sign && first == '-', trims);
                    self.advance(usize::from(sign) + end.len() + more);
                    return Ok(());
                }
            }
            self.token(first)?;
        }
    }

    fn token(&mut self, first: char) -> Res<()> {
        if first.is_ascii_digit() {
            return self.number();
        }
        if first.is_alphanumeric() || first == '_' {
            let rest = self.rest();
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.push(Kind::Name(rest[..length].to_string()));
            self.advance(length);
            return Ok(());
        }
        if matches!(first, '\'' | '"') {
            return self.text(first);
        }
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.rest().starts_with(*operator)) else {
            return fault_at(self.line, format!("syntax error: unexpected character {first:?}"));
        };
        self.balance(operator)?;
        self.push(Kind::Operator(operator));
        self.advance(operator.len());
        Ok(())
    }

    fn balance(&mut self, operator: &'static str) -> Res<()> {
        let closing = match operator {
            "(" => ")",
            "[" => "]",
            "{" => "}",
            ")" | "]" | "}" => {
                return match self.open.pop() {
                    Some(wanted) if wanted == operator => Ok(()),
                    Some(wanted) => fault_at(self.line, format!("syntax error: unexpected {operator:?}, expected {wanted:?}")),
                    None => fault_at(self.line, format!("syntax error: unexpected {operator:?}")),
                };
            }
            _ => return Ok(()),
        };
        self.open.push(closing);
        Ok(())
    }

    fn number(&mut self) -> Res<()> {
        let rest = self.rest();
        let after_dot = self.source[..self.at].ends_with('.');
        if let Some(length) = float_length(rest).filter(|_| !after_dot) {
            let digits = rest[..length].replace('_', "");
            self.push(Kind::Float(digits.parse().unwrap_or(f64::INFINITY)));
            self.advance(length);
            return Ok(());
        }
        let (length, digits) = integer(rest);
        self.push(Kind::Integer(digits));
        self.advance(length);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Res<()> {
        let rest = self.rest();
        let mut escaped = false;
        for (place, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    let text = super::text::unescaped(&rest[1..place]).or_else(|what| fault_at(self.line, what))?;
                    self.push(Kind::Text(text));
                    self.advance(place + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        fault_at(self.line, "syntax error: a text has no end")
    }
}

/// The first of the three, and where it begins.
fn next_tag(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(1)).find_map(|i| match (bytes[i], bytes[i + 1]) {
        (b'{', b'%') => Some((i, "{%")),
        (b'{', b'{') => Some((i, "{{")),
        (b'{', b'#') => Some((i, "{#")),
        _ => None,
    })
}

/// White space that goes with the end of a tag.
fn after_end(text: &str, dash: bool, trims_line: bool) -> usize {
    if dash {
        return text.len() - text.trim_start_matches(is_space).len();
    }
    usize::from(trims_line && text.starts_with('\n'))
}

fn signed(text: &str) -> (Option<char>, &str) {
    match text.chars().next() {
        Some(sign @ ('-' | '+')) => (Some(sign), &text[1..]),
        _ => (None, text),
    }
}

/// Length of "raw %}" behind "{%".
fn raw_begin(text: &str) -> Option<usize> {
    let word = signed(text).1.trim_start_matches(is_space).strip_prefix("raw")?.trim_start_matches(is_space);
    let (dash, word) = word.strip_prefix('-').map_or((false, word), |word| (true, word));
    let after = word.strip_prefix("%}")?;
    Some(text.len() - after.len() + after_end(after, dash, false))
}

/// Length of "endraw %}" behind "{%", and the sign before.
fn raw_end(text: &str) -> Option<(usize, Option<char>)> {
    let (sign, word) = signed(text);
    let word = word.trim_start_matches(is_space).strip_prefix("endraw")?.trim_start_matches(is_space);
    let (end_sign, word) = signed(word);
    let after = word.strip_prefix("%}")?;
    Some((text.len() - after.len() + after_end(after, end_sign == Some('-'), end_sign.is_none()), sign))
}

/// Of digits with single underlines between them.
fn digits_length(text: &str, is_digit: impl Fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while length < bytes.len() {
        if is_digit(bytes[length]) {
            length += 1;
        } else if bytes[length] == b'_' && length > 0 && bytes.get(length + 1).is_some_and(|byte| is_digit(*byte)) {
            length += 2;
        } else {
            break;
        }
    }
    length
}

fn float_length(text: &str) -> Option<usize> {
    let decimal = |text: &str| digits_length(text, |byte| byte.is_ascii_digit());
    let mut length = decimal(text);
    let fraction = text[length..].strip_prefix('.').map_or(0, decimal);
    if fraction > 0 {
        length += 1 + fraction;
    }
    let exponent = text[length..].strip_prefix(['e', 'E']).map_or(0, |power| {
        let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
        let count = decimal(digits);
        if count == 0 { 0 } else { 1 + power.len() - digits.len() + count }
    });
    (fraction > 0 || exponent > 0).then_some(length + exponent)
}

/// Its length in the source, and its decimal digits.
fn integer(text: &str) -> (usize, String) {
    for (prefix, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
        if text.get(..2).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix)) {
            let length = digits_length(&text[2..], |byte| (byte as char).is_digit(radix));
            let digits = text[2..2 + length].replace('_', "");
            if let Some(number) = num_bigint::BigInt::parse_bytes(digits.as_bytes(), radix) {
                return (2 + length, number.to_string());
            }
        }
    }
    let zero = text.starts_with('0');
    let length = digits_length(text, |byte| if zero { byte == b'0' } else { byte.is_ascii_digit() });
    (length, if zero { "0".to_string() } else { text[..length].replace('_', "") })
}
