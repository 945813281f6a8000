//! Hugging Face's `tokenizers` and `safetensors`, and chat templates, for C. The interface is ../rust_bridge.h.

mod boundary;
mod bounded;
mod chat_rendering;
mod chat_template;
mod gemma_training;
mod python_json;
mod python_time;
mod safetensors_file;
mod tokenizer;
