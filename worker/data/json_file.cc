#include "worker/data/json_file.h"

#include <fstream>
#include <stdexcept>
#include <string>

#include "common/base/download_fault.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::uintmax_t kLargestBytes = std::uintmax_t{64} << 20;
// Deeper than any settings file; reading and printing values recurses.
constexpr int kDeepest = 100;

std::string read_text(const std::filesystem::path& path) {
  std::error_code error;
  check_download(path);
  if (!std::filesystem::is_regular_file(path, error)) {
    throw std::invalid_argument(path.string() + " is not there or not a file");
  }
  if (std::filesystem::file_size(path, error) > kLargestBytes) {
    throw std::invalid_argument(path.string() + " is larger than 64 MiB, which no settings file is");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw std::invalid_argument(path.string() + " cannot be read");
  return text;
}

}  // namespace

nlohmann::ordered_json read_json_object(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  nlohmann::ordered_json json;
  try {
    json = nlohmann::ordered_json::parse(text, [&](int depth, auto, auto&) {
      if (depth > kDeepest) throw std::invalid_argument(path.string() + ": nested more than 100 levels deep");
      return true;
    });
  } catch (const nlohmann::json::parse_error& error) {
    throw std::invalid_argument(path.string() + ": is cut short or no JSON: download it again (byte " +
                                std::to_string(error.byte) + " of " + std::to_string(text.size()) + ")");
  } catch (const nlohmann::json::out_of_range&) {
    throw std::invalid_argument(path.string() + ": holds a number that float64 cannot");
  }
  if (!json.is_object()) {
    throw std::invalid_argument(path.string() + ": holds " + quoted_text(text.substr(0, 20)) + ", expected an object");
  }
  return json;
}

}  // namespace equipoise
