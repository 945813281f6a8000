/* What the Rust library offers to C: Hugging Face's `tokenizers` and `safetensors`, chat templates, rows of Parquet and
 * Arrow files, and compressed files. Only tokenizer.cc, safetensors.cc, chat_template.cc, row_file.cc and
 * compressed_file.cc include this; everybody else uses their headers.
 *
 * A function that can fail returns its message; `data` is NULL where it succeeded. On failure no output is written. No
 * Rust panic leaves the library: it comes back as a message too. Owned values go back through their own free function.
 * A handle that is passed as const may be used by several threads at once. */
#ifndef EQUIPOISE_COMMON_HUGGINGFACE_RUST_BRIDGE_H_
#define EQUIPOISE_COMMON_HUGGINGFACE_RUST_BRIDGE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char* data; /* not NUL-terminated; may be NULL if size is 0 */
  size_t size;
} eqhf_text; /* borrowed */

typedef struct {
  char* data; /* not NUL-terminated */
  size_t size;
} eqhf_string; /* owned: eqhf_string_free */

typedef struct {
  int32_t* data;
  size_t size;
} eqhf_ids; /* owned: eqhf_ids_free */

void eqhf_string_free(eqhf_string string);
void eqhf_ids_free(eqhf_ids ids);

/* ---- tokenizers ---- */
typedef struct eqhf_tokenizer eqhf_tokenizer; /* owned: eqhf_tokenizer_free */

/* `json` is the content of a tokenizer.json. Its truncation and padding are switched off: callers do those. */
eqhf_string eqhf_tokenizer_from_json(eqhf_text json, eqhf_tokenizer** tokenizer);
void eqhf_tokenizer_free(eqhf_tokenizer* tokenizer);
/* `ids` has room for num_texts. `time_ms`: of a processor, for one text. On failure `failed` is the place of the text
 * that the message is about; a thread that worked on it too long goes on until the process ends. */
eqhf_string eqhf_tokenizer_encode(const eqhf_tokenizer* tokenizer, const eqhf_text* texts, size_t num_texts,
                                  int add_special_tokens, size_t threads, uint64_t time_ms, eqhf_ids* ids,
                                  size_t* failed);
eqhf_string eqhf_tokenizer_decode(const eqhf_tokenizer* tokenizer, const int32_t* ids, size_t num_ids,
                                  int skip_special_tokens, eqhf_string* text);
size_t eqhf_tokenizer_vocab_size(const eqhf_tokenizer* tokenizer);
int64_t eqhf_tokenizer_token_to_id(const eqhf_tokenizer* tokenizer, eqhf_text token); /* -1 if unknown */

/* `told`, which may be NULL, hears which part is being done, 0 counting words, 1 merging tokens, and what share of it
 * is done. Another result than 0 ends the training, which has failed then. */
typedef struct {
  int (*told)(void* context, int part, double share);
  void* context;
} eqhf_watcher; /* borrowed */

/* Trains in Gemma's layout; `json` is the content of the new tokenizer.json. */
eqhf_string eqhf_train_gemma_tokenizer(const eqhf_text* texts, size_t num_texts, size_t vocab_size,
                                       eqhf_watcher watcher, eqhf_string* json);

/* ---- chat templates ---- */
typedef struct eqhf_chat_template eqhf_chat_template; /* owned: eqhf_chat_template_free */

/* JSON: two lists of messages, the second after the first, a list of tools and an object of variables. Empty: none. */
typedef struct {
  eqhf_text messages;
  eqhf_text more_messages;
  eqhf_text tools;
  eqhf_text variables;
  int add_generation_prompt;
} eqhf_chat; /* borrowed */

/* `variables` is a JSON object of what every chat has, such as bos_token; `now` in seconds since 1970. */
eqhf_string eqhf_chat_template_new(eqhf_text source, eqhf_text variables, int64_t now,
                                   eqhf_chat_template** chat_template);
void eqhf_chat_template_free(eqhf_chat_template* chat_template);
/* `texts` has room for num_chats. On failure `failed` is the place of the chat that the message is about. */
eqhf_string eqhf_chat_template_render(const eqhf_chat_template* chat_template, const eqhf_chat* chats, size_t num_chats,
                                      size_t threads, eqhf_string* texts, size_t* failed);

/* ---- names ---- */
/* `is_match` has room for num_names: 1 where `pattern` matches the whole of a name, else 0. */
eqhf_string eqhf_match_names(eqhf_text pattern, const eqhf_text* names, size_t num_names, uint8_t* is_match);

/* ---- safetensors ---- */
typedef struct {
  eqhf_text name;
  eqhf_text dtype;
  const int64_t* shape;
  size_t rank;
  const uint8_t* data;
  size_t size;
} eqhf_tensor; /* borrowed */

typedef struct eqhf_safetensors eqhf_safetensors; /* owned: eqhf_safetensors_free */

/* Maps the file and checks all of its header. */
eqhf_string eqhf_safetensors_open(eqhf_text path, eqhf_safetensors** file);
void eqhf_safetensors_free(eqhf_safetensors* file);
size_t eqhf_safetensors_count(const eqhf_safetensors* file);
/* Ascending by name; index < count. What it points to lives as long as `file`. */
eqhf_tensor eqhf_safetensors_tensor(const eqhf_safetensors* file, size_t index);

/* The bytes a file with these tensors starts with (length and header), and in which order the tensors' bytes follow:
 * `order` has room for `num_tensors`. `metadata` is num_metadata keys, each followed by its value. */
eqhf_string eqhf_safetensors_header(const eqhf_tensor* tensors, size_t num_tensors, const eqhf_text* metadata,
                                    size_t num_metadata, eqhf_string* header, size_t* order);

/* ---- rows of Parquet files and Arrow streams ---- */
typedef struct eqhf_rows eqhf_rows; /* owned: eqhf_rows_free */

/* Reads `columns` alone, of which the file must have the first `num_required`. */
eqhf_string eqhf_rows_open(eqhf_text path, const eqhf_text* columns, size_t num_columns, size_t num_required,
                           eqhf_rows** rows);
void eqhf_rows_free(eqhf_rows* rows);
/* Some rows, each the JSON of an object and "\n", with 64 readable bytes behind all of them; lent until the next call.
 * Empty: there are no more. After a failure there is no next call. */
eqhf_string eqhf_rows_next(eqhf_rows* rows, eqhf_text* json);

/* Of the file, up to the last row that eqhf_rows_next has given; of a Parquet file the share that its rows are of all.
 */
uint64_t eqhf_rows_bytes_read(const eqhf_rows* rows);

/* A JSON list of names of columns that the file has and that are not read; lent for the life of `rows`. */
eqhf_text eqhf_rows_unread_columns(const eqhf_rows* rows);

/* ---- files compressed with gzip or zstd ---- */
typedef struct eqhf_compressed eqhf_compressed; /* owned: eqhf_compressed_free */

/* `format` is "gzip" or "zstd". */
eqhf_string eqhf_compressed_open(eqhf_text path, eqhf_text format, eqhf_compressed** file);
void eqhf_compressed_free(eqhf_compressed* file);
/* The next bytes, at most `size` and at least one; 0 at the end. After a failure there is no next call. */
eqhf_string eqhf_compressed_read(eqhf_compressed* file, char* bytes, size_t size, size_t* count);
/* Of the file itself; all of it at the end. */
uint64_t eqhf_compressed_bytes_read(eqhf_compressed* file);

#ifdef __cplusplus
}
#endif

#endif
