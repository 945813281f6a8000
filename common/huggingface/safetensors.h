// safetensors files, checked by Hugging Face's own `safetensors` library before a byte of them is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace equipoise {

// A tensor inside a mapped file or in memory. dtype is the file's name for it: "F32", "F64", "BF16", "F16", "I64", ...
struct TensorView {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // row-major, little-endian, dense
};

// A read-only mapping of one file. Views live as long as it does. Reads may come from several threads.
class SafetensorsFile {
 public:
  // Throws std::invalid_argument naming the file and the fault: unreadable, a header too long or not JSON, offsets
  // that overlap, leave holes or pass the end, a size that is not shape times dtype.
  static SafetensorsFile open(const std::filesystem::path& path);

  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile();

  const std::vector<TensorView>& tensors() const { return tensors_; }  // ascending by name
  const TensorView* find(const std::string& name) const;               // nullptr if absent
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Deleter {
    void operator()(void* handle) const;
  };
  SafetensorsFile(std::filesystem::path path, void* handle);
  std::filesystem::path path_;
  std::unique_ptr<void, Deleter> handle_;
  std::vector<TensorView> tensors_;
};

// Writes `tensors` to `path` through a temporary file in the same folder, fsync and rename: the file is whole or
// not there. `metadata` goes into "__metadata__" ({"format": "pt"} is what transformers expects).
// Throws std::invalid_argument naming the path and the cause; std::runtime_error if the disk refuses.
//   on_bytes  called after each piece with its bytes
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<void(std::int64_t)>& on_bytes = {});

}  // namespace equipoise
