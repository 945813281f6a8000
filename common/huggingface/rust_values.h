// Values that cross the border to the Rust library: lent to it, or owned by it and given back when they go out of
// scope.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/huggingface/rust_bridge.h"

namespace equipoise {

inline eqhf_text lend(std::string_view text) { return {.data = text.data(), .size = text.size()}; }

inline std::string_view view(eqhf_text text) { return {text.data, text.size}; }

class OwnedText {
 public:
  explicit OwnedText(eqhf_string text) : text_(text) {}
  ~OwnedText() { eqhf_string_free(text_); }
  OwnedText(const OwnedText&) = delete;
  OwnedText& operator=(const OwnedText&) = delete;
  bool is_none() const { return text_.data == nullptr; }
  std::string_view view() const { return {text_.data, text_.size}; }

 private:
  eqhf_string text_;
};

class OwnedIds {
 public:
  explicit OwnedIds(eqhf_ids ids) : ids_(ids) {}
  ~OwnedIds() { eqhf_ids_free(ids_); }
  OwnedIds(const OwnedIds&) = delete;
  OwnedIds& operator=(const OwnedIds&) = delete;
  std::vector<std::int32_t> copy() const { return {ids_.data, ids_.data + ids_.size}; }

 private:
  eqhf_ids ids_;
};

// Throws std::invalid_argument with `context` before the library's message, if there is one.
inline void throw_if_failed(eqhf_string message, const std::string& context) {
  const OwnedText owned(message);
  if (!owned.is_none()) throw std::invalid_argument(context + std::string(owned.view()));
}

}  // namespace equipoise
