// What an experiment of several runs keeps on disk, so that a second start does not repeat what is finished.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/sha256.h"

namespace equipoise::reproduce {

// A digest of all that a result follows from. Two are the same only if everything added was.
class Fingerprint {
 public:
  Fingerprint& add(std::string_view what, std::string_view text);
  // The content of a file, or of the *.safetensors, config.json and tokenizer.json of a model's folder. Throw
  // std::invalid_argument naming what cannot be read.
  Fingerprint& add_file(std::string_view what, const std::filesystem::path& file);
  Fingerprint& add_model(std::string_view what, const std::filesystem::path& folder);

  std::string text();  // hexadecimal; the last call

 private:
  Sha256 digest_;
};

// FOLDER/data/seed-N, models/seed-N, runs/seed-N/NAME, report.
class ExperimentFolder {
 public:
  // Made if it is not there. Throws std::invalid_argument if it holds something else, or cannot be made.
  explicit ExperimentFolder(const std::filesystem::path& folder);

  std::filesystem::path data(std::uint64_t seed) const { return of_seed("data", seed); }
  std::filesystem::path model(std::uint64_t seed) const { return of_seed("models", seed); }
  std::filesystem::path run(std::uint64_t seed, const std::string& name) const { return of_seed("runs", seed) / name; }
  std::filesystem::path report() const { return folder_ / "report"; }

 private:
  std::filesystem::path of_seed(const char* kind, std::uint64_t seed) const {
    return folder_ / kind / ("seed-" + std::to_string(seed));
  }

  std::filesystem::path folder_;  // absolute
};

// Whether `folder` was marked with this fingerprint. mark_finished is the last thing that is written there.
bool is_finished(const std::filesystem::path& folder, const std::string& fingerprint);
void mark_finished(const std::filesystem::path& folder, const std::string& fingerprint);
void unmark_finished(const std::filesystem::path& folder);

}  // namespace equipoise::reproduce
