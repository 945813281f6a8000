// Where a command writes, results and progress to `out`, the one line of an error to `err`; and what the shell is told.
#pragma once

#include <array>
#include <cstddef>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>

#include "common/base/error.h"

namespace equipoise {

enum class ExitCode : int {
  kSuccess = 0,
  kFailure = 1,       // the job, a process or the machine failed
  kBadInput = 2,      // an argument, a file, a setting; a coordinator that is not there
  kChanged = 4,       // the job has another etag than the caller has seen
  kInterrupted = 130  // Ctrl-C
};

// Ends a command with a code of its own. The message is one sentence for the user.
class CommandError : public std::runtime_error {
 public:
  CommandError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// Standard output whose reader may leave before the command ends, as in `equipoise train job.yaml | head -1`.

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

enum class OutputKind { kPlain, kTerminal };
enum class Colors { kOff, kOn };
enum class Glyphs { kAscii, kUnicode };

enum class TextColor { kNone, kBold, kGreen, kYellow, kRed, kCyan };

// `text` as a terminal shows it in this colour; unchanged with kOff and without a colour. The one place that knows how
// a terminal is told.
std::string colored(const std::string& text, TextColor color, Colors colors);

struct Console {
  std::ostream& out;
  std::ostream& err;
  OutputKind kind = OutputKind::kPlain;
  Colors colors = Colors::kOff;
  Glyphs glyphs = Glyphs::kUnicode;

  // Columns of the terminal now; 80 where it does not say, or `out` is no terminal.
  std::size_t columns() const;
  std::size_t rows() const;  // 24 in the same cases
};

// The process's own: a terminal if standard output is one and TERM is not dumb; colours then, and elsewhere with
// CLICOLOR_FORCE, but never with NO_COLOR, nor with a CLICOLOR of 0; ASCII where the locale names another encoding than
// UTF-8.
Console standard_console();

}  // namespace equipoise
