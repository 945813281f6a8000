//! Hugging Face's `tokenizers` and `safetensors` for C. The interface is ../rust_bridge.h.

mod boundary;
mod gemma_training;
mod safetensors_file;
mod tokenizer;
