// An encoded data file in a token store.
#pragma once

#include <filesystem>
#include <optional>

#include "common/base/sha256.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {

// Part of every key. It changes with what is stored, how it is stored, and how texts become token ids.
inline constexpr std::string_view kStoredDatasetVersion = "encoded dataset 1";

// Throws as TokenStore::write.
void write_dataset(const std::filesystem::path& path, const Digest& key, const EncodedDataset& dataset);

// The same data set again; nothing where there is no such file. Throws std::invalid_argument naming the file for one
// that is not what write_dataset() wrote with this key.
std::optional<EncodedDataset> read_dataset(const std::filesystem::path& path, const Digest& key);

}  // namespace equipoise
