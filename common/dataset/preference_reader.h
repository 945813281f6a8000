// Preference pairs of a data file, one at a time: memory does not grow with the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/dataset/data_fields.h"
#include "common/dataset/data_files.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {

struct PreferenceReadSettings {
  Rejected rejected = Rejected::kRequired;
  std::vector<std::string> known_groups = {};  // take the first ids
  std::string group_separator = {};            // empty: names have no levels
  // The fields that say a pair's group. One: a name, a list of names or an object of memberships; integers, true and
  // false are names. Several: a text, an integer, true or false each, which make one name, with `group_separator`
  // between them, " & " where there is none. All but "group" alone must be on every line.
  std::vector<std::string> group_columns = {"group"};
  std::string group = {};  // of all pairs, whatever their fields say; empty: `group_columns` says
};

// Reads what read_preference_file() reads, by the same rules and with the same messages; also Parquet files, Arrow
// streams and folders of files, see data_files.h, where a value that is null counts as absent. Not thread-safe.
class PreferenceReader {
 public:
  // Throws std::invalid_argument: a file that cannot be opened; `group` beside other `group_columns` than the default;
  // columns that are none, empty, given twice, or fields of the answers.
  PreferenceReader(const std::filesystem::path& path, PreferenceReadSettings settings);
  PreferenceReader(PreferenceReader&&) noexcept;
  PreferenceReader& operator=(PreferenceReader&&) noexcept;
  ~PreferenceReader();

  // Sets all of `pair`, whose memory is used again; false after the last. A file has prompts, groups, shares, weights
  // and reference log-probabilities on all rows or on none: its first row decides. Throws std::invalid_argument
  // "FILE:LINE: ...", and "FILE: ..." for a file without a pair.
  bool next(PreferencePair& pair);

  // All groups that were met, after the known ones.
  const std::vector<std::string>& group_names() const;

  // Of all rows until now.
  const DataFields& fields() const;

  // Of the files, as DataRows::bytes_read().
  std::int64_t bytes_read() const;

  // Where the pair with this `line` is, for messages: "FILE:12"; "FILE: row 12" of Parquet and Arrow.
  std::string place(std::int64_t line) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace equipoise
