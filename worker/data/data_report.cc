#include "worker/data/data_report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/base/durable_file.h"
#include "common/base/quoted_text.h"

namespace equipoise {
namespace {

using Json = nlohmann::ordered_json;

std::size_t num_tokens(const EncodedDataset& data) {
  std::size_t tokens = 0;
  for (const EncodedPair pair : data.pairs) tokens += pair.num_tokens();
  return tokens;
}

// Pairs that are members, whatever their weight.
std::vector<std::int64_t> kept_count_K(const EncodedDataset& data) {
  std::vector<std::int64_t> count_K(data.group_names.size());
  for (const EncodedPair pair : data.pairs) {
    for (const Membership& membership : pair.memberships) ++count_K[membership.group];
  }
  return count_K;
}

std::string one_digit(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", number);
  return text.data();
}

Json file_json(const FileReading& reading, const EncodedDataset& data) {
  Json json{{"file", reading.file},       {"pairs", data.pairs.size()},       {"dropped", data.pairs.num_dropped()},
            {"tokens", num_tokens(data)}, {"from_cache", reading.from_cache}, {"seconds", reading.seconds.count()},
            {"groups", Json::object()}};
  const auto count_K = kept_count_K(data);
  for (std::size_t g = 0; g < count_K.size(); ++g) {
    json["groups"][data.group_names[g]] = {
        {"pairs", count_K[g]}, {"dropped", data.dropped_count_K[g]}, {"shortened", data.shortened_count_K[g]}};
  }
  return json;
}

}  // namespace

std::string reading_line(const FileReading& reading, const EncodedDataset& data) {
  return reading.file + ": " + std::to_string(data.pairs.size()) + " pairs, " + std::to_string(num_tokens(data)) +
         " tokens, " + (reading.from_cache ? "read from the cache" : "tokenised") + " in " +
         one_digit(reading.seconds.count()) + " s";
}

std::vector<std::string> loss_lines(const FileReading& reading, const EncodedDataset& data, int max_length,
                                    std::size_t most) {
  std::vector<std::size_t> groups;
  for (std::size_t g = 0; g < data.group_names.size(); ++g) {
    if (data.dropped_count_K[g] + data.shortened_count_K[g] > 0) groups.push_back(g);
  }
  std::ranges::stable_sort(groups, [&](std::size_t a, std::size_t b) {
    return std::pair(data.dropped_count_K[a], data.shortened_count_K[a]) >
           std::pair(data.dropped_count_K[b], data.shortened_count_K[b]);
  });
  const auto count_K = kept_count_K(data);
  std::vector<std::string> lines;
  for (const std::size_t g : groups) {
    if (lines.size() == most) break;
    lines.push_back(
        reading.file + ": group " + quoted_text(data.group_names[g]) + ": " + std::to_string(data.dropped_count_K[g]) +
        " of " + std::to_string(count_K[g] + data.dropped_count_K[g]) + " pairs are left out and " +
        std::to_string(data.shortened_count_K[g]) + " are cut to data.max_length = " + std::to_string(max_length));
  }
  return lines;
}

void write_data_report(const std::filesystem::path& path, const std::vector<ReportedFile>& files) {
  Json json = Json::object();
  for (const ReportedFile& file : files) json[file.split] = file_json(file.reading, file.data);
  write_durably(path, json.dump(2) + "\n");
}

}  // namespace equipoise
