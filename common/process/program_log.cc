#include "common/process/program_log.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <vector>

#include "common/process/mpirun_notice.h"

namespace equipoise {
namespace {

constexpr std::size_t kLongestLine = 512;
constexpr std::streamoff kTailBytes = 64 * 1024;

bool is_frame(std::string_view line) {
  constexpr std::size_t kShortestFrame = 20;
  return line.size() >= kShortestFrame && line.find_first_not_of('-') == std::string_view::npos;
}

bool has_letters(std::string_view line) {
  return std::ranges::any_of(line, [](unsigned char c) { return std::isalpha(c) != 0; });
}

// "2026-01-31T12:00:00.000Z info PROGRAM[PID]: ..."
bool is_logged_at(std::string_view line, std::string_view level) {
  constexpr std::size_t kZone = 23;
  return line.size() > kZone + 1 && line[10] == 'T' && line[kZone] == 'Z' && line.substr(kZone + 1).starts_with(level);
}

// Other bytes would make the message that carries it invalid.
std::string printable(std::string_view line) {
  std::string text(line.substr(0, kLongestLine));
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

// What went well is no reason for an end.
bool is_news(std::string_view line) {
  return is_logged_at(line, " info ") || is_logged_at(line, " debug ") || is_logged_at(line, " trace ");
}

// What a log says, sorted by how well it explains an end.
class LogReading {
 public:
  void read(std::string_view line) {
    if (is_frame(line)) {
      if (!block_.empty()) keep(read_notice(block_));
      block_.clear();
      is_in_block_ = !is_in_block_;
    } else if (is_in_block_) {
      block_.push_back(line);
    } else if (is_disk_full_line(line)) {
      room_ = "mpirun found no room for its files: free some in TMPDIR, or set it to another folder";
    } else if (has_letters(line) && !is_news(line)) {
      read_said(line);
    }
  }

  std::string reason() {
    if (!block_.empty()) keep(read_notice(block_));  // its end was cut off
    for (const std::string* text : {&said_, &cause_, &room_, &warning_, &consequence_}) {
      if (!text->empty()) return *text;
    }
    return log_line_;
  }

 private:
  void read_said(std::string_view line) {
    // ssh says so after the line that names the host, if there is one.
    if (line.starts_with("Host key verification failed.") && said_.starts_with("ssh: the host key of ")) return;
    if (is_mpirun_log_line(line)) {
      log_line_ = line;
    } else if (is_logged_at(line, " warning ")) {
      warning_ = line;
    } else {
      said_ = explained_line(line);
    }
  }

  // The first cause brought about the others.
  void keep(const MpirunNotice& notice) {
    std::string& place = notice.weight == NoticeWeight::kCause     ? cause_
                         : notice.weight == NoticeWeight::kWarning ? warning_
                                                                   : consequence_;
    if (place.empty()) place = notice.text;
  }

  bool is_in_block_ = false;
  std::vector<std::string_view> block_;
  std::string said_, cause_, room_, warning_, consequence_, log_line_;
};

}  // namespace

std::string last_informative_line(std::string_view text) {
  LogReading log;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    log.read(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return printable(log.reason());
}

std::string tail_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  stream.seekg(0, std::ios::end);
  const std::streamoff size = stream.tellg();
  if (!stream || size <= 0) return "";
  std::string tail(static_cast<std::size_t>(std::min(size, kTailBytes)), '\0');
  stream.seekg(size - static_cast<std::streamoff>(tail.size()));
  stream.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  tail.resize(static_cast<std::size_t>(stream.gcount()));
  return tail;
}

std::string last_informative_line_of(const std::filesystem::path& file) { return last_informative_line(tail_of(file)); }

std::string first_error_of(const std::filesystem::path& file, std::string_view program) {
  std::ifstream stream(file, std::ios::binary);
  const std::string start = std::string(program).append(": ");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(start)) return line.substr(start.size());
  }
  return "";
}

}  // namespace equipoise
