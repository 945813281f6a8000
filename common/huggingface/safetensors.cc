#include "common/huggingface/safetensors.h"

#include <algorithm>
#include <utility>

#include "common/base/download_fault.h"
#include "common/base/durable_file.h"
#include "common/huggingface/rust_bridge.h"
#include "common/huggingface/rust_values.h"

namespace equipoise {
namespace {

constexpr std::size_t kWrittenPiece = std::size_t{16} << 20;
constexpr std::size_t kBetweenFlushes = std::size_t{1} << 30;  // so that no flush takes minutes

TensorView view_of(const eqhf_tensor& tensor) {
  return {.name = std::string(view(tensor.name)),
          .dtype = std::string(view(tensor.dtype)),
          .shape = std::vector<std::int64_t>(tensor.shape, tensor.shape + tensor.rank),
          .bytes = std::as_bytes(std::span(tensor.data, tensor.size))};
}

eqhf_tensor lend(const TensorView& tensor) {
  return {.name = equipoise::lend(tensor.name),
          .dtype = equipoise::lend(tensor.dtype),
          .shape = tensor.shape.data(),
          .rank = tensor.shape.size(),
          .data = reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()),
          .size = tensor.bytes.size()};
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path, void* handle) : path_(std::move(path)), handle_(handle) {
  const auto* file = static_cast<const eqhf_safetensors*>(handle);
  const std::size_t count = eqhf_safetensors_count(file);
  tensors_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) tensors_.push_back(view_of(eqhf_safetensors_tensor(file, i)));
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

void SafetensorsFile::Deleter::operator()(void* handle) const {
  eqhf_safetensors_free(static_cast<eqhf_safetensors*>(handle));
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  check_download(path);
  eqhf_safetensors* handle = nullptr;
  throw_if_failed(eqhf_safetensors_open(equipoise::lend(path.native()), &handle), path.string() + ": ");
  return SafetensorsFile(path, handle);
}

const TensorView* SafetensorsFile::find(const std::string& name) const {
  const auto place = std::ranges::lower_bound(tensors_, name, {}, &TensorView::name);
  return place != tensors_.end() && place->name == name ? &*place : nullptr;
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<void(std::int64_t)>& on_bytes) {
  std::vector<eqhf_tensor> lent;
  lent.reserve(tensors.size());
  for (const TensorView& tensor : tensors) lent.push_back(lend(tensor));
  std::vector<eqhf_text> pairs;
  for (const auto& [key, value] : metadata) {
    pairs.push_back(equipoise::lend(key));
    pairs.push_back(equipoise::lend(value));
  }
  std::vector<std::size_t> order(tensors.size());
  eqhf_string header{};
  throw_if_failed(
      eqhf_safetensors_header(lent.data(), lent.size(), pairs.data(), metadata.size(), &header, order.data()),
      path.string() + ": ");
  const OwnedText owned(header);
  DurableFile file(path);
  file.write(owned.view());
  std::size_t not_flushed = 0;
  for (const std::size_t i : order) {
    for (std::span<const std::byte> rest = tensors[i].bytes; !rest.empty();) {
      const std::span<const std::byte> piece = rest.first(std::min(rest.size(), kWrittenPiece));
      file.write(piece);
      rest = rest.subspan(piece.size());
      not_flushed += piece.size();
      if (not_flushed >= kBetweenFlushes) {
        file.flush();
        not_flushed = 0;
      }
      if (on_bytes) on_bytes(std::ssize(piece));
    }
  }
  file.commit();
}

}  // namespace equipoise
