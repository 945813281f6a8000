#include "worker/training/checkpoint_writer.h"

#include <fcntl.h>
#include <google/protobuf/util/time_util.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/base/descriptor.h"
#include "common/base/durable_file.h"
#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/base/utc_time.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/metrics/metrics_schema.h"
#include "worker/collective/broadcast.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexedPart = "model";  // transformers finds its files by an index
constexpr const char* kIndexName = "model.safetensors.index.json";

std::string file_name(const CheckpointPart& part, CheckpointShare share) {
  if (!part.is_sharded || share.count == 1) return part.name + ".safetensors";
  std::array<char, 64> numbers{};
  std::snprintf(numbers.data(), numbers.size(), "-%05d-of-%05d.safetensors", share.index + 1, share.count);
  return part.name + numbers.data();
}

// The calling thread gives way to those that train, on a machine whose processors are all busy.
void give_way() { ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 19); }

// As it is on disk: what was written is read again.
CheckpointFile measured(const fs::path& file, const std::function<void(std::int64_t)>& on_bytes) {
  Sha256 sha256;
  if (!sha256.update_from(file, on_bytes)) throw std::runtime_error(file.string() + " cannot be read again");
  return {.name = file.filename().string(),
          .bytes = static_cast<std::int64_t>(fs::file_size(file)),
          .sha256 = sha256.finish()};
}

// The lines that a checkpoint counts on are on disk before it is.
void sync_file(const fs::path& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.get() >= 0 && ::fdatasync(descriptor.get()) == 0) return;
  throw std::runtime_error(file.string() + " cannot be brought to disk: " + std::strerror(errno));
}

// The global ranks of the machine of global rank 0, ascending; the same on every rank.
std::vector<int> ranks_of_first_machine(HostCollective& host, HostCollective& local) {
  std::int32_t first_here = host.info().rank;
  local.broadcast(std::as_writable_bytes(std::span(&first_here, 1)), 0);
  std::vector<double> is_there(static_cast<std::size_t>(host.info().world_size));
  is_there[static_cast<std::size_t>(host.info().rank)] = first_here == 0 ? 1 : 0;
  host.all_reduce_sum(is_there);
  std::vector<int> ranks;
  for (std::size_t rank = 0; rank < is_there.size(); ++rank) {
    if (is_there[rank] > 0) ranks.push_back(static_cast<int>(rank));
  }
  return ranks;
}

CheckpointShare share_of_rank(const std::vector<int>& writers, int rank) {
  const auto place = std::ranges::find(writers, rank);
  if (place == writers.end()) return {.index = 0, .count = 0};
  return {.index = static_cast<int>(place - writers.begin()), .count = static_cast<int>(writers.size())};
}

}  // namespace

CheckpointWriter::CheckpointWriter(const Parts& parts) : parts_(parts), made_at_(std::chrono::steady_clock::now()) {
  writers_ = ranks_of_first_machine(parts_.host, parts_.local);
  share_ = share_of_rank(writers_, parts_.host.info().rank);
}

CheckpointWriter::~CheckpointWriter() {
  if (writing_.valid()) writing_.wait();
  if (committing_.valid()) committing_.wait();
}

bool CheckpointWriter::is_late() const {
  const auto every = parts_.config.checkpoint.every;
  return every.count() > 0 && std::chrono::steady_clock::now() - made_at_ >= every;
}

bool CheckpointWriter::is_due(std::int64_t steps_done) const {
  const std::int64_t every_steps = parts_.config.checkpoint.every_steps;
  return every_steps > 0 && steps_done % every_steps == 0;
}

// The folder's name has the attempt in it: what an earlier one left is nobody else's.
fs::path CheckpointWriter::aside(std::int64_t step) const {
  const fs::path folder = checkpoint_folder(parts_.config.output, step);
  std::string name = ".";
  name += folder.filename().string();
  name += '.';
  name += std::to_string(parts_.attempt.generation);
  return folder.parent_path() / name;
}

// Why it cannot be made; empty: it is there, empty.
std::string CheckpointWriter::make_folder(std::int64_t step) {
  std::error_code error;
  const fs::path folder = aside(step);
  fs::remove_all(folder, error);
  if (!error) fs::create_directories(folder, error);
  return error ? folder.string() + " cannot be made: " + error.message() : "";
}

void CheckpointWriter::finish_earlier() {
  wait_for_writing();
  if (committing_.valid()) is_whole_ = committing_.get();  // of rank 0
}

void CheckpointWriter::make(CheckpointManifest manifest) {
  EQUIPOISE_CHECK(!is_under_way_);
  std::int64_t step = manifest.step;
  std::string fault;
  if (is_first()) {
    fault = make_folder(step);
    if (!fault.empty()) is_whole_ = give_up(step, fault);
    made_at_ = std::chrono::steady_clock::now();
    manifest_ = std::move(manifest);
    if (!fault.empty()) step = -1;
  }
  // Nobody writes before the folder is there.
  parts_.host.broadcast(std::as_writable_bytes(std::span(&step, 1)), 0);
  if (step < 0) return;
  is_under_way_ = has_begun_any_ = true;
  if (share_.count > 0) writing_ = start_writing(aside(step));
}

std::future<CheckpointWriter::WrittenShare> CheckpointWriter::start_writing(const fs::path& folder) const {
  try {
    return std::async(std::launch::async, [this, folder, snapshot = parts_.policy.snapshot(share_)] {
      return write_share(folder, snapshot);
    });
  } catch (const std::exception& failure) {  // no memory for the copies, no thread
    std::promise<WrittenShare> failed;
    failed.set_value({.files = {}, .fault = failure.what()});
    return failed.get_future();
  }
}

CheckpointWriter::WrittenShare CheckpointWriter::write_share(const fs::path& folder,
                                                             const PolicySnapshot& snapshot) const {
  give_way();
  WrittenShare share;
  const auto advance = [this](std::int64_t /*bytes*/) { parts_.progress.advance(); };
  try {
    for (const CheckpointPart& part : snapshot.parts) {
      if (part.tensors.empty()) continue;
      const fs::path file = folder / file_name(part, share_);
      write_safetensors(file, part.tensors, {{"format", "pt"}}, advance);
      parts_.progress.advance();  // it is on disk
      WrittenFile written{.file = measured(file, advance), .part = part.name, .tensors = {}};
      for (const TensorView& tensor : part.tensors) written.tensors.push_back(tensor.name);
      share.files.push_back(std::move(written));
    }
    if (is_first()) write_companions(folder, share);
  } catch (const std::exception& failure) {
    share.fault = failure.what();
  }
  return share;
}

void CheckpointWriter::write_companions(const fs::path& folder, WrittenShare& share) const {
  parts_.policy.write_companions(folder);
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    // Those with tensors are of their ranks, which may be writing them.
    if (name.find(".safetensors") != std::string::npos || !entry.is_regular_file(ignored)) continue;
    WrittenFile written{.file = measured(entry.path(), {}), .part = {}, .tensors = {}};
    written.file.name = name;
    share.files.push_back(std::move(written));
    parts_.progress.advance();
  }
}

bool CheckpointWriter::is_writing() const {
  return writing_.valid() && writing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
}

void CheckpointWriter::wait_for_writing() {
  if (!is_under_way_) return;
  wait_until_all(parts_.host, [this] {
    const bool is_writing_yet = is_writing();
    parts_.progress.set_works_aside(is_writing_yet);
    return !is_writing_yet;
  });
  gather_written();
}

void CheckpointWriter::gather_written() {
  if (!is_under_way_) return;
  const std::vector<WrittenShare> shares = gather();
  is_under_way_ = false;
  if (!is_first()) return;
  committing_ = std::async(std::launch::async, [this, manifest = std::move(manifest_), shares]() mutable {
    give_way();
    return commit_or_tell(std::move(manifest), shares);
  });
}

std::vector<CheckpointWriter::WrittenShare> CheckpointWriter::gather() {
  std::string own;
  if (writing_.valid()) own = text_of(writing_.get());
  std::vector<WrittenShare> shares;
  for (const int writer : writers_) {
    std::string text = writer == parts_.host.info().rank ? own : std::string();
    broadcast_text(text, writer, parts_.host);
    if (is_first()) shares.push_back(share_of(text));
  }
  return shares;
}

std::string CheckpointWriter::text_of(const WrittenShare& share) {
  CheckpointJson files = CheckpointJson::array();
  for (const WrittenFile& written : share.files) {
    files.push_back({{"name", written.file.name},
                     {"bytes", written.file.bytes},
                     {"sha256", hex_text(written.file.sha256)},
                     {"part", written.part},
                     {"tensors", written.tensors}});
  }
  return CheckpointJson{{"fault", utf8_text(share.fault)}, {"files", std::move(files)}}.dump();
}

CheckpointWriter::WrittenShare CheckpointWriter::share_of(const std::string& text) {
  const CheckpointJson content = CheckpointJson::parse(text);
  WrittenShare share{.files = {}, .fault = text_at(content, "fault")};
  for (const CheckpointJson& file : content.at("files")) {
    share.files.push_back({.file = {.name = text_at(file, "name"),
                                    .bytes = integer_at(file, "bytes"),
                                    .sha256 = digest_at(file, "sha256")},
                           .part = text_at(file, "part"),
                           .tensors = file.at("tensors").get<std::vector<std::string>>()});
  }
  return share;
}

bool CheckpointWriter::commit_or_tell(CheckpointManifest manifest, const std::vector<WrittenShare>& shares) {
  const std::int64_t step = manifest.step;
  for (const WrittenShare& share : shares) {
    if (!share.fault.empty()) return give_up(step, share.fault);
  }
  try {
    commit(manifest, shares);
  } catch (const std::exception& failure) {
    return give_up(step, failure.what());
  }
  // It is whole, whatever fails now.
  const auto taken = std::chrono::steady_clock::now() - made_at_;
  record(manifest);
  try {
    tell_coordinator(manifest, prune(step), taken);
  } catch (const AttemptEnded&) {
    // The next heartbeat tells the steps.
  } catch (const std::exception& failure) {
    parts_.log.warn("the coordinator could not be told of the checkpoint of step {}: {}", step, failure.what());
  }
  return true;
}

std::vector<std::int64_t> CheckpointWriter::prune(std::int64_t whole_step) const {
  try {
    return prune_checkpoints(parts_.config.output, parts_.config.checkpoint.keep, whole_step);
  } catch (const std::exception& failure) {
    parts_.log.warn("{}", failure.what());
    return {};
  }
}

void CheckpointWriter::commit(CheckpointManifest& manifest, const std::vector<WrittenShare>& shares) {
  const fs::path folder = aside(manifest.step);
  CheckpointJson file_of = CheckpointJson::object();
  std::int64_t indexed_bytes = 0;
  for (const WrittenShare& share : shares) {
    for (const WrittenFile& written : share.files) {
      manifest.files.push_back(written.file);
      if (written.part != kIndexedPart) continue;
      indexed_bytes += written.file.bytes;
      for (const std::string& tensor : written.tensors) file_of[tensor] = written.file.name;
    }
  }
  if (shares.size() > 1 && !file_of.empty()) {
    const CheckpointJson index = {{"metadata", {{"total_size", indexed_bytes}}}, {"weight_map", std::move(file_of)}};
    write_durably(folder / kIndexName, index.dump(2) + "\n");
    manifest.files.push_back(measured(folder / kIndexName, {}));
  }
  std::ranges::sort(manifest.files, {}, &CheckpointFile::name);
  manifest.time = utc_time_text();
  sync_file(parts_.config.output / metrics_schema::kFileName);
  if (manifest.ledger_bytes > 0) sync_file(parts_.config.output / kLedgerName);
  sync_folder(parts_.config.output);  // which has the names of that file and of the folder of checkpoints
  write_durably(folder / kManifestName, manifest_text(manifest));
  check_is_current();
  const fs::path target = checkpoint_folder(parts_.config.output, manifest.step);
  fs::remove_all(target);  // of a line of steps that was given up, or damaged
  fs::rename(folder, target);
  sync_folder(target.parent_path());
}

// Throws AttemptEnded where a later attempt has begun: it may be writing into the same folder, on a file system whose
// locks do not reach this machine, and what stands there is its line of steps.
void CheckpointWriter::check_is_current() const {
  v1::GetGroupWeightsRequest request;
  request.set_job_id(parts_.attempt.job_id);
  request.set_generation(parts_.attempt.generation);
  parts_.client.group_weights(request);
}

// A ledger that cannot be written fails with the next step, which needs it.
void CheckpointWriter::record(const CheckpointManifest& manifest) const {
  if (ledger_ == nullptr) return;
  try {
    ledger_->checkpoint({.generation = manifest.generation,
                         .step = manifest.step,
                         .manifest = manifest_digest(manifest),
                         .parameters = parameters_digest(manifest)});
  } catch (const std::exception& failure) {
    parts_.log.warn("{}", failure.what());
  }
}

void CheckpointWriter::tell_coordinator(const CheckpointManifest& manifest, const std::vector<std::int64_t>& removed,
                                        std::chrono::steady_clock::duration taken) const {
  v1::CommitCheckpointRequest request;
  request.set_job_id(parts_.attempt.job_id);
  request.set_generation(parts_.attempt.generation);
  request.set_step(manifest.step);
  request.set_manifest_digest(byte_text(manifest_digest(manifest)));
  request.set_bytes(manifest.bytes());
  request.mutable_removed_steps()->Add(removed.begin(), removed.end());
  *request.mutable_duration() = google::protobuf::util::TimeUtil::NanosecondsToDuration(
      std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count());
  parts_.client.commit_checkpoint(request);
}

bool CheckpointWriter::give_up(std::int64_t step, const std::string& fault) const {
  std::error_code ignored;
  fs::remove_all(aside(step), ignored);
  parts_.log.warn("the checkpoint of step {} is given up, and training goes on: {}", step, fault);
  return false;
}

bool CheckpointWriter::finish() {
  finish_earlier();
  std::int64_t is_whole = is_whole_ ? 1 : 0;
  parts_.host.broadcast(std::as_writable_bytes(std::span(&is_whole, 1)), 0);
  return is_whole != 0;
}

}  // namespace equipoise
