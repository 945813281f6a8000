//! Hugging Face's `tokenizers` and `safetensors`, chat templates, rows of Parquet and Arrow files, and files compressed with gzip or Zstandard, for C. The interface is ../rust_bridge.h.

mod boundary;
mod bounded;
mod chat_rendering;
mod chat_template;
mod class_labels;
mod compressed_file;
mod gemma_training;
mod jinja;
mod name_pattern;
mod python_time;
mod row_batches;
mod row_json;
mod row_reader;
mod safetensors_fault;
mod safetensors_file;
mod token_encoding;
mod tokenizer;
mod tokenizer_parts;
