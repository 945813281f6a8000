#include "worker/data/data_report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/base/durable_file.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

using Json = nlohmann::ordered_json;

std::string one_digit(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", number);
  return text.data();
}

Json file_json(const FileReading& reading) {
  const FileCounts& counts = reading.counts;
  Json json{{"file", reading.file},
            {"pairs", counts.pairs},
            {"dropped", counts.dropped},
            {"shortened", counts.shortened},
            {"merged_prompts", counts.merged},
            {"repeated_prompts", counts.repeated},
            {"tokens", counts.tokens},
            {"from_cache", reading.from_cache},
            {"seconds", reading.seconds.count()},
            {"groups", Json::object()}};
  for (std::size_t g = 0; g < counts.group_names.size(); ++g) {
    json["groups"][counts.group_names[g]] = {{"pairs", counts.kept_K[g]},
                                             {"dropped", counts.dropped_K[g]},
                                             {"shortened", counts.shortened_K[g]},
                                             {"merged_prompts", counts.merged_K[g]},
                                             {"repeated_prompts", counts.repeated_K[g]}};
  }
  return json;
}

Json split_json(const std::vector<FileReading>& files) {
  if (files.size() == 1) return file_json(files.front());
  Json list = Json::array();
  for (const FileReading& file : files) list.push_back(file_json(file));
  return list;
}

}  // namespace

FileCounts count_file(const EncodedDataset& data) {
  FileCounts counts{.pairs = data.size(),
                    .dropped = data.pairs.num_dropped(),
                    .tokens = 0,
                    .group_names = data.group_names,
                    .kept_K = std::vector<std::int64_t>(data.group_names.size()),
                    .dropped_K = data.dropped_count_K,
                    .shortened_K = data.shortened_count_K,
                    .merged_K = data.merged_prompt_count_K,
                    .repeated_K = data.repeated_prompt_count_K,
                    .shortened = static_cast<std::size_t>(data.num_shortened),
                    .merged = static_cast<std::size_t>(data.num_merged_prompts),
                    .repeated = static_cast<std::size_t>(data.num_repeated_prompts)};
  counts.merged_K.resize(counts.group_names.size());
  counts.repeated_K.resize(counts.group_names.size());
  for (const EncodedPair pair : data.pairs) {
    counts.tokens += pair.num_tokens();
    for (const Membership& membership : pair.memberships) ++counts.kept_K[membership.group];
  }
  return counts;
}

std::string reading_line(const FileReading& reading) {
  return reading.file + ": " + std::to_string(reading.counts.pairs) + " pairs, " +
         std::to_string(reading.counts.tokens) + " tokens, " +
         (reading.from_cache ? "read from the cache" : "tokenised") + " in " + one_digit(reading.seconds.count()) +
         " s";
}

std::vector<std::string> loss_lines(const FileReading& reading, int max_length, std::size_t most) {
  const FileCounts& counts = reading.counts;
  std::vector<std::size_t> groups;
  for (std::size_t g = 0; g < counts.group_names.size(); ++g) {
    if (counts.dropped_K[g] + counts.shortened_K[g] > 0) groups.push_back(g);
  }
  std::ranges::stable_sort(groups, [&](std::size_t a, std::size_t b) {
    return std::pair(counts.dropped_K[a], counts.shortened_K[a]) >
           std::pair(counts.dropped_K[b], counts.shortened_K[b]);
  });
  std::vector<std::string> lines;
  for (const std::size_t g : groups) {
    if (lines.size() == most) break;
    lines.push_back(
        reading.file + ": group " + quoted_text(counts.group_names[g]) + ": " + std::to_string(counts.dropped_K[g]) +
        " of " + std::to_string(counts.kept_K[g] + counts.dropped_K[g]) + " pairs are left out and " +
        std::to_string(counts.shortened_K[g]) + " are cut to data.max_length = " + std::to_string(max_length));
  }
  return lines;
}

std::vector<std::string> prompt_lines(const FileReading& reading) {
  const FileCounts& counts = reading.counts;
  std::vector<std::string> lines;
  const auto add = [&](std::size_t pairs, const std::vector<std::int64_t>& pairs_K, const std::string& what) {
    if (pairs == 0) return;
    const auto most = std::ranges::max_element(pairs_K);
    const auto group = static_cast<std::size_t>(most - pairs_K.begin());
    lines.push_back(reading.file + ": " + std::to_string(pairs) + " of " + std::to_string(counts.pairs) + " pairs (" +
                    std::to_string(*most) + " of group " + quoted_text(counts.group_names[group]) + "): " + what);
  };
  add(counts.merged, counts.merged_K,
      "the prompt's end makes other tokens with an answer behind it and is scored as part of the answers; let prompts "
      "end where a token ends, such as before a space");
  add(counts.repeated, counts.repeated_K,
      "the answers begin with the prompt again, so the model sees it twice; remove it from the answers");
  return lines;
}

void write_data_report(const std::filesystem::path& path, const std::vector<FileReading>& train,
                       const std::vector<FileReading>& validation) {
  Json json{{"train", split_json(train)}};
  if (!validation.empty()) json["validation"] = split_json(validation);
  write_durably(path, json.dump(2) + "\n");
}

}  // namespace equipoise
