// What a path to data names: one file or the files of a folder, and what is in them.
//
// A file is told by how it begins: "PAR1" is Parquet, the bytes FF FF FF FF are an Arrow stream, anything else is
// JSONL, which gzip or Zstandard may have compressed. A folder is one of
//   state.json           a data set that `datasets` saved (Dataset.save_to_disk), with the Arrow streams that it names
//   *.parquet, *.arrow, *.jsonl, *.jsonl.gz or *.jsonl.zst, of one kind, in the order of their names; or data/ with
//   such
//                        files
// Shards are "SPLIT-00000-of-00002.parquet". FOLDER/SPLIT names those of one split, or the file SPLIT.parquet, of a
// folder that holds several.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace equipoise {

enum class DataFormat { kJsonLines, kTable };

// The files that `path` is read from, in their order: a key of its content covers them all. Never empty. Throws
// std::invalid_argument naming the path: nothing there, nothing of the above, several splits (naming them), a shard
// that is missing.
std::vector<std::filesystem::path> data_files(const std::filesystem::path& path);

// Of them all, for a display of progress: 0 for what cannot be read.
std::int64_t data_bytes(const std::filesystem::path& path);

// Throws std::invalid_argument for what is no file or cannot be read, and for a name that says otherwise.
DataFormat data_format(const std::filesystem::path& file);

}  // namespace equipoise
