#include "client/data/preference_import.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/data/fnv_hash.h"
#include "client/data/output_folder.h"
#include "client/data/pair_stream.h"
#include "client/data/preference_writer.h"
#include "common/base/durable_file.h"
#include "common/base/message_text.h"
#include "common/base/path_check.h"
#include "common/base/split_mix64.h"
#include "common/dataset/data_files.h"
#include "common/dataset/group_names.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

enum class Part { kTrain, kValidation };

// Where a prompt goes, whatever comes before it: its hash, mixed with the seed.
Part part_of(const std::string& prompt, const PreferenceOutput& output) {
  if (!output.validation) return Part::kTrain;
  const double place = SplitMix64(fnv1a(prompt) ^ SplitMix64(output.seed).next()).uniform();
  return place < output.train_fraction ? Part::kTrain : Part::kValidation;
}

bool is_empty_answer(const PreferencePair& pair, const std::string& answer) {
  if (pair.form == AnswerForm::kText) return answer.find_first_not_of(" \t\r\n") == std::string::npos;
  return answer.find(R"("content":"")") != std::string::npos && answer.find(R"("tool_calls")") == std::string::npos;
}

class PairCounter {
 public:
  PairCounter(std::size_t files, Rejected rejected) : rejected_(rejected) { counts_.pairs_of_file.resize(files); }

  void add_batch(const PairBatch& batch) {
    for (const std::string& name : batch.new_groups) {
      names_.push_back(name);
      counts_.groups.push_back({.group = name});
    }
    counts_.pairs_of_file[batch.file] += static_cast<std::int64_t>(batch.size);
  }

  void add(const PreferencePair& pair, Part part) {
    const bool train = part == Part::kTrain;
    const bool compares = rejected_ == Rejected::kRequired || !pair.rejected.empty();
    const bool equal = compares && pair.chosen == pair.rejected;
    const bool empty = is_empty_answer(pair, pair.chosen) || (compares && is_empty_answer(pair, pair.rejected));
    ++(train ? counts_.train : counts_.validation);
    for (const Membership& membership : pair.memberships) {
      GroupPairs& group = counts_.groups[membership.group];
      ++(train ? group.train : group.validation);
      group.equal_answers += equal ? 1 : 0;
      group.empty_answers += empty ? 1 : 0;
      group.duplicates += seen_.seen_before(pair, membership.group) ? 1 : 0;
    }
    counts_.all_duplicates_found = !seen_.is_full();
  }

  const std::vector<std::string>& names() const { return names_; }
  const PreferenceCounts& counts() const { return counts_; }

 private:
  Rejected rejected_;
  PreferenceCounts counts_;
  SeenPairs seen_;
  std::vector<std::string> names_;
};

// Calls `use` for every pair of the files, in order.
PreferenceCounts for_each_pair(std::span<const fs::path> files, const PreferenceReadSettings& settings,
                               const std::function<Part(const PreferencePair&, const std::vector<std::string>&)>& use,
                               const OnBytes& on_bytes) {
  PairStream stream({files.begin(), files.end()}, settings);
  PairCounter counter(files.size(), settings.rejected);
  for (PairBatch batch; stream.next(batch);) {
    counter.add_batch(batch);
    for (std::size_t i = 0; i < batch.size; ++i) counter.add(batch.pairs[i], use(batch.pairs[i], counter.names()));
    if (on_bytes && batch.bytes > 0) on_bytes(batch.bytes);
  }
  PreferenceCounts counts = counter.counts();
  std::vector<FileNote> notes;
  for (const FileFields& file : stream.fields()) {
    for (std::string& note : field_notes(file.fields)) notes.push_back({file.file, std::move(note)});
  }
  counts.notes = notes_of_files(notes);
  std::ranges::move(notes_on_similar_groups(counter.names()), std::back_inserter(counts.notes));
  return counts;
}

class OutputFile {
 public:
  explicit OutputFile(const fs::path& path) : path_(path), file_(made(path)) {}

  void add(const PreferencePair& pair, const std::vector<std::string>& names, Rejected rejected) {
    append_preference_line(pair, names, rejected, text_);
    if (text_.size() >= kBytesAtOnce) write();
  }
  void flush() {
    write();
    file_.flush();
  }
  void commit() { file_.commit(); }
  // Both files, or neither.
  void commit_with(OutputFile& other) { commit_both(file_, path_, other.file_); }

 private:
  static constexpr std::size_t kBytesAtOnce = 1 << 20;

  static const fs::path& made(const fs::path& path) {
    if (path.has_parent_path()) make_output_folder(path.parent_path());
    return path;
  }
  void write() {
    file_.write(text_);
    text_.clear();
  }

  fs::path path_;
  DurableFile file_;
  std::string text_;
};

void check_is_file_name(const fs::path& path) {
  if (path.has_filename()) return;
  throw std::invalid_argument(path.string() + ": ends as a folder does, expected the name of a file");
}

// A folder of data is all of its files: one more would be read with them the next time.
void check_inputs_stay(std::span<const fs::path> inputs, const fs::path& output) {
  const fs::path around = output.has_parent_path() ? output.parent_path() : fs::path(".");
  std::error_code ignored;
  for (const fs::path& input : inputs) {
    for (const fs::path& file : data_files(input)) {
      check_output_is_not(file, output, input.string());
      if (!fs::is_directory(input, ignored) || !fs::equivalent(file.parent_path(), around, ignored)) continue;
      throw std::invalid_argument(output.string() + ": is in the folder of " + input.string() +
                                  ", which is read: choose another output");
    }
  }
}

void check_sides(const PreferenceCounts& counts, const PreferenceOutput& output) {
  if (!output.validation || (counts.train > 0 && counts.validation > 0)) return;
  const fs::path& empty = counts.train == 0 ? output.train : *output.validation;
  throw std::invalid_argument(empty.string() + ": no pairs are left for it, expected another seed or train fraction");
}

}  // namespace

void check_preference_output(const PreferenceOutput& output) {
  if (!(output.train_fraction > 0 && output.train_fraction < 1)) {
    throw std::invalid_argument("the train fraction is " + number_text(output.train_fraction) +
                                ", expected a number between 0 and 1");
  }
  check_is_file_name(output.train);
  if (!output.validation) return;
  check_is_file_name(*output.validation);
  const fs::path train = destination_of(output.train), validation = destination_of(*output.validation);
  if (train == validation) {
    throw std::invalid_argument(output.train.string() + ": is the output for both train and validation");
  }
  for (const auto& [inner, outer] : {std::pair(train, validation), std::pair(validation, train)}) {
    if (!is_within(inner, outer)) continue;
    throw std::invalid_argument(inner.string() + ": is inside of " + outer.string() +
                                ", the file for the other pairs: choose another output");
  }
}

PreferenceCounts check_preferences(std::span<const fs::path> files, const PreferenceReadSettings& settings,
                                   const OnBytes& on_bytes) {
  return for_each_pair(
      files, settings, [](const auto&, const auto&) { return Part::kTrain; }, on_bytes);
}

PreferenceCounts import_preferences(std::span<const fs::path> files, const PreferenceReadSettings& settings,
                                    const PreferenceOutput& output, const OnBytes& on_bytes) {
  check_preference_output(output);
  check_inputs_stay(files, output.train);
  if (output.validation) check_inputs_stay(files, *output.validation);
  OutputFile train(output.train);
  std::optional<OutputFile> validation;
  if (output.validation) validation.emplace(*output.validation);
  const auto write = [&](const PreferencePair& pair, const std::vector<std::string>& names) {
    const Part part = part_of(pair.prompt, output);
    (part == Part::kTrain ? train : *validation).add(pair, names, settings.rejected);
    return part;
  };
  PreferenceCounts counts = for_each_pair(files, settings, write, on_bytes);
  check_sides(counts, output);
  train.flush();
  if (!validation) {
    train.commit();
    return counts;
  }
  validation->flush();
  train.commit_with(*validation);
  return counts;
}

}  // namespace equipoise
