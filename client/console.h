// Where a command writes: results and progress to `out`, the one line of an error to `err`.
#pragma once

#include <cstddef>
#include <ostream>

namespace equipoise {

enum class OutputKind { kPlain, kTerminal };
enum class Colors { kOff, kOn };
enum class Glyphs { kAscii, kUnicode };

struct Console {
  std::ostream& out;
  std::ostream& err;
  OutputKind kind = OutputKind::kPlain;
  Colors colors = Colors::kOff;
  Glyphs glyphs = Glyphs::kUnicode;

  // Columns of the terminal now; 80 where it does not say, or `out` is no terminal.
  std::size_t columns() const;
};

// The process's own: a terminal if standard output is one; colours then, unless NO_COLOR is set or TERM is dumb; ASCII
// where the locale names another encoding than UTF-8.
Console standard_console();

}  // namespace equipoise
