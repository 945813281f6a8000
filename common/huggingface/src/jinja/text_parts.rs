//! Cutting texts up and putting others in, as Python's methods do.

use super::budget::Budget;
use super::fault::{fault, Res};
use super::text::{char_len, is_space};

#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    Left,
    Right,
}

/// At most `count` cuts, counted from `side`; a negative count has no end.
pub fn split<'t>(text: &'t str, separator: Option<&str>, count: i64, side: Side, budget: &Budget) -> Res<Vec<&'t str>> {
    budget.spend_bytes(text.len())?;
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    match (separator, side) {
        (Some(""), _) => return fault("empty separator"),
        (Some(separator), Side::Left) => parts.extend(text.splitn(most.saturating_add(1), separator)),
        (Some(separator), Side::Right) => parts.extend(text.rsplitn(most.saturating_add(1), separator)),
        (None, Side::Left) => {
            let mut rest = text.trim_start_matches(is_space);
            while !rest.is_empty() {
                let end = rest.find(is_space).filter(|_| parts.len() < most);
                let Some(end) = end else {
                    parts.push(rest);
                    break;
                };
                parts.push(&rest[..end]);
                rest = rest[end..].trim_start_matches(is_space);
            }
        }
        (None, Side::Right) => {
            let mut rest = text.trim_end_matches(is_space);
            while !rest.is_empty() {
                let begin = rest.char_indices().rfind(|(_, c)| is_space(*c)).filter(|_| parts.len() < most);
                let Some((begin, space)) = begin else {
                    parts.push(rest);
                    break;
                };
                parts.push(&rest[begin + space.len_utf8()..]);
                rest = rest[..begin].trim_end_matches(is_space);
            }
        }
    }
    if side == Side::Right {
        parts.reverse();
    }
    budget.spend_items(parts.len())?;
    Ok(parts)
}

pub fn partition<'t>(text: &'t str, separator: &'t str, side: Side) -> Res<[&'t str; 3]> {
    if separator.is_empty() {
        return fault("empty separator");
    }
    let found = if side == Side::Left { text.find(separator) } else { text.rfind(separator) };
    Ok(match (found, side) {
        (Some(place), _) => [&text[..place], &text[place..place + separator.len()], &text[place + separator.len()..]],
        (None, Side::Left) => [text, "", ""],
        (None, Side::Right) => ["", "", text],
    })
}

pub fn replaced(text: &str, old: &str, new: &str, count: i64, budget: &Budget) -> Res<String> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() { char_len(text) + 1 } else { text.matches(old).count() };
    budget.spend_bytes(text.len().saturating_add(new.len().saturating_mul(found.min(most))))?;
    Ok(text.replacen(old, new, most))
}

pub fn expanded_tabs(text: &str, width: usize, budget: &Budget) -> Res<String> {
    budget.spend_bytes(text.matches('\t').count().saturating_mul(width))?;
    let (mut result, mut column) = (String::new(), 0);
    for c in text.chars() {
        match c {
            '\t' => {
                let spaces = if width == 0 { 0 } else { width - column % width };
                result.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            c => {
                result.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    Ok(result)
}
