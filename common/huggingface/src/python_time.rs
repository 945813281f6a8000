//! The `strftime_now` function of transformers, at a time that the caller names.

use std::ffi::CString;
use std::mem::MaybeUninit;

/// Longer than any date a prompt names.
const LONGEST: usize = 256;

/// Seconds since 1970, as local time.
#[derive(Clone, Copy)]
pub struct Now(i64);

impl Now {
    pub fn new(seconds: i64) -> Self {
        Now(seconds)
    }

    pub fn format(self, format: &str) -> Result<String, String> {
        let refused = || format!("strftime_now({format:?}) gives no date");
        let c_format = CString::new(as_in_python(format)).map_err(|_| refused())?;
        let mut broken_down = MaybeUninit::<libc::tm>::uninit();
        let mut text = [0u8; LONGEST];
        // Safety: localtime_r fills all of `broken_down` or returns null; strftime writes at most LONGEST bytes.
        let size = unsafe {
            if libc::localtime_r(&self.0, broken_down.as_mut_ptr()).is_null() {
                return Err(refused());
            }
            libc::strftime(text.as_mut_ptr().cast(), LONGEST, c_format.as_ptr(), broken_down.as_ptr())
        };
        if size == 0 && !format.is_empty() {
            return Err(refused());
        }
        Ok(String::from_utf8_lossy(&text[..size]).into_owned())
    }
}

/// Python's own directives: microseconds, which a day's beginning has none of, and the zone, which a time without one has
/// not.
fn as_in_python(format: &str) -> String {
    let mut result = String::with_capacity(format.len());
    let mut characters = format.chars();
    while let Some(c) = characters.next() {
        match (c, characters.clone().next()) {
            ('%', Some('f')) => result.push_str("000000"),
            ('%', Some('z' | 'Z')) => {}
            ('%', Some(directive)) => {
                result.push('%');
                result.push(directive);
            }
            (c, _) => {
                result.push(c);
                continue;
            }
        }
        characters.next();
    }
    result
}
