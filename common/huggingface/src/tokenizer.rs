//! Reading a tokenizer.json, text to ids and back.

use crate::boundary::{guarded, guarded_or, lent_slice, Owned, OwnedText, Text};
use crate::bounded::{run, Limits};
use crate::token_encoding::{encode_all, Settings};
use crate::tokenizer_parts::Encoder;
use std::sync::Arc;
use std::time::Duration;

/// Patterns and post-processors nest; what the library recurses over is bounded by serde_json and by its regular expressions.
const STACK_BYTES: usize = 256 << 20;
/// To read a file: twice what those of 256,000 tokens and 35 MB take.
const HEAP_BYTES: isize = 1 << 30;
const HEAP_BYTES_OF_A_BYTE: isize = 32;
const TIME: Duration = Duration::from_secs(120);

/// Threads that never end hold it, too.
type Handle = Arc<Encoder>;

fn limits(bytes: usize) -> Limits {
    let heap_bytes = HEAP_BYTES + HEAP_BYTES_OF_A_BYTE * bytes as isize;
    Limits { stack_bytes: STACK_BYTES, heap_bytes, time: TIME }
}

fn read(json: &[u8]) -> Result<Encoder, String> {
    let mut read: Encoder = serde_json::from_slice(json).map_err(|fault| fault.to_string())?;
    read.with_truncation(None).map_err(|fault| fault.to_string())?;
    read.with_padding(None);
    Ok(read)
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_from_json(json: Text, tokenizer: *mut *mut Handle) -> OwnedText {
    guarded(|| {
        let json = json.bytes().to_vec();
        let encoder = run(&limits(json.len()), move || read(&json))??;
        *tokenizer = Box::into_raw(Box::new(Arc::new(encoder)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_free(tokenizer: *mut Handle) {
    if !tokenizer.is_null() {
        guarded_or((), || drop(Box::from_raw(tokenizer)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_encode(
    tokenizer: &Handle,
    texts: *const Text,
    num_texts: usize,
    add_special_tokens: i32,
    threads: usize,
    time_ms: u64,
    ids: *mut Owned<i32>,
    failed: *mut usize,
) -> OwnedText {
    let settings =
        Settings { threads, add_special_tokens: add_special_tokens != 0, time: Duration::from_millis(time_ms) };
    guarded(|| match encode_all(tokenizer, lent_slice(texts, num_texts), settings) {
        Ok(lists) => {
            for (place, list) in lists.into_iter().enumerate() {
                *ids.add(place) = Owned::new(list);
            }
            Ok(())
        }
        Err((place, fault)) => {
            *failed = place;
            Err(fault)
        }
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_decode(
    tokenizer: &Handle,
    ids: *const i32,
    num_ids: usize,
    skip_special_tokens: i32,
    text: *mut OwnedText,
) -> OwnedText {
    guarded(|| {
        let unsigned: Result<Vec<u32>, String> = lent_slice(ids, num_ids)
            .iter()
            .map(|&id| u32::try_from(id).map_err(|_| format!("token id {id} is negative")))
            .collect();
        let (encoder, unsigned) = (tokenizer.clone(), unsigned?);
        let decoded = run(&limits(num_ids), move || {
            encoder.decode(&unsigned, skip_special_tokens != 0).map_err(|fault| fault.to_string())
        });
        *text = Owned::new(decoded??.into_bytes());
        Ok(())
    })
}

#[no_mangle]
pub extern "C" fn eqhf_tokenizer_vocab_size(tokenizer: &Handle) -> usize {
    guarded_or(0, || tokenizer.get_vocab_size(true))
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_token_to_id(tokenizer: &Handle, token: Text) -> i64 {
    guarded_or(-1, || token.utf8().ok().and_then(|token| tokenizer.token_to_id(token)).map_or(-1, i64::from))
}
