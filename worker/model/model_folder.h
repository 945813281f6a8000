// What is written into the folder of a model or an adapter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "worker/model/tensor_bytes.h"

namespace equipoise {

// A file's bytes, on disk when it returns. Throws std::invalid_argument if `source` cannot be read.
void copy_durably(const std::filesystem::path& source, const std::filesystem::path& target);

// What belongs to a model beside config.json and the weights: files of the tokenizer, of chat templates (also in
// additional_chat_templates/), of generation and of processors, Python code as text (also in custom_generate/) and its
// requirements, licences, notices and terms. Not the model card, which describes another model, nor weights in other
// formats, nor what a training noted about itself.
void copy_companions(const std::filesystem::path& source, const std::filesystem::path& target);

// The licences, notices and terms of an adapter that becomes part of what is in `target`. Where that has another file
// of the same name, LICENSE becomes adapter-LICENSE.
void copy_adapter_terms(const std::filesystem::path& adapter, const std::filesystem::path& target);

// The chat templates of `source`, where it has its own, in place of those of `target`: as files, which come before
// those of a tokenizer_config.json. Throws as chat_template_texts().
void copy_chat_templates(const std::filesystem::path& source, const std::filesystem::path& target);

// `file` as the one chat template of `target`.
void put_chat_template(const std::filesystem::path& file, const std::filesystem::path& target);

// As a safetensors file, in the order and the types of `tensors`.
void write_tensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path,
                   const std::function<void(std::int64_t)>& on_bytes = {});

}  // namespace equipoise
