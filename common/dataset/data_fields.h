// The fields that the rows of a data file have: which of them are used, and whether all rows have the same.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

struct DataFields {
  std::vector<std::string> used;    // that some row has, in the order in which they were met
  std::vector<std::string> unused;  // the same, of fields without a meaning here: the first kMostUnused of them

  std::int64_t empty_prompts = 0;  // rows of texts whose prompt is absent or empty

  std::int64_t other_roles = 0;  // pairs of messages with an answer that ends with a role other than "assistant"

  static constexpr std::size_t kMostUnused = 64;
  bool has(std::string_view name) const;  // among the used ones
};

// What a user should know of them, a line each: the unused ones; prompts that are empty while one of those may be
// meant; answers of other roles.
std::vector<std::string> field_notes(const DataFields& fields);

// A note on one of several files.
struct FileNote {
  std::string file, note;
};

// A line each, in the order in which they are met: "a.jsonl: NOTE"; of what is said of several files
// "a.jsonl and 2 more files: NOTE".
std::vector<std::string> notes_of_files(std::span<const FileNote> notes);

// Whether a row has a field. `name` outlives the checks.
struct FieldPresence {
  std::string_view name;
  bool given = false;
  bool on_all_rows = false;  // or on none of them: a row without it does not get a default beside rows with one
};

// Follows a file row by row. Not thread-safe.
class FieldChecks {
 public:
  // A field without a meaning; again for every row or once.
  void note_unused(std::string_view name);

  // The fields of the next row, always the same names in the same order. Throws std::invalid_argument, without the
  // file's name: a field that is to be on all rows or none and is on some; an absent field while an unused one looks
  // like it ("Group", "promt").
  struct FirstRow {
    std::string_view word;               // "line"
    std::function<std::string()> place;  // "line 1"
  };
  void check(std::span<const FieldPresence> row, const FirstRow& first_row);

  void count_empty_prompt() { ++fields_.empty_prompts; }
  void count_other_role() { ++fields_.other_roles; }

  const DataFields& fields() const { return fields_; }

 private:
  struct Lookalike {
    std::string found, meant;
  };
  void check_lookalikes(std::span<const FieldPresence> row) const;

  DataFields fields_;
  std::vector<bool> first_;  // whether the first row has each of the fields; empty: there was no row
  std::vector<bool> used_;
  std::vector<Lookalike> lookalikes_;
};

// The fields of one of several files that are read together.
struct FileFields {
  std::string file;
  DataFields fields;
  bool says_group = false;  // by any field, or all of it is of one group
};

// `group_columns` as in PreferenceReadSettings; `is_one_group` where all of the file is of one group.
FileFields file_fields(std::string file, DataFields fields, const std::vector<std::string>& group_columns,
                       bool is_one_group);

// Throws std::invalid_argument naming two files, one of which has a field of these names and the other not: what is a
// default in one of them would stand beside what the other says. "group" is FileFields::says_group.
void check_same_fields(std::span<const FileFields> files, std::span<const std::string_view> names);

}  // namespace equipoise
