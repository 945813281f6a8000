#include "worker/training/checkpoint_reader.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/base/path_check.h"
#include "common/config/checkpoint_settings.h"
#include "common/config/job_file.h"
#include "worker/collective/broadcast.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// Of a message of the collective.
constexpr std::size_t kPieceBytes = std::size_t{64} << 20;

// Damaged ones are told, as people should look at their disk.
class CheckpointSearch {
 public:
  CheckpointSearch(spdlog::logger& log, const std::function<void(int)>& on_progress)
      : log_(log), on_progress_(on_progress) {}

  // Nothing, and why() says it, where it is not whole.
  std::optional<FoundCheckpoint> whole(const fs::path& folder) {
    auto found = described(folder);
    return found && is_whole(*found) ? found : std::nullopt;
  }

  // `owner`: whose it has to be; null: anybody's. Those of others are not read.
  std::optional<FoundCheckpoint> newest(const fs::path& output, const CheckpointOwner* owner) {
    for (const CheckpointEntry& entry : list_checkpoints(output)) {
      auto found = described(entry.folder);
      const bool is_others =
          found && owner != nullptr &&
          (found->manifest.job_id != owner->job_id || found->manifest.generation >= owner->generation);
      if (is_others) continue;
      if (found && is_whole(*found)) return found;
      log_.warn("{}; an older checkpoint is looked for", why_);
    }
    return std::nullopt;
  }

  const std::string& why() const { return why_; }
  void refuse_damage(const fs::path& output) const {
    if (damaged_ == 0) return;
    throw std::invalid_argument("no checkpoint in " + checkpoints_folder(output).string() +
                                " is whole, and training does not begin again by itself: " + why_);
  }

 private:
  // By its manifest.
  std::optional<FoundCheckpoint> described(const fs::path& folder) {
    try {
      return FoundCheckpoint{.folder = folder, .manifest = read_checkpoint_manifest(folder)};
    } catch (const std::invalid_argument& fault) {
      note_damage(fault.what());
      return std::nullopt;
    }
  }

  bool is_whole(const FoundCheckpoint& found) {
    const std::string fault = fault_of_files(found.folder, found.manifest, counter(found.manifest.bytes()));
    if (!fault.empty()) note_damage(fault);
    return fault.empty();
  }

  void note_damage(const std::string& why) {
    why_ = why;
    ++damaged_;
  }

  std::function<void(std::int64_t)> counter(std::int64_t bytes) {
    return [this, bytes, read = std::int64_t{0}, told = 0](std::int64_t more) mutable {
      read += more;
      const int percent = static_cast<int>(read * 100 / std::max<std::int64_t>(bytes, 1));
      if (on_progress_ && percent > told) on_progress_(told = percent);
    };
  }

  spdlog::logger& log_;
  const std::function<void(int)>& on_progress_;
  std::string why_;
  int damaged_ = 0;
};

// "model" of model.safetensors and of model-00001-of-00002.safetensors.
std::string part_of(const std::string& file) {
  std::string part = fs::path(file).stem().string();
  const std::size_t dash = part.find('-');
  return dash == std::string::npos ? part : part.substr(0, dash);
}

}  // namespace

namespace {

// With the defaults of settings that the program which wrote it did not have.
v1::JobSpec job_of(const CheckpointManifest& manifest) {
  v1::JobSpec job;
  merge_job_text("the job of the checkpoint", manifest.job, job);
  return resolve_defaults(job, make_job_config(job));
}

// Settings that may change and yet change the last digits.
void warn_of_other_bits(const v1::JobSpec& resolved, const CheckpointManifest& manifest, spdlog::logger& log) {
  const auto before = job_of(manifest).training().micro_batch_tokens(), now = resolved.training().micro_batch_tokens();
  if (before == now) return;
  log.warn("training.micro_batch_tokens is {}, {} before the checkpoint: numbers agree to rounding, not bit by bit",
           now, before);
}

}  // namespace

std::optional<FoundCheckpoint> find_checkpoint(const JobConfig& config, const v1::JobSpec& resolved,
                                               const CheckpointOwner& owner, spdlog::logger& log,
                                               const std::function<void(int)>& on_progress) {
  const auto& wanted = config.training.resume_from_checkpoint;
  CheckpointSearch search(log, on_progress);
  std::optional<FoundCheckpoint> found;
  if (owner.generation > 1) found = search.newest(config.output, &owner);
  // What the job has done itself counts, before what it was begun with.
  if (!found) search.refuse_damage(config.output);
  if (!found && wanted) {
    found = *wanted == kLatestCheckpoint ? search.newest(config.output, nullptr) : search.whole(resolved_path(*wanted));
    if (!found && *wanted != kLatestCheckpoint) {
      throw std::invalid_argument("training.resume_from_checkpoint: " + search.why());
    }
  }
  if (!found) search.refuse_damage(config.output);
  if (!found) return found;
  const bool begins_fork = owner.is_fork && found->manifest.job_id != owner.job_id;
  check_same_settings(resolved, job_of(found->manifest), found->manifest.step,
                      begins_fork ? CheckpointUse::kFork : CheckpointUse::kOwn);
  // Of its own job people may have moved the end, which the coordinator has.
  if (found->manifest.job_id != owner.job_id) check_end_after(found->manifest.step, config);
  warn_of_other_bits(resolved, found->manifest, log);
  return found;
}

CheckpointReader::CheckpointReader(const std::optional<FoundCheckpoint>& found, HostCollective& host) : host_(host) {
  std::string text;
  if (found) {
    folder_ = found->folder;
    manifest_ = found->manifest;
    text = manifest_text(manifest_);
    for (const CheckpointFile& file : manifest_.files) {
      if (!file.name.ends_with(".safetensors")) continue;
      files_.emplace(part_of(file.name), SafetensorsFile::open(folder_ / file.name));
    }
  }
  broadcast_text(text, 0, host_);
  if (!found) manifest_ = parse_manifest(text);
}

const TensorView& CheckpointReader::find(const std::string& part, const TensorView& wanted) const {
  const auto [first, last] = files_.equal_range(part);
  for (auto file = first; file != last; ++file) {
    const TensorView* const tensor = file->second.find(wanted.name);
    if (tensor == nullptr) continue;
    if (tensor->dtype == wanted.dtype && tensor->shape == wanted.shape) return *tensor;
    throw std::invalid_argument(file->second.path().string() + ": tensor " + wanted.name +
                                " has another type or shape than the job's");
  }
  throw std::invalid_argument(folder_.string() + " has no tensor " + wanted.name + " of " + part);
}

void CheckpointReader::read(const std::string& part, const TensorView& wanted, std::span<std::byte> bytes) const {
  if (host_.info().rank == 0) {
    const TensorView& tensor = find(part, wanted);
    EQUIPOISE_CHECK(tensor.bytes.size() == bytes.size());
    if (!bytes.empty()) std::memcpy(bytes.data(), tensor.bytes.data(), bytes.size());
  }
  if (host_.info().world_size == 1) return;
  for (std::size_t begin = 0; begin < bytes.size(); begin += kPieceBytes) {
    host_.broadcast(bytes.subspan(begin, std::min(kPieceBytes, bytes.size() - begin)), 0);
  }
}

}  // namespace equipoise
