#include "worker/evaluate/text_sink.h"

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace equipoise {

TextSink::TextSink(std::filesystem::path path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "we")) {
  if (!file_) fail();
}

void TextSink::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
}

void TextSink::close() {
  if (std::fclose(file_.release()) != 0) fail();
}

void TextSink::fail() const {
  throw std::runtime_error(path_.string() + " cannot be written: " + std::generic_category().message(errno));
}

}  // namespace equipoise
