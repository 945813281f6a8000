// What a job's data files turned out to be: lines for the log, and data.json in the output (docs/formats.md).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "worker/data/encoded_dataset.h"

namespace equipoise {

// What one file has, by groups.
struct FileCounts {
  std::size_t pairs = 0, dropped = 0, tokens = 0;
  std::vector<std::string> group_names = {};  // that are known after the file, those of files before it too
  std::vector<std::int64_t> kept_K = {};      // pairs that are members, whatever their weight
  std::vector<std::int64_t> dropped_K = {}, shortened_K = {};
  // EncodedDataset::merged_prompt_count_K and its neighbour; then each pair once.
  std::vector<std::int64_t> merged_K = {}, repeated_K = {};
  std::size_t shortened = 0, merged = 0, repeated = 0;
};
FileCounts count_file(const EncodedDataset& data);

// How one file was read.
struct FileReading {
  std::string file;
  bool from_cache = false;
  std::chrono::duration<double> seconds{};
  std::vector<std::string> notes = {};  // what a user should know, a line each
  FileCounts counts = {};
};

// "train.jsonl: 180 pairs, 9500 tokens, tokenised in 0.1 s"
std::string reading_line(const FileReading& reading);

// What the limits cost, a line for each group that lost something, the worst first and at most `most` of them:
// "train.jsonl: group "Japan": 3 of 48 pairs are left out and 5 are cut to data.max_length = 512".
std::vector<std::string> loss_lines(const FileReading& reading, int max_length, std::size_t most);

// What is odd about the prompts of many pairs, a line for each kind with the group that has most of them: the prompt's
// end became part of the answers' tokens; answers begin with the prompt again. No line for what no pair has.
std::vector<std::string> prompt_lines(const FileReading& reading);

// An object of each single file, a list of objects of several. Throws as write_durably.
void write_data_report(const std::filesystem::path& path, const std::vector<FileReading>& train,
                       const std::vector<FileReading>& validation);

}  // namespace equipoise
