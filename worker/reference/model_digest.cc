#include "worker/reference/model_digest.h"

#include <cstdint>
#include <span>
#include <string_view>

#include "worker/data/json_file.h"
#include "worker/model/weight_files.h"

namespace equipoise {
namespace {

void add_number(Sha256& sha256, std::uint64_t number) { sha256.update(std::as_bytes(std::span(&number, 1))); }

// With its length before it, so that no two folders run into each other.
void add_text(Sha256& sha256, std::string_view text) {
  add_number(sha256, text.size());
  sha256.update(text);
}

}  // namespace

Digest model_digest(const std::filesystem::path& folder) {
  Sha256 sha256;
  add_text(sha256, read_json_object(folder / "config.json").dump());
  const WeightFiles files = WeightFiles::open(folder);
  for (const TensorView& tensor : files.all()) {
    add_text(sha256, tensor.name);
    add_text(sha256, tensor.dtype);
    add_number(sha256, tensor.shape.size());
    sha256.update(std::as_bytes(std::span(tensor.shape)));
    add_number(sha256, tensor.bytes.size());
    sha256.update(tensor.bytes);
  }
  return sha256.finish();
}

}  // namespace equipoise
