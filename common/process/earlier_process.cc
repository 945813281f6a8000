#include "common/process/earlier_process.h"

#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "common/process/process_handle.h"

namespace equipoise {
namespace {

// A log has all answers that a host has given.
constexpr std::string_view kHeader = "equipoise: of the processes that are looked for";
constexpr std::string_view kBegin = "equipoise: process ", kMiddle = " is there, in state ";

std::chrono::seconds age_of(std::uint64_t start_time) {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return std::chrono::seconds(now.tv_sec - static_cast<std::int64_t>(start_time / ticks));
}

std::optional<char> state_in(const std::filesystem::path& stat) {
  std::istringstream fields(fields_behind_name(stat).value_or(""));
  char state = 0;
  return fields >> state ? std::optional(state) : std::nullopt;
}

template <typename Number>
Number number_in(std::string_view text, std::string_view whole) {
  Number number{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number >= 0) return number;
  throw std::invalid_argument("\"" + std::string(whole) + "\" is no process, expected PID:SECONDS");
}

}  // namespace

std::string earlier_process_text(const EarlierProcess& process) {
  return std::to_string(process.pid) + ":" + std::to_string(process.began_before.count());
}

EarlierProcess parse_earlier_process(const std::string& text) {
  const std::string_view whole = text;
  const std::size_t colon = whole.find(':');
  if (colon == std::string_view::npos)
    throw std::invalid_argument("\"" + text + "\" has no \":\", expected PID:SECONDS");
  return {.pid = number_in<pid_t>(whole.substr(0, colon), whole),
          .began_before = std::chrono::seconds(number_in<std::int64_t>(whole.substr(colon + 1), whole))};
}

std::optional<char> state_of(const EarlierProcess& process) {
  const auto start_time = process_start_time(process.pid);
  if (!start_time || age_of(*start_time) < process.began_before) return std::nullopt;
  std::optional<char> state;
  std::error_code gone;
  const std::filesystem::path tasks = "/proc/" + std::to_string(process.pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
    const auto of_task = state_in(task.path() / "stat");
    const bool has_ended = !of_task || *of_task == 'Z' || *of_task == 'X';
    if (!has_ended && (!state || *of_task == 'D')) state = of_task;
  }
  return state;
}

std::string processes_text(const std::vector<EarlierProcess>& processes) {
  std::string text(kHeader);
  text += '\n';
  for (const EarlierProcess& process : processes) {
    const auto state = state_of(process);
    if (!state) continue;
    text += kBegin;
    text += std::to_string(process.pid);
    text += kMiddle;
    text += *state;
    text += '\n';
  }
  return text;
}

std::optional<std::map<pid_t, char>> processes_in(std::string_view log) {
  const std::size_t newest = log.rfind(kHeader);
  if (newest == std::string_view::npos) return std::nullopt;
  std::map<pid_t, char> states;
  std::istringstream lines{std::string(log.substr(newest))};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t middle = line.find(kMiddle);
    if (!line.starts_with(kBegin) || middle == std::string::npos || middle + kMiddle.size() >= line.size()) continue;
    pid_t pid = 0;
    const char* const begin = line.data() + kBegin.size();
    const auto parsed = std::from_chars(begin, line.data() + middle, pid);
    if (parsed.ec == std::errc() && parsed.ptr == line.data() + middle) states[pid] = line[middle + kMiddle.size()];
  }
  return states;
}

}  // namespace equipoise
