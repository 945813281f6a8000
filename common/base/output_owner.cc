#include "common/base/output_owner.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <sstream>

#include "common/base/network_interfaces.h"

namespace equipoise {
namespace {

constexpr std::size_t kLongestRecord = 4096;
constexpr const char* kRunsInside = "runs inside";

std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::string next_line(std::istream& text) {
  std::string line;
  std::getline(text, line);
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return line;
}

}  // namespace

OutputRecord own_record(const OutputOwner& owner) {
  return {.owner = owner, .pid = std::to_string(::getpid()), .host = host_name(), .since = time_text()};
}

void write_record(int descriptor, const OutputOwner& owner) {
  const OutputRecord record = own_record(owner);
  std::string text;
  for (const std::string& line : {owner.program, owner.job, record.pid, record.host, record.since}) text += line + "\n";
  if (owner.admits_runs_inside) text += std::string(kRunsInside) + "\n";
  const bool is_empty = ::ftruncate(descriptor, 0) == 0;
  const ssize_t ignored = is_empty ? ::pwrite(descriptor, text.data(), text.size(), 0) : 0;
  static_cast<void>(ignored);
}

OutputRecord read_record(int descriptor) {
  std::array<char, kLongestRecord> bytes{};
  const ssize_t length = ::pread(descriptor, bytes.data(), bytes.size(), 0);
  std::istringstream text(std::string(bytes.data(), length > 0 ? static_cast<std::size_t>(length) : 0));
  OutputRecord record;
  for (std::string* field : {&record.owner.program, &record.owner.job, &record.pid, &record.host, &record.since}) {
    *field = next_line(text);
  }
  record.owner.admits_runs_inside = next_line(text) == kRunsInside;
  return record;
}

std::string owner_text(const OutputRecord& record) {
  std::string text = record.owner.job.empty() ? "" : "job " + record.owner.job + " of ";
  text += record.owner.program.empty() ? "another process" : record.owner.program;
  if (record.pid.empty()) return text;
  return text + " (pid " + record.pid + " on " + record.host + " since " + record.since + ")";
}

}  // namespace equipoise
