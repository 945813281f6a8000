// Standard output whose reader may leave before the command ends, as in `equipoise train job.yaml | head -1`.
#pragma once

#include <array>
#include <streambuf>

namespace equipoise {

// While it lives, std::cout writes through it and SIGPIPE is ignored, also by what is started without a signal setting
// of its own. Once nobody reads, everything that is written is dropped without a word: the work goes on. Any other
// failure is one of the stream, as always. On a terminal every line is shown at once.
class StandardOutput : public std::streambuf {
 public:
  StandardOutput();
  ~StandardOutput() override;  // writes what is left
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

 protected:
  int_type overflow(int_type next) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

 private:
  static constexpr std::size_t kBytesAtOnce = 4096;

  bool write_all(const char* text, std::size_t size);

  std::array<char, kBytesAtOnce> bytes_;
  std::streambuf* before_;
  bool is_terminal_;
  bool has_reader_ = true;
};

// A descriptor 0, 1 or 2 that is closed would be the next file that is opened, and receive what is meant for people:
// /dev/null takes its place.
void open_standard_descriptors();

}  // namespace equipoise
