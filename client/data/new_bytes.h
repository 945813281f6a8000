// How far the reading of a file has got, told in parts.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace equipoise {

// Takes the bytes read since the call before, at least one; what it throws ends the reading.
using OnBytes = std::function<void(std::int64_t)>;

// Of one file.
class NewBytes {
 public:
  // Those of `bytes_read`, all until now, that were not there at the call before.
  std::int64_t take(std::int64_t bytes_read) { return bytes_read - std::exchange(before_, bytes_read); }

  // The same for `on_bytes`, which may be empty.
  void tell(std::int64_t bytes_read, const OnBytes& on_bytes) {
    const std::int64_t bytes = take(bytes_read);
    if (on_bytes && bytes > 0) on_bytes(bytes);
  }

 private:
  std::int64_t before_ = 0;
};

}  // namespace equipoise
