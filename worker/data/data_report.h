// What a job's data files turned out to be: lines for the log, and data.json in the output (docs/formats.md).
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "worker/data/encoded_pair.h"

namespace equipoise {

// How one file was read.
struct FileReading {
  std::string file;
  bool from_cache = false;
  std::chrono::duration<double> seconds{};
  std::vector<std::string> notes = {};  // what a user should know, a line each
};

// "train.jsonl: 180 pairs, 9500 tokens, tokenised in 0.1 s"
std::string reading_line(const FileReading& reading, const EncodedDataset& data);

// What the limits cost, a line for each group that lost something, the worst first and at most `most` of them:
// "train.jsonl: group "Japan": 3 of 48 pairs are left out and 5 are cut to data.max_length = 512".
std::vector<std::string> loss_lines(const FileReading& reading, const EncodedDataset& data, int max_length,
                                    std::size_t most);

struct ReportedFile {
  const char* split;  // "train", "validation"
  const FileReading& reading;
  const EncodedDataset& data;
};
// Throws as write_durably.
void write_data_report(const std::filesystem::path& path, const std::vector<ReportedFile>& files);

}  // namespace equipoise
