//! Regular expressions of names as Python reads them, look-around too, for C.

use crate::boundary::{guarded, lent_slice, OwnedText, Text};
use crate::bounded::{run, Limits};
use fancy_regex::RegexBuilder;
use std::time::Duration;

/// Longer than any list of a model's projections, written out.
const LONGEST_PATTERN: usize = 64 << 10;
/// Steps back for one name.
const BACKTRACKS: usize = 100_000;
const LIMITS: Limits = Limits { stack_bytes: 64 << 20, heap_bytes: 256 << 20, time: Duration::from_secs(20) };

/// For each name whether all of it matches.
fn matches(pattern: &str, names: &[String]) -> Result<Vec<bool>, String> {
    let whole = RegexBuilder::new(&format!("\\A(?:{pattern})\\z")).backtrack_limit(BACKTRACKS).build();
    let whole = whole.map_err(|fault| format!("no regular expression: {fault}"))?;
    names
        .iter()
        .map(|name| whole.is_match(name).map_err(|fault| format!("too much work for {name}: {fault}")))
        .collect()
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_match_names(
    pattern: Text,
    names: *const Text,
    num_names: usize,
    is_match: *mut u8,
) -> OwnedText {
    guarded(|| {
        let pattern = pattern.utf8()?.to_string();
        if pattern.len() > LONGEST_PATTERN {
            return Err(format!("{} bytes long, expected at most {LONGEST_PATTERN}", pattern.len()));
        }
        let names: Result<Vec<String>, String> =
            lent_slice(names, num_names).iter().map(|name| name.utf8().map(str::to_string)).collect();
        let names = names?;
        let found = run(&LIMITS, move || matches(&pattern, &names))??;
        for (place, found) in found.into_iter().enumerate() {
            *is_match.add(place) = u8::from(found);
        }
        Ok(())
    })
}
