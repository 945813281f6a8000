// A file that another process has made, filled with text.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace equipoise {

class TextSink {
 public:
  // Writes over what is there. All of these throw std::runtime_error naming the path and the cause.
  explicit TextSink(std::filesystem::path path);
  void write(std::string_view text);
  void close();  // all text has left the program

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail() const;

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace equipoise
