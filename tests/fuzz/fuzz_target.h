// What a fuzzer and the replay of its corpus run alike: one reader of hostile input, given one input.
#pragma once

#include <cstdint>
#include <span>

namespace equipoise {

// Returns whether the input was accepted. An input that is refused as it should be (std::invalid_argument with one
// line of text) returns false; anything else, as another exception or a result that breaks the reader's promise, ends
// the process.
using FuzzTarget = bool (*)(std::span<const std::uint8_t> input);

// common/huggingface/safetensors.h
bool fuzz_safetensors(std::span<const std::uint8_t> input);
// common/dataset/preference_pair.h: a JSONL file
bool fuzz_preferences(std::span<const std::uint8_t> input);
// common/dataset/preference_reader.h: a Parquet file or an Arrow stream
bool fuzz_tables(std::span<const std::uint8_t> input);
// worker/model/decoder_config.h: config.json of a model
bool fuzz_model_config(std::span<const std::uint8_t> input);
// common/huggingface/chat_template.h: template, messages, tools and variables with a zero byte between them. An absent
// part is a short chat, no tools, no variables.
bool fuzz_chat_template(std::span<const std::uint8_t> input);
// coordinator/http/http_request.h: bytes of a connection. Accepted where there was a request and none was refused.
bool fuzz_http_request(std::span<const std::uint8_t> input);
// common/config/job_config.h: the bytes of a JobSpec
bool fuzz_job_message(std::span<const std::uint8_t> input);
// common/config/job_file.h: a job's YAML
bool fuzz_job_text(std::span<const std::uint8_t> input);
// coordinator/job/training_jobs.h: a page token
bool fuzz_page_token(std::span<const std::uint8_t> input);
// common/checkpoint/checkpoint_manifest.h: manifest.json, with its digest or without
bool fuzz_manifest(std::span<const std::uint8_t> input);
// common/ledger/ledger_reader.h: ledger.bin, with its chain or without
bool fuzz_ledger(std::span<const std::uint8_t> input);
// coordinator/job/worker_calls.h, training_jobs.h, host_calls.h: messages of ranks and of people, one after the other.
// Accepted where each of them is.
bool fuzz_worker_messages(std::span<const std::uint8_t> input);
// common/log_linear/preference.h: a JSONL file
bool fuzz_log_linear(std::span<const std::uint8_t> input);

}  // namespace equipoise
