#include <algorithm>
#include <string>
#include <vector>

#include "common/base/message_text.h"
#include "coordinator/http/http_access.h"
#include "coordinator/http/http_request.h"
#include "coordinator/http/http_routes.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

using coordinator::HttpRequest;
using coordinator::HttpRequestReader;

// Everything that was understood, as text, and how it ended.
std::string read_in_pieces(const std::string& bytes, std::size_t size) {
  HttpRequestReader reader;
  std::string said;
  const auto take_all = [&] {
    while (reader.state() == HttpRequestReader::State::kWhole) {
      const HttpRequest request = reader.take();
      promise(request.path.starts_with('/') && request.fields.size() <= 64, "what is taken keeps to the limits");
      promise(request.body.size() <= 64 * 1024, "a body keeps to its limit");
      for (const auto& [name, value] : request.query) promise(is_utf8(name) && is_utf8(value), "a query is UTF-8");
      const auto match = coordinator::match_route(request.method, request.path);
      promise(match.id.find_first_of("./\\%") == std::string::npos, "no id leads anywhere");
      coordinator::refused_at_the_door({}, coordinator::HttpPart::kApi, request, {});
      said.append(request.method).append(" ").append(request.path).append(" ").append(request.body).append("\n");
    }
  };
  for (std::size_t at = 0; at < bytes.size() && reader.state() != HttpRequestReader::State::kRefused; at += size) {
    reader.read(std::string_view(bytes).substr(at, size));
    take_all();
  }
  return said + std::to_string(reader.status());
}

}  // namespace

bool fuzz_http_request(std::span<const std::uint8_t> input) {
  const std::string bytes(input.begin(), input.end());
  const std::string whole = read_in_pieces(bytes, std::max<std::size_t>(1, bytes.size()));
  promise(read_in_pieces(bytes, 1) == whole, "the pieces that a request comes in mean nothing");
  return whole.find('\n') != std::string::npos && whole.ends_with("\n0");
}

}  // namespace equipoise
