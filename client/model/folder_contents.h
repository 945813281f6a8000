// What a folder holds in place of the model or the adapter that it is taken for.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise {

// What is wrong with a folder and the next move, as the end of a sentence that begins with the folder or one of its
// files; empty where both are what they should be. Told before anything else: a run's output in place of its final/ or
// of a checkpoint, an adapter in place of a model and the other way round, GGUF or pickles alone, a Hub's cache in
// place of one snapshot in it, links without their files, Git-LFS pointers, web pages, settings that were cut short, a
// tokenizer without tokenizer.json, shards that are missing, weights that were cut short. `field` names the argument:
// "--model", "model.adapter"; the message names its counterpart.
std::string fault_of_model_folder(const std::string& field, const std::filesystem::path& folder);
std::string fault_of_adapter_folder(const std::string& field, const std::filesystem::path& folder);

// Whether a safetensors file of a model is there. A checkpoint has others too, of its training.
bool has_weights(const std::filesystem::path& folder);

}  // namespace equipoise
