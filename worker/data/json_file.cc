#include "worker/data/json_file.h"

#include <stdexcept>
#include <string>

#include "common/base/bounded_file.h"
#include "common/base/download_fault.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::uintmax_t kLargestBytes = std::uintmax_t{64} << 20;
// Deeper than any settings file; reading and printing values recurses.
constexpr int kDeepest = 100;

}  // namespace

nlohmann::ordered_json read_json_object(const std::filesystem::path& path) {
  check_download(path);
  const std::string text = read_bounded_file(path, kLargestBytes, "settings");
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
