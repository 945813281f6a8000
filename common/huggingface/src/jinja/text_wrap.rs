//! Python's `textwrap` and `html.unescape`, as far as filters use them.

use super::arguments::{flag, given, integer_or, text, Arguments};
use super::fault::{fault, Res};
use super::runtime::Runtime;
use super::text::{byte_of, char_len, lines};
use super::value::Value;

/// The `wordwrap` filter.
pub fn word_wrap(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let [width, break_long, joint, hyphens] = arguments.bind("wordwrap", names, 0)?;
    let width = integer_or(&width, 79)?;
    if width <= 0 {
        return fault(format!("invalid width {width} (must be > 0)"));
    }
    let joint = given(&joint).map_or(Ok("\n"), |joint| text(joint, "wordwrap"))?;
    let wrapping =
        Wrapping { width: width as usize, breaks_words: flag(&break_long, true), hyphens: flag(&hyphens, true) };
    let own = text(&value, "wordwrap")?;
    runtime.budget.spend_bytes(8 * own.len())?;
    let mut paragraphs = Vec::new();
    for line in lines(own, false) {
        let wrapped = wrapping.lines(line);
        runtime.budget.spend_bytes((joint.len() + 64).saturating_mul(wrapped.len()))?;
        paragraphs.push(wrapped.join(joint));
    }
    Ok(Value::text(paragraphs.join(joint)))
}

struct Wrapping {
    width: usize,
    breaks_words: bool,
    hyphens: bool,
}

impl Wrapping {
    /// `textwrap.wrap` of one paragraph.
    fn lines(&self, text: &str) -> Vec<String> {
        let mut chunks: Vec<String> = chunks(text, self.hyphens);
        chunks.reverse();
        let mut lines = Vec::new();
        while !chunks.is_empty() {
            let (mut line, mut length) = (Vec::<String>::new(), 0);
            if !lines.is_empty() && chunks.last().is_some_and(|chunk| is_blank(chunk)) {
                chunks.pop();
            }
            while let Some(next) = chunks.last().map(|chunk| char_len(chunk)) {
                if length + next > self.width {
                    break;
                }
                length += next;
                line.extend(chunks.pop());
            }
            if chunks.last().is_some_and(|chunk| char_len(chunk) > self.width) {
                self.long_chunk(&mut chunks, &mut line, self.width - length);
            }
            if line.last().is_some_and(|chunk: &String| is_blank(chunk)) {
                line.pop();
            }
            if !line.is_empty() {
                lines.push(line.concat());
            }
        }
        lines
    }

    fn long_chunk(&self, chunks: &mut Vec<String>, line: &mut Vec<String>, room: usize) {
        let Some(chunk) = chunks.pop() else { return };
        if !self.breaks_words {
            if line.is_empty() {
                line.push(chunk);
            } else {
                chunks.push(chunk);
            }
            return;
        }
        let mut end = byte_of(&chunk, room.max(1));
        if self.hyphens {
            // A hyphen is a better end than any letter.
            let hyphen = chunk[..end].rfind('-').filter(|place| *place > 0 && chunk[..*place].contains(|c: char| c != '-'));
            end = hyphen.map_or(end, |place| place + 1);
        }
        line.push(chunk[..end].to_string());
        chunks.push(chunk[end..].to_string());
    }
}

fn is_blank(text: &str) -> bool {
    text.trim_matches(super::text::is_space).is_empty()
}

/// Words with the hyphens that end them, and the white space between.
fn chunks(text: &str, hyphens: bool) -> Vec<String> {
    let is_blank = |c: char| matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ');
    let mut chunks: Vec<String> = Vec::new();
    for c in text.chars() {
        match chunks.last_mut() {
            Some(last) if last.chars().next().is_some_and(is_blank) == is_blank(c) => last.push(c),
            _ => chunks.push(c.to_string()),
        }
    }
    if !hyphens {
        return chunks;
    }
    chunks.into_iter().flat_map(|chunk| hyphenated(&chunk)).collect()
}

/// A word cut behind hyphens between letters.
fn hyphenated(word: &str) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    let is_letter = |place: usize| characters.get(place).is_some_and(|c| c.is_alphabetic() || *c == '_');
    let mut parts = vec![String::new()];
    for (place, c) in characters.iter().enumerate() {
        if let Some(last) = parts.last_mut() {
            last.push(*c);
        }
        let before = place >= 2 && is_letter(place - 1) && (is_letter(place - 2) || characters[place - 2] == '-' && place >= 3);
        if *c == '-' && before && is_letter(place + 1) && (is_letter(place + 2) || characters.get(place + 2) == Some(&'-')) {
            parts.push(String::new());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Entities as the characters they name: by number, and HTML's first names.
pub fn html_unescaped(text: &str) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some(place) = rest.find('&') {
        result.push_str(&rest[..place]);
        let entity = &rest[place + 1..];
        match character(entity) {
            Some((c, length)) => {
                result.push(c);
                rest = &entity[length..];
            }
            None => {
                result.push('&');
                rest = entity;
            }
        }
    }
    result + rest
}

fn character(entity: &str) -> Option<(char, usize)> {
    if let Some(number) = entity.strip_prefix('#') {
        let (digits, radix) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (number, 10),
        };
        let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let c = char::from_u32(u32::from_str_radix(&digits[..length], radix).ok()?)?;
        let end = entity.len() - digits.len() + length;
        return Some((c, end + usize::from(entity[end..].starts_with(';'))));
    }
    const NAMES: [(&str, char); 12] = [
        ("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("nbsp", '\u{a0}'), ("copy", '©'), ("AMP", '&'), ("LT", '<'),
        ("GT", '>'), ("QUOT", '"'), ("reg", '®'), ("apos;", '\''),
    ];
    let (name, c) = NAMES.iter().find(|(name, _)| entity.starts_with(name))?;
    Some((*c, name.len() + usize::from(entity[name.len()..].starts_with(';'))))
}
