#include "client/console/console.h"

#include <fcntl.h>
#include <poll.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace equipoise {

StandardOutput::StandardOutput() : before_(std::cout.rdbuf(this)), is_terminal_(::isatty(STDOUT_FILENO) == 1) {
  setp(bytes_.data(), bytes_.data() + bytes_.size());
  std::signal(SIGPIPE, SIG_IGN);
}

StandardOutput::~StandardOutput() {
  sync();
  std::cout.rdbuf(before_);
}

bool StandardOutput::write_all(const char* text, std::size_t size) {
  while (size > 0 && has_reader_) {
    const ssize_t written = ::write(STDOUT_FILENO, text, size);
    if (written >= 0) {
      text += written;
      size -= static_cast<std::size_t>(written);
    } else if (errno == EPIPE) {
      has_reader_ = false;
    } else if (errno == EAGAIN) {
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

int StandardOutput::sync() {
  const bool is_written = write_all(pbase(), static_cast<std::size_t>(pptr() - pbase()));
  setp(bytes_.data(), bytes_.data() + bytes_.size());
  return is_written ? 0 : -1;
}

StandardOutput::int_type StandardOutput::overflow(int_type next) {
  if (sync() != 0) return traits_type::eof();
  if (!traits_type::eq_int_type(next, traits_type::eof())) return sputc(traits_type::to_char_type(next));
  return traits_type::not_eof(next);
}

std::streamsize StandardOutput::xsputn(const char* text, std::streamsize size) {
  const std::streamsize taken = std::streambuf::xsputn(text, size);
  const bool has_line = std::string_view(text, static_cast<std::size_t>(taken)).find('\n') != std::string_view::npos;
  return is_terminal_ && has_line && sync() != 0 ? 0 : taken;
}

void open_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free one is the one that is missing.
    static_cast<void>(::open("/dev/null", O_RDWR));
  }
}

namespace {

constexpr std::size_t kUsualColumns = 80, kUsualRows = 24;

// {} where there is none, or it does not say.
winsize terminal_size(OutputKind kind) {
  winsize size{};
  if (kind != OutputKind::kTerminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return size;
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// An unset locale says nothing about the terminal; nearly all of them read UTF-8.
Glyphs locale_glyphs() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = environment(name);
    if (value.empty()) continue;
    const std::size_t dot = value.find('.');
    if (dot == std::string_view::npos) return Glyphs::kUnicode;
    const std::string_view encoding = value.substr(dot + 1, value.find('@') - dot - 1);
    const bool utf8 = encoding.size() >= 4 && strncasecmp(encoding.data(), "utf", 3) == 0 && encoding.back() == '8';
    return utf8 ? Glyphs::kUnicode : Glyphs::kAscii;
  }
  return Glyphs::kUnicode;
}

// https://no-color.org and https://bixense.com/clicolors: what is set and not empty counts, and NO_COLOR most.
Colors colors_of(bool is_terminal) {
  if (!environment("NO_COLOR").empty()) return Colors::kOff;
  const std::string_view force = environment("CLICOLOR_FORCE");
  if (!force.empty() && force != "0") return Colors::kOn;
  return is_terminal && environment("CLICOLOR") != "0" ? Colors::kOn : Colors::kOff;
}

}  // namespace

std::string colored(const std::string& text, TextColor color, Colors colors) {
  static constexpr std::array<const char*, 6> kCodes = {"", "1", "32", "33", "1;31", "36"};
  if (colors == Colors::kOff || color == TextColor::kNone) return text;
  return std::string("\x1b[") + kCodes[static_cast<std::size_t>(color)] + "m" + text + "\x1b[0m";
}

std::size_t Console::columns() const {
  const std::size_t columns = terminal_size(kind).ws_col;
  return columns == 0 ? kUsualColumns : columns;
}

std::size_t Console::rows() const {
  const std::size_t rows = terminal_size(kind).ws_row;
  return rows == 0 ? kUsualRows : rows;
}

Console standard_console() {
  const bool terminal = isatty(STDOUT_FILENO) == 1 && environment("TERM") != "dumb";
  return Console{.out = std::cout,
                 .err = std::cerr,
                 .kind = terminal ? OutputKind::kTerminal : OutputKind::kPlain,
                 .colors = colors_of(terminal),
                 .glyphs = locale_glyphs()};
}

}  // namespace equipoise
