//! Reading a tokenizer.json, text to ids and back.

use crate::boundary::{guarded, guarded_or, lent_slice, Owned, OwnedText, Text};
use tokenizers::Tokenizer;

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_from_json(json: Text, tokenizer: *mut *mut Tokenizer) -> OwnedText {
    guarded(|| {
        let mut read = Tokenizer::from_bytes(json.bytes()).map_err(|fault| fault.to_string())?;
        read.with_truncation(None).map_err(|fault| fault.to_string())?;
        read.with_padding(None);
        *tokenizer = Box::into_raw(Box::new(read));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        guarded_or((), || drop(Box::from_raw(tokenizer)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_encode(
    tokenizer: &Tokenizer,
    text: Text,
    add_special_tokens: i32,
    ids: *mut Owned<i32>,
) -> OwnedText {
    guarded(|| {
        let text = text.utf8().map_err(|fault| format!("the text {fault}"))?;
        let encoding = tokenizer.encode_fast(text, add_special_tokens != 0).map_err(|fault| fault.to_string())?;
        let signed: Result<Vec<i32>, _> = encoding.get_ids().iter().map(|&id| i32::try_from(id)).collect();
        *ids = Owned::new(signed.map_err(|_| "a token id is above 2147483647".to_string())?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_decode(
    tokenizer: &Tokenizer,
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
        let decoded = tokenizer.decode(&unsigned?, skip_special_tokens != 0).map_err(|fault| fault.to_string())?;
        *text = Owned::new(decoded.into_bytes());
        Ok(())
    })
}

#[no_mangle]
pub extern "C" fn eqhf_tokenizer_vocab_size(tokenizer: &Tokenizer) -> usize {
    guarded_or(0, || tokenizer.get_vocab_size(true))
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_tokenizer_token_to_id(tokenizer: &Tokenizer, token: Text) -> i64 {
    guarded_or(-1, || token.utf8().ok().and_then(|token| tokenizer.token_to_id(token)).map_or(-1, i64::from))
}
