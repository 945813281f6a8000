//! Upper and lower case, as Python's methods have it.

pub fn is_all(text: &str, is: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is)
}

/// Python's `isdigit` (with superscripts and the like) or `isdecimal`.
pub fn is_digit(c: char, with_special: bool) -> bool {
    let special = matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉' | '①'..='⑨');
    if special {
        return with_special;
    }
    // Decimal digits of a script stand in tens, and are numeric without being letters or fractions.
    c.is_ascii_digit() || !c.is_ascii() && c.is_numeric() && is_other_decimal(c)
}

fn is_other_decimal(c: char) -> bool {
    const ZEROS: &[u32] = &[
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
        0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
        0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    ];
    ZEROS.iter().any(|zero| (*zero..zero + 10).contains(&(c as u32)))
}

/// At least one letter of the kind, and none of the other.
pub fn is_cased(text: &str, is: impl Fn(char) -> bool, is_other: impl Fn(char) -> bool) -> bool {
    text.chars().any(is) && !text.chars().any(is_other)
}

pub fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().into_iter().flat_map(title_case).collect();
    first + &characters.as_str().to_lowercase()
}

/// The few letters whose title case is not their upper case.
fn title_case(c: char) -> Vec<char> {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => vec!['ǅ'],
        'Ǉ' | 'ǈ' | 'ǉ' => vec!['ǈ'],
        'Ǌ' | 'ǋ' | 'ǌ' => vec!['ǋ'],
        'Ǳ' | 'ǲ' | 'ǳ' => vec!['ǲ'],
        'ß' => vec!['S', 's'],
        c => c.to_uppercase().collect(),
    }
}

fn has_case(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase() || matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ')
}

pub fn titled(text: &str) -> String {
    let mut inside = false;
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            result.extend(c.to_lowercase());
        } else {
            result.extend(title_case(c));
        }
        inside = has_case(c);
    }
    result
}

pub fn is_title(text: &str) -> bool {
    let (mut inside, mut any) = (false, false);
    for c in text.chars() {
        let upper = c.is_uppercase() || !c.is_lowercase() && has_case(c);
        if upper == inside && has_case(c) {
            return false;
        }
        inside = has_case(c);
        any |= inside;
    }
    any
}

pub fn swapped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            result.extend(c.to_lowercase());
        } else {
            result.extend(c.to_uppercase());
        }
    }
    result
}
