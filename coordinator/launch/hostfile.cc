#include "coordinator/launch/hostfile.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <iterator>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "common/base/bounded_file.h"
#include "common/base/message_text.h"
#include "common/config/job_config.h"

namespace equipoise::coordinator {
namespace {

constexpr std::uintmax_t kLargestFile = 1 << 20;
constexpr std::size_t kLongestLine = 1024;
constexpr std::size_t kMostNames = 8;

// Where an error is about: "hosts:3: ".
struct Line {
  const std::filesystem::path& file;
  int number;
  [[noreturn]] void refuse(const std::string& what) const {
    throw std::invalid_argument(file.string() + ":" + std::to_string(number) + ": " + what);
  }
};

// A name that no program takes for an option or for more than one word.
bool is_host_name(std::string_view name) {
  return !name.empty() && name.front() != '-' && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':' || c == '@' || c == '[' || c == ']';
  });
}

int slots_of(const Line& line, const std::string& key, const std::string& value) {
  int slots = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), slots);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == value.data() + value.size();
  if (is_number && slots >= 1 && slots <= kMostWorkers) return slots;
  line.refuse(key + " is " + quoted_text(value) + ", expected 1 to " + std::to_string(kMostWorkers));
}

HostSlots host_of(const Line& line, std::string text) {
  text = std::regex_replace(text, std::regex(R"(\s*=\s*)"), "=");
  std::istringstream stream(text);
  const std::vector<std::string> words{std::istream_iterator<std::string>(stream),
                                       std::istream_iterator<std::string>()};
  HostSlots host{.name = words[0]};
  int most = kMostWorkers;
  if (!is_host_name(host.name)) line.refuse(quoted_text(host.name) + " is no host name; expected node1 slots=8");
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const std::string key = words[i].substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : words[i].substr(equals + 1);
    if (key == "slots" || key == "slot" || key == "cpu" || key == "cpus" || key == "count") {
      host.slots = slots_of(line, key, value);
    } else if (key == "max_slots" || key == "max-slots") {
      most = slots_of(line, key, value);
    } else if (key == "user" || key == "username" || key == "user-name" || key == "user_name") {
      if (!is_host_name(value)) line.refuse(key + " is " + quoted_text(value) + ", expected a name");
      host.name.insert(0, value + "@");
    } else {
      line.refuse("unknown word " + quoted_text(words[i]) + ", expected slots=N, max_slots=N or user=NAME");
    }
  }
  host.slots = std::min(host.slots, most);
  return host;
}

// Hands every line that names a host to `use`.
void each_host(const std::filesystem::path& file, const std::string& content,
               const std::function<void(const Line&, const HostSlots&)>& use) {
  std::istringstream stream(content);
  Line line{.file = file, .number = 0};
  for (std::string text; std::getline(stream, text);) {
    ++line.number;
    if (text.size() > kLongestLine) line.refuse("the line has more than 1024 bytes, expected node1 slots=8");
    text.erase(std::min(text.find('#'), text.size()));
    if (text.find_first_not_of(" \t\r") != std::string::npos) use(line, host_of(line, text));
  }
}

}  // namespace

std::vector<HostSlots> read_hostfile(const std::filesystem::path& file) {
  return parse_hostfile(file, read_bounded_file(file, kLargestFile, "a hostfile"));
}

std::vector<HostSlots> parse_hostfile(const std::filesystem::path& file, const std::string& content) {
  std::vector<HostSlots> hosts;
  each_host(file, content, [&hosts](const Line&, const HostSlots& host) {
    const auto known = std::ranges::find(hosts, host.name, &HostSlots::name);
    known == hosts.end() ? hosts.push_back(host) : void(known->slots += host.slots);
  });
  if (hosts.empty())
    throw std::invalid_argument(file.string() + " names no host, expected a line such as node1 slots=8");
  return hosts;
}

std::string place_in_hostfile(const std::filesystem::path& file, const std::string& host) {
  int number = 0;
  try {
    each_host(file, read_bounded_file(file, kLargestFile, "a hostfile"), [&](const Line& line, const HostSlots& named) {
      if (number == 0 && named.name == host) number = line.number;
    });
  } catch (const std::invalid_argument&) {  // it was changed meanwhile
    return file.string();
  }
  return file.string() + (number > 0 ? ":" + std::to_string(number) : "");
}

std::string hostfile_text(std::span<const HostSlots> hosts) {
  std::string text;
  for (const HostSlots& host : hosts) text += host.name + " slots=" + std::to_string(host.slots) + "\n";
  return text;
}

std::string host_names(std::span<const HostSlots> hosts) {
  std::string text;
  for (const HostSlots& host : hosts.first(std::min(hosts.size(), kMostNames))) {
    text += (text.empty() ? "" : ", ") + host.name;
  }
  if (hosts.size() > kMostNames) text += " and " + std::to_string(hosts.size() - kMostNames) + " more";
  return text;
}

}  // namespace equipoise::coordinator
