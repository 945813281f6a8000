#include "worker/reference/model_digest.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "worker/data/json_file.h"
#include "worker/model/adapter_config.h"
#include "worker/model/weight_files.h"

namespace equipoise {
namespace {

void add_number(Sha256& sha256, std::uint64_t number) { sha256.update(std::as_bytes(std::span(&number, 1))); }

// With its length before it, so that no two folders run into each other.
void add_text(Sha256& sha256, std::string_view text) {
  add_number(sha256, text.size());
  sha256.update(text);
}

void add_tensors(Sha256& sha256, const std::vector<TensorView>& tensors) {
  for (const TensorView& tensor : tensors) {
    add_text(sha256, tensor.name);
    add_text(sha256, tensor.dtype);
    add_number(sha256, tensor.shape.size());
    sha256.update(std::as_bytes(std::span(tensor.shape)));
    add_number(sha256, tensor.bytes.size());
    sha256.update(tensor.bytes);
  }
}

}  // namespace

Digest model_digest(const std::filesystem::path& folder, const std::filesystem::path& adapter) {
  Sha256 sha256;
  add_text(sha256, read_json_object(folder / "config.json").dump());
  const WeightFiles files = WeightFiles::open(folder);
  add_tensors(sha256, files.all());
  if (adapter.empty()) return sha256.finish();
  add_text(sha256, read_json_object(adapter / kAdapterConfig).dump());
  const SafetensorsFile adapter_file = SafetensorsFile::open(adapter / kAdapterWeights);
  add_tensors(sha256, adapter_file.tensors());
  return sha256.finish();
}

}  // namespace equipoise
