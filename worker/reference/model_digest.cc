#include "worker/reference/model_digest.h"

#include <vector>

#include "worker/data/json_file.h"
#include "worker/model/adapter_config.h"
#include "worker/model/weight_files.h"

namespace equipoise {
namespace {

void add_tensors(Sha256& sha256, const std::vector<TensorView>& tensors) {
  for (const TensorView& tensor : tensors) {
    sha256.add_text(tensor.name);
    sha256.add_text(tensor.dtype);
    sha256.add_list(tensor.shape);
    sha256.add_list(tensor.bytes);
  }
}

}  // namespace

Digest model_digest(const std::filesystem::path& folder, const std::filesystem::path& adapter) {
  Sha256 sha256;
  sha256.add_text(read_json_object(folder / "config.json").dump());
  const WeightFiles files = WeightFiles::open(folder);
  add_tensors(sha256, files.all());
  if (adapter.empty()) return sha256.finish();
  sha256.add_text(read_json_object(adapter / kAdapterConfig).dump());
  const SafetensorsFile adapter_file = SafetensorsFile::open(adapter / kAdapterWeights);
  add_tensors(sha256, adapter_file.tensors());
  return sha256.finish();
}

}  // namespace equipoise
