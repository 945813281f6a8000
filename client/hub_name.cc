#include "client/hub_name.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// A part of a name: what the Hub allows, and none of the names of files.
bool is_part(std::string_view part) {
  constexpr std::size_t kLongest = 96;
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  if (part.empty() || part.size() > kLongest || part.front() == '.' || part.front() == '-') return false;
  for (const std::string_view ending :
       {".jsonl", ".json", ".parquet", ".arrow", ".csv", ".gz", ".zst", ".safetensors"}) {
    if (part.ends_with(ending)) return false;
  }
  return std::ranges::all_of(part, allowed);
}

// The parts of the path after the last folder that exists.
std::vector<std::string> missing_parts(const fs::path& path) {
  std::vector<std::string> parts;
  fs::path folder;
  std::error_code ignored;
  for (const fs::path& part : path) {
    folder /= part;
    if (!parts.empty() || !fs::exists(folder, ignored)) parts.push_back(part.string());
  }
  if (!parts.empty() && parts.back().empty()) parts.pop_back();  // after a "/" at the end
  return parts;
}

struct Address {
  std::vector<std::string> parts;
  bool is_dataset = false;
  bool is_address = false;  // https://huggingface.co/..., hf://...
};

// Without the host and the branch: https://huggingface.co/datasets/a/b/tree/main is a/b.
Address without_host(std::vector<std::string> parts) {
  Address address{.parts = std::move(parts)};
  const auto begins_with = [&](std::string_view first) {
    return !address.parts.empty() && address.parts.front() == first;
  };
  const auto drop = [&] { address.parts.erase(address.parts.begin()); };
  for (const std::string_view scheme : {"https:", "http:", "hf:"}) {
    if (!begins_with(scheme)) continue;
    address.is_address = true;
    drop();
    break;
  }
  for (const std::string_view host : {"huggingface.co", "hf.co"}) {
    if (!begins_with(host)) continue;
    address.is_address = true;
    drop();
    break;
  }
  if (!address.is_address) return address;
  address.is_dataset = begins_with("datasets");
  if (address.is_dataset || begins_with("models")) drop();
  address.parts.resize(std::min<std::size_t>(address.parts.size(), 2));
  return address;
}

}  // namespace

std::string hub_advice(const fs::path& path, HubKind kind) {
  const Address address = without_host(missing_parts(path));
  const std::vector<std::string>& parts = address.parts;
  if (parts.empty() || parts.size() > 2 || !std::ranges::all_of(parts, is_part)) return "";
  const bool is_dataset = kind == HubKind::kDataset || address.is_dataset;
  const std::string what = is_dataset ? "a data set" : "a model";
  const std::string name = (parts.size() == 1 ? "OWNER/" : parts[0] + "/") + parts.back();
  const std::string command =
      std::string("hf download ") + (is_dataset ? "--repo-type dataset " : "") + name + " --local-dir ";
  if (address.is_address) return "; download it, and give the folder: " + command + parts.back();
  const std::string found = parts.size() == 1 ? "this" : name;
  return "; if " + found + " is " + what + " of the Hub, download it first: " + command + path.string();
}

}  // namespace equipoise
