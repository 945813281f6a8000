#include "worker/training/tensorboard_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "common/config/output_check.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;
namespace schema = metrics_schema;

constexpr std::string_view kEventFile = "events.out.tfevents.";

// Wire types of Protobuf.
constexpr unsigned kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
// Fields of tensorflow.Event, Summary, Summary.Value and SessionLog.
constexpr unsigned kWallTime = 1, kStepField = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr unsigned kValue = 1, kTag = 1, kSimpleValue = 2;
constexpr unsigned kStatus = 1, kStart = 1;

template <typename Bits>
void append_little_endian(std::string& text, Bits bits) {
  for (std::size_t i = 0; i < sizeof(bits); ++i) text += static_cast<char>(bits >> (8 * i) & 0xffU);
}

void append_varint(std::string& text, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) text += static_cast<char>((value & 0x7fU) | 0x80U);
  text += static_cast<char>(value);
}

void append_field(std::string& message, unsigned field, unsigned wire_type) {
  append_varint(message, field << 3U | wire_type);
}

void append_number(std::string& message, unsigned field, std::uint64_t value) {
  append_field(message, field, kVarint);
  append_varint(message, value);
}

void append_bytes(std::string& message, unsigned field, std::string_view bytes) {
  append_field(message, field, kBytes);
  append_varint(message, bytes.size());
  message += bytes;
}

// An Event up to what it is about.
std::string event_at(double wall_time, std::int64_t step) {
  std::string event;
  append_field(event, kWallTime, kFixed64);
  append_little_endian(event, std::bit_cast<std::uint64_t>(wall_time));
  append_number(event, kStepField, static_cast<std::uint64_t>(step));
  return event;
}

void append_value(std::string& summary, const std::string& tag, double number) {
  std::string value;
  append_bytes(value, kTag, tag);
  append_field(value, kSimpleValue, kFixed32);
  append_little_endian(value, std::bit_cast<std::uint32_t>(static_cast<float>(number)));
  append_bytes(summary, kValue, value);
}

// metrics.jsonl has null for a number that is not finite.
bool is_numeric(const MetricsJson& value) { return value.is_number() || value.is_null(); }
double number_of(const MetricsJson& value) { return value.is_null() ? std::nan("") : value.get<double>(); }

struct TagNames {
  std::string prefix;  // "train/"
  std::string file;    // "FILE_" on the line of one file
  bool is_test = false;

  // eval_FILE_loss has the file in it.
  std::string of(const std::string& name) const {
    if (name.starts_with(schema::kEvalPrefix)) return prefix + name.substr(schema::kEvalPrefix.size());
    return prefix + file + name;
  }
};

TagNames tag_names(const MetricsJson& line) {
  if (!line.contains(schema::kSplit.name)) return {.prefix = "train/", .file = ""};
  const auto split = line[std::string(schema::kSplit.name)].get<std::string>();
  if (split == schema::kSplitTest) return {.prefix = "test/", .file = "", .is_test = true};
  const std::size_t slash = split.find('/');
  return {.prefix = "eval/", .file = slash == std::string::npos ? "" : split.substr(slash + 1) + "_"};
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The time in the name of an event file, 0 in any other name.
std::int64_t time_in(const std::string& name) {
  std::int64_t seconds = 0;
  if (name.starts_with(kEventFile)) {
    std::from_chars(name.data() + kEventFile.size(), name.data() + name.size(), seconds);
  }
  return seconds;
}

// TensorBoard reads files in the order of their names, so that the newest has the largest time, whatever the clock
// says.
std::string next_name(std::int64_t newest) {
  const std::string seconds = std::to_string(std::max(static_cast<std::int64_t>(seconds_now()), newest + 1));
  constexpr std::size_t kDigits = 10;
  std::string name(kEventFile);
  name.append(kDigits - std::min(kDigits, seconds.size()), '0').append(seconds);
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host.front() = '\0';
  return name.append(".").append(host.data()).append(".").append(std::to_string(getpid()));
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
      table[i] = i;
      for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1U ^ ((table[i] & 1U) != 0 ? 0x82f63b78U : 0U);
    }
    return table;
  }();
  std::uint32_t crc = 0xffffffffU;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU] ^ crc >> 8U;
  return ~crc;
}

std::string tf_record(std::string_view bytes) {
  const auto append_masked = [](std::string& record, std::string_view of) {
    append_little_endian(record, std::rotr(crc32c(of), 15) + 0xa282ead8U);
  };
  std::string record;
  append_little_endian(record, static_cast<std::uint64_t>(bytes.size()));
  append_masked(record, std::string(record));
  record += bytes;
  append_masked(record, bytes);
  return record;
}

std::string event_of_line(const MetricsJson& line, double wall_time) {
  const TagNames names = tag_names(line);
  std::string summary;
  for (const auto& [name, value] : line.items()) {
    if (name == schema::kStep.name) continue;
    if (is_numeric(value)) append_value(summary, names.of(name), number_of(value));
    if (!names.is_test || !value.is_object()) continue;
    for (const auto& [group, number] : value.items()) {
      if (is_numeric(number)) append_value(summary, names.of(name).append("/").append(group), number_of(number));
    }
  }
  std::string event = event_at(wall_time, line.at(std::string(schema::kStep.name)).get<std::int64_t>());
  append_bytes(event, kSummary, summary);
  return event;
}

TensorboardFile::TensorboardFile(const fs::path& output, const Beginning& beginning, DiskPatience patience) {
  const fs::path folder = output / kTensorboard;
  std::int64_t newest = 0;
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      newest = std::max(newest, time_in(entry.path().filename().string()));
    }
  }
  path_ = folder / next_name(newest);
  if (!error) {
    file_ = std::make_unique<Descriptor>(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file_->get() < 0) error.assign(errno, std::generic_category());
  }
  if (error) throw_open_fault("cannot write " + path_.string(), error.value());
  std::string version = event_at(seconds_now(), 0);
  append_bytes(version, kFileVersion, "brain.Event:2");
  put(version);
  // What earlier files have of this step and later ones is forgotten.
  std::string session, start = event_at(seconds_now(), beginning.steps_done + 1);
  append_number(session, kStatus, kStart);
  append_bytes(start, kSessionLog, session);
  put(start);
  if (newest == 0) copy_lines(output, beginning);
  patience_ = std::move(patience);
}

void TensorboardFile::copy_lines(const fs::path& output, const Beginning& beginning) {
  std::string text;
  read_beginning(output / schema::kFileName, beginning.kept_bytes, [&](std::string_view piece) {
    text += piece;
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      write(MetricsJson::parse(text.substr(begin, end - begin)));
    }
    text.erase(0, begin);
  });
}

void TensorboardFile::write(const MetricsJson& line) {
  const auto split = line.find(schema::kSplit.name);
  if (split != line.end() && *split == schema::kSplitSettings) return;  // no curve
  put(event_of_line(line, seconds_now()));
}

void TensorboardFile::put(const std::string& event) {
  std::string record = tf_record(event);
  const auto write_record = [&] { write_all(file_->get(), record, "cannot write " + path_.string()); };
  do_with(patience_, write_record);
}

}  // namespace equipoise
