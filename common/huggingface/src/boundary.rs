//! How values, errors and panics cross between Rust and C.

use std::any::Any;
use std::os::raw::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

/// Bytes lent by the caller for the length of one call, or by a handle for its life.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    data: *const c_char,
    size: usize,
}

// Safety: what it points to is lent for reading.
unsafe impl Sync for Text {}

impl Text {
    pub fn lend(text: &str) -> Self {
        Self::lend_bytes(text.as_bytes())
    }

    pub fn lend_bytes(bytes: &[u8]) -> Self {
        Text { data: bytes.as_ptr().cast(), size: bytes.len() }
    }

    /// # Safety
    /// `data` points to `size` bytes that outlive the result.
    pub unsafe fn bytes<'a>(&self) -> &'a [u8] {
        lent_slice(self.data.cast(), self.size)
    }

    /// # Safety
    /// As for `bytes`.
    pub unsafe fn utf8<'a>(&self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()).map_err(|fault| format!("is not UTF-8: {fault}"))
    }
}

/// A slice from a C pointer, which may be null where the slice is empty.
///
/// # Safety
/// `data` points to `size` values that outlive the result.
pub unsafe fn lent_slice<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

/// An array handed to the caller, who gives it back to be freed. Null data is "none".
#[repr(C)]
pub struct Owned<T> {
    data: *mut T,
    size: usize,
}

impl<T> Owned<T> {
    pub fn none() -> Self {
        Owned { data: std::ptr::null_mut(), size: 0 }
    }

    pub fn new(values: Vec<T>) -> Self {
        let size = values.len();
        Owned { data: Box::into_raw(values.into_boxed_slice()).cast(), size }
    }

    /// # Safety
    /// `self` came from `new` or `none` and was not freed before.
    unsafe fn free(self) {
        if !self.data.is_null() {
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.data, self.size)));
        }
    }
}

pub type OwnedText = Owned<u8>;

#[no_mangle]
pub unsafe extern "C" fn eqhf_string_free(string: OwnedText) {
    string.free();
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_ids_free(ids: Owned<i32>) {
    ids.free();
}

/// Runs `work`; its error or its panic becomes the message for the caller, none where it succeeds.
pub fn guarded(work: impl FnOnce() -> Result<(), String>) -> OwnedText {
    match caught(work).and_then(|result| result) {
        Ok(()) => Owned::none(),
        Err(message) => Owned::new(one_line(&message).into_bytes()),
    }
}

/// What `work` gives, or the words of its panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    silence_panics();
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| format!("the library gave up: {}", panic_text(panic.as_ref())))
}

/// What may be shown of a text that a file or a template made.
fn one_line(text: &str) -> String {
    const MOST: usize = 1000;
    let mut line: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        line.push_str("...");
    }
    line
}

/// As `guarded`, for functions that have no message to give.
pub fn guarded_or<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    silence_panics();
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}

/// A panic is reported by the message alone; the default hook would also print it to stderr.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}
