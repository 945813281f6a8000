#include "client/report/data_notes.h"

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace equipoise {
namespace {

using Json = nlohmann::json;

constexpr std::uintmax_t kLargestFile = std::uintmax_t{64} << 20;

struct Split {
  std::int64_t pairs = 0, dropped = 0, shortened = 0, merged = 0, repeated = 0;
};

std::int64_t number(const Json& file, const char* name) {
  const auto found = file.find(name);
  return found != file.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

// Of all files: an object of a single one, a list of several.
Split split_of(const Json& files) {
  Split split;
  const auto add = [&](const Json& file) {
    if (!file.is_object()) return;
    split.pairs += number(file, "pairs");
    split.dropped += number(file, "dropped");
    split.shortened += number(file, "shortened");
    split.merged += number(file, "merged_prompts");
    split.repeated += number(file, "repeated_prompts");
  };
  if (!files.is_array()) add(files);
  if (files.is_array()) {
    for (const Json& file : files) add(file);
  }
  return split;
}

std::string lines_of(const Split& split, const std::string& what) {
  const std::string kept = std::to_string(split.pairs) + " " + what + " pairs ";
  std::string text;
  if (split.dropped + split.shortened > 0) {
    text += std::to_string(split.dropped) + " of " + std::to_string(split.pairs + split.dropped) + " " + what +
            " pairs are left out and " + std::to_string(split.shortened) +
            " are shortened; data.json says of which groups\n";
  }
  if (split.merged > 0) {
    text += std::to_string(split.merged) + " of " + kept + "have a prompt whose end merges into the answers' tokens\n";
  }
  if (split.repeated > 0) {
    text += std::to_string(split.repeated) + " of " + kept + "repeat their prompt in the answers\n";
  }
  return text;
}

}  // namespace

std::string data_notes(const std::filesystem::path& output) {
  const std::filesystem::path path = output / "data.json";
  std::error_code problem;
  const std::uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem || size > kLargestFile) return "";
  std::ifstream file(path);
  const Json report = Json::parse(file, nullptr, false);
  if (!report.is_object()) return "";
  std::string text;
  if (report.contains("train")) text += lines_of(split_of(report["train"]), "training");
  if (report.contains("validation")) text += lines_of(split_of(report["validation"]), "validation");
  return text;
}

}  // namespace equipoise
