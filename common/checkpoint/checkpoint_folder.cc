#include "common/checkpoint/checkpoint_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>
#include <stdexcept>
#include <system_error>

#include "common/base/descriptor.h"
#include "common/base/durable_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kAbandoned = ".abandoned";
constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

std::string system_error_text() { return std::strerror(errno); }

// Reads to the end or to one byte more than expected: a file that grows while it is read ends, too.
std::string fault_of_file(const fs::path& path, const CheckpointFile& file,
                          const std::function<void(std::int64_t)>& on_bytes) {
  const Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) return system_error_text();
  struct stat found {};
  if (::fstat(descriptor.get(), &found) != 0) return system_error_text();
  if (!S_ISREG(found.st_mode)) return "is no regular file";
  if (found.st_size != file.bytes) {
    return "has " + std::to_string(found.st_size) + " bytes, expected " + std::to_string(file.bytes);
  }
  Sha256 sha256;
  std::vector<std::byte> piece(std::min(kPieceBytes, static_cast<std::size_t>(file.bytes) + 1));
  std::int64_t read = 0;
  while (read <= file.bytes) {
    const ssize_t count = ::read(descriptor.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error_text();
    if (count == 0) break;
    sha256.update(std::span(piece).first(static_cast<std::size_t>(count)));
    read += count;
    if (on_bytes) on_bytes(count);
  }
  if (read != file.bytes) return "has changed while it was read";
  return sha256.finish() == file.sha256 ? "" : "is not what was written: its SHA-256 is another one";
}

bool is_whole(const CheckpointEntry& entry) { return fault_of_checkpoint(entry.folder).empty(); }

// By a name that nobody takes for a checkpoint first: what is left of it after a crash is no half of one.
void remove_checkpoint(const fs::path& folder) {
  std::string name = ".";
  name += folder.filename().string();
  name += ".removed";
  const fs::path aside = folder.parent_path() / name;
  std::error_code error;
  fs::remove_all(aside, error);
  if (!error) fs::rename(folder, aside, error);
  if (!error) sync_folder(folder.parent_path());  // else its files may be gone under the old name
  if (!error) fs::remove_all(aside, error);
  if (error) throw std::runtime_error(folder.string() + " cannot be removed: " + error.message());
}

// "step-7.abandoned", ".step-7.3" and the like; -1 for what is none of these.
std::int64_t step_of_leftover(std::string name) {
  if (name.starts_with(".")) {
    name.erase(0, 1);
    if (const auto point = name.find('.'); point != std::string::npos) name.erase(point);
  } else if (const auto point = name.find(kAbandoned); point != std::string::npos) {
    name.erase(point);
  } else {
    return -1;
  }
  return step_of_checkpoint(name);
}

// Half written or abandoned ones, by name, that `is_wanted` (name, step) takes.
std::vector<fs::path> leftovers_of(const fs::path& output, const auto& is_wanted) {
  std::error_code ignored;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(checkpoints_folder(output), ignored)) {
    const std::string name = entry.path().filename().string();
    const std::int64_t step = step_of_leftover(name);
    if (step >= 0 && is_wanted(name, step)) leftovers.push_back(entry.path());
  }
  std::ranges::sort(leftovers);
  return leftovers;
}

}  // namespace

fs::path checkpoints_folder(const fs::path& output) { return output / "checkpoints"; }

fs::path checkpoint_folder(const fs::path& output, std::int64_t step) {
  return checkpoints_folder(output) / (std::string(kPrefix) + std::to_string(step));
}

std::int64_t step_of_checkpoint(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return -1;
  const char* const begin = name.data() + kPrefix.size();
  const char* const end = name.data() + name.size();
  std::int64_t step = -1;
  const auto [stopped, error] = std::from_chars(begin, end, step);
  const bool is_plain = error == std::errc() && stopped == end && step >= 0 && (*begin != '0' || end - begin == 1);
  return is_plain ? step : -1;
}

std::vector<CheckpointEntry> list_checkpoints(const fs::path& output) {
  std::vector<CheckpointEntry> entries;
  const fs::path folder = checkpoints_folder(output);
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::int64_t step = step_of_checkpoint(entry->path());
    if (step >= 0) entries.push_back({.folder = entry->path(), .step = step});
  }
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory) {
    throw std::runtime_error(folder.string() + " cannot be read: " + error.message());
  }
  std::ranges::sort(entries, std::greater{}, &CheckpointEntry::step);
  return entries;
}

CheckpointManifest read_checkpoint_manifest(const fs::path& folder) {
  CheckpointManifest manifest = read_manifest(folder);
  const std::int64_t named = step_of_checkpoint(folder);
  if (named < 0 || named == manifest.step) return manifest;
  throw std::invalid_argument(folder.string() + " holds the checkpoint of step " + std::to_string(manifest.step));
}

std::string fault_of_files(const fs::path& folder, const CheckpointManifest& manifest,
                           const std::function<void(std::int64_t)>& on_bytes) {
  for (const CheckpointFile& file : manifest.files) {
    const std::string fault = fault_of_file(folder / file.name, file, on_bytes);
    if (!fault.empty()) return (folder / file.name).string() + ": " + fault;
  }
  return "";
}

std::string fault_of_checkpoint(const fs::path& folder, const std::function<void(std::int64_t)>& on_bytes) {
  try {
    return fault_of_files(folder, read_checkpoint_manifest(folder), on_bytes);
  } catch (const std::invalid_argument& fault) {
    return fault.what();
  }
}

std::string fault_of_model(const fs::path& folder, const std::function<void(std::int64_t)>& on_bytes) {
  if (!fs::exists(folder / kManifestName)) return "";
  CheckpointManifest manifest;
  try {
    manifest = read_manifest(folder);
  } catch (const std::invalid_argument& fault) {
    // Other programs have files of this name.
    return step_of_checkpoint(folder) < 0 ? "" : fault.what();
  }
  std::erase_if(manifest.files, [&](const CheckpointFile& file) { return !fs::exists(folder / file.name); });
  return fault_of_files(folder, manifest, on_bytes);
}

PrunePlan plan_pruning(const fs::path& output, int keep, std::int64_t whole_step) {
  const std::vector<CheckpointEntry> entries = list_checkpoints(output);
  const auto kept = std::min(entries.size(), static_cast<std::size_t>(keep));
  PrunePlan plan;
  if (entries.empty()) return plan;
  const std::int64_t newest = entries.front().step;
  plan.leftovers = leftovers_of(output, [&](const std::string&, std::int64_t step) { return step < newest; });
  if (entries.size() == kept) return plan;
  const std::span<const CheckpointEntry> staying(entries.data(), kept);
  bool has_whole = std::ranges::find(staying, whole_step, &CheckpointEntry::step) != staying.end() ||
                   std::ranges::any_of(staying, is_whole);
  for (std::size_t i = kept; i < entries.size(); ++i) {
    if (!has_whole && is_whole(entries[i])) {
      has_whole = true;
    } else {
      plan.checkpoints.push_back(entries[i]);
    }
  }
  return plan;
}

void remove_planned(const fs::path& output, const PrunePlan& plan) {
  std::error_code ignored;
  for (const fs::path& leftover : plan.leftovers) fs::remove_all(leftover, ignored);
  for (const CheckpointEntry& checkpoint : plan.checkpoints) remove_checkpoint(checkpoint.folder);
  if (!plan.checkpoints.empty()) sync_folder(checkpoints_folder(output));
}

std::vector<std::int64_t> prune_checkpoints(const fs::path& output, int keep, std::int64_t whole_step) {
  const PrunePlan plan = plan_pruning(output, keep, whole_step);
  remove_planned(output, plan);
  std::vector<std::int64_t> removed;
  for (const CheckpointEntry& checkpoint : plan.checkpoints) removed.push_back(checkpoint.step);
  return removed;
}

void remove_unfinished_checkpoints(const fs::path& output) {
  const auto is_unfinished = [](const std::string& name, std::int64_t) { return name.starts_with("."); };
  std::error_code ignored;
  for (const fs::path& folder : leftovers_of(output, is_unfinished)) fs::remove_all(folder, ignored);
}

void abandon_checkpoints_after(const fs::path& output, std::int64_t step) {
  for (const CheckpointEntry& entry : list_checkpoints(output)) {
    if (entry.step <= step) continue;
    fs::path aside = entry.folder;
    aside += kAbandoned;
    std::error_code error;
    fs::remove_all(aside, error);
    if (!error) fs::rename(entry.folder, aside, error);
    if (error) throw std::runtime_error(entry.folder.string() + " cannot be renamed: " + error.message());
    sync_folder(checkpoints_folder(output));
  }
}

}  // namespace equipoise
