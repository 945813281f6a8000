// An encoded data file in a token store.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/sha256.h"
#include "worker/data/encoded_dataset.h"
#include "worker/data/token_store.h"

namespace equipoise {

// Part of every key. It changes with what is stored, how it is stored, and how texts become token ids.
inline constexpr std::string_view kStoredDatasetVersion = "encoded dataset 5";

// Writes a data set part by part, so that none of it need be in memory at once.
class StoredDatasetWriter {
 public:
  // What they throw is what TokenStoreWriter throws.
  StoredDatasetWriter(const std::filesystem::path& path, const Digest& key) : store_(path, key) {}
  void add(const EncodedPairs& pairs);
  // Names and counts of all pairs that were added; it is these that count, not those in `dataset`.
  void commit(const EncodedDataset& dataset);

 private:
  void add_names(const std::string& what, const std::vector<std::string>& names);

  TokenStoreWriter store_;
};

// The same data set again, whose pairs stay in the file; nothing where there is no such file. Throws
// std::invalid_argument naming the file for one that is not what a StoredDatasetWriter wrote with this key.
std::optional<EncodedDataset> read_dataset(const std::filesystem::path& path, const Digest& key);

}  // namespace equipoise
