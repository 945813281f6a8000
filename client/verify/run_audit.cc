#include "client/verify/run_audit.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/table/number_format.h"
#include "client/verify/metrics_check.h"
#include "common/base/bounded_file.h"
#include "common/base/message_text.h"
#include "common/base/path_check.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/ledger/ledger_reader.h"
#include "common/ledger/ledger_replay.h"
#include "common/ledger/receipt.h"
#include "common/metrics/metrics_schema.h"
#include "common/summary/model_card.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWeightsDigestBytes = 32;
constexpr std::uintmax_t kLargestReceipt = std::uintmax_t{64} << 20;

std::string counted_text(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string weights_text(const GroupWeightsState& state) {
  return CheckpointJson{{"log_alpha", json_of(state.log_alpha_K)},
                        {"group_loss", json_of(state.group_loss_K)},
                        {"step_size", json_of(state.step_size)}}
      .dump();
}

// The first `bytes` of a file; nothing where it has fewer.
std::optional<Digest> digest_of_first(const fs::path& path, std::int64_t bytes) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> piece(std::size_t{1} << 20);
  Sha256 sha256;
  while (bytes > 0) {
    file.read(piece.data(), static_cast<std::streamsize>(std::min<std::int64_t>(bytes, std::ssize(piece))));
    if (file.gcount() == 0) return std::nullopt;
    sha256.update(std::string_view(piece.data(), static_cast<std::size_t>(file.gcount())));
    bytes -= file.gcount();
  }
  return sha256.finish();
}

std::int64_t size_of(const fs::path& file) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

class RunAuditor {
 public:
  RunAuditor(const fs::path& run, const AuditSettings& settings) : run_(run), settings_(settings) {}

  RunAudit audit() {
    read_manifests();
    try {
      read_ledger();
    } catch (const std::invalid_argument& fault) {
      refuse("ledger", fault.what());
      return std::move(audit_);
    }
    check_chain();
    check_job_file();
    check_metrics();
    check_checkpoints();
    check_final();
    return std::move(audit_);
  }

 private:
  void accept(const std::string& what, const std::string& result) {
    audit_.lines.push_back({.what = what, .result = result, .is_fault = false});
  }
  void refuse(const std::string& what, const std::string& fault) {
    audit_.lines.push_back({.what = what, .result = fault, .is_fault = true});
  }

  void read_manifests() {
    for (const CheckpointEntry& entry : list_checkpoints(run_)) {
      try {
        manifests_.emplace(entry.step, read_checkpoint_manifest(entry.folder));
      } catch (const std::invalid_argument& fault) {
        if (entry_exists(entry.folder)) unreadable_.emplace_back(fault.what());
      }
    }
  }

  void read_ledger() {
    LedgerReader reader(run_ / kLedgerName, settings_.on_bytes);
    LedgerRecord record;
    while (reader.next(record)) {
      ++records_;
      try {
        take(reader, record);
      } catch (const std::invalid_argument& fault) {
        const std::string text = fault.what();
        if (text.starts_with((run_ / kLedgerName).string())) throw;
        reader.refuse(text);
      }
    }
    audit_.sealed = reader.sealed();
    is_sealed_ = reader.sealed().bytes == size_of(run_ / kLedgerName);
    is_cut_ = reader.is_cut();
    if (!replay_) throw std::invalid_argument((run_ / kLedgerName).string() + ": has no attempt: it was cut off");
    audit_.steps_done = replay_->steps_done();
    if (audit_.end && !is_sealed_) {
      throw std::invalid_argument((run_ / kLedgerName).string() + ": has no seal after its end: it was cut off");
    }
    metrics_->finish(audit_.end.has_value());
  }

  void take(const LedgerReader& reader, const LedgerRecord& record) {
    if (audit_.end && record.kind != LedgerKind::kSeal) reader.refuse("stands after the end of the run");
    if ((record.number == 1) != (record.kind == LedgerKind::kStart)) {
      reader.refuse(record.number == 1 ? "is the first record, expected a start" : "is not the first record");
    }
    switch (record.kind) {
      case LedgerKind::kStart:
        audit_.start = start_of_record(record.content);
        return;
      case LedgerKind::kAttempt:
        return take_attempt(attempt_of_record(record.content));
      case LedgerKind::kStep:
        return take_step(record.content);
      case LedgerKind::kBlock:
        return take_block(block_of_record(record.content));
      case LedgerKind::kSettings:
        audit_.settings.push_back(settings_of_record(record.content));
        return replay().change(audit_.settings.back());
      case LedgerKind::kCheckpoint:
        audit_.checkpoints.push_back(checkpoint_of_record(record.content));
        return;
      case LedgerKind::kEnd:
        audit_.end = end_of_record(record.content);
        return check_end();
      case LedgerKind::kSeal:
        return take_seal(reader, record);
    }
  }

  LedgerReplay& replay() {
    if (!replay_) throw std::invalid_argument("comes before the first attempt");
    return *replay_;
  }

  void take_attempt(LedgerAttempt attempt) {
    if (!replay_) {
      const JobConfig config = config_of_job(attempt.job);
      replay_.emplace(audit_.start, config.robust);
      is_uniform_ = config.log_linear && config.robust.settings.mode == RobustMode::kNone;
      uniform_K_.assign(audit_.start.group_names.size(), 1 / static_cast<double>(audit_.start.group_names.size()));
      metrics_.emplace(run_ / metrics_schema::kFileName, audit_.start.group_names, audit_.start.first_step,
                       settings_.on_bytes);
      compare({});
    }
    if (attempt.plan.first_step != replay_->steps_done()) {
      throw std::invalid_argument("first_step is " + std::to_string(attempt.plan.first_step) + ", expected " +
                                  std::to_string(replay_->steps_done()));
    }
    if (!audit_.attempts.empty() && audit_.attempts.back().attempt.job_id != attempt.job_id) replay_->begin_job();
    audit_.attempts.push_back({.attempt = std::move(attempt), .first_step = replay_->steps_done()});
  }

  void take_step(std::string_view content) {
    replay().step(step_of_bytes(content));
    compare(replay_->mean_loss_K());
  }

  void take_block(const LedgerBlock& block) {
    replay().block(block);
    audit_.blocks.push_back({.first = block.first_step, .end = replay_->steps_done()});
    steps_in_blocks_ += block.steps;
    metrics_->pass({.after = block.first_step, .before = replay_->steps_done()});
    compare({});
  }

  // What is known after the newest step with what other files say of it.
  void compare(std::span<const double> mean_loss_K) {
    const std::int64_t steps_done = replay_->steps_done();
    if (metrics_->has_line_of(steps_done)) {
      const std::vector<double> alpha_K = is_uniform_ ? uniform_K_ : replay_->alpha_K();
      metrics_->check({.steps_done = steps_done, .alpha_K = alpha_K, .mean_loss_K = mean_loss_K});
    }
    const auto manifest = manifests_.find(steps_done);
    if (manifest == manifests_.end()) return;
    if (weights_text(replay_->state()) == weights_text(manifest->second.weights)) same_weights_.insert(steps_done);
  }

  void take_seal(const LedgerReader& reader, const LedgerRecord& record) {
    const Digest weights = replay_ ? replay_->take_weights_digest() : sha256_of({});
    seals_.emplace(reader.sealed().bytes, reader.sealed().chain);
    if (byte_text(weights) == record.content.substr(0, kWeightsDigestBytes)) return;
    throw std::invalid_argument(
        "the weights that were answered for the steps since the seal before are not those that follow from their sums "
        "here: another machine's or program's exp() and log() made them, or the sums were changed");
  }

  void check_end() {
    if (audit_.end->final_step != replay().steps_done()) {
      throw std::invalid_argument("final_step is " + std::to_string(audit_.end->final_step) + ", expected " +
                                  std::to_string(replay_->steps_done()));
    }
    const std::vector<double> alpha_K = is_uniform_ ? uniform_K_ : replay_->alpha_K();
    if (json_of(alpha_K) == json_of(audit_.end->alpha_K)) return;
    throw std::invalid_argument("alpha is not what follows from the steps");
  }

  void check_chain() {
    std::string result = "whole: " + counted_text(records_, "record") + ", " + size_text(audit_.sealed.bytes) +
                         ", chain " + hex_text(audit_.sealed.chain);
    if (!audit_.end) {
      result += is_cut_ || !is_sealed_ ? "; the run has not ended, and its newest records have no seal yet"
                                       : "; the run has not ended";
    }
    const bool has_model = entry_exists(run_ / "final"), has_receipt = entry_exists(run_ / kReceiptName);
    if (!audit_.end && (has_model || has_receipt)) {
      return refuse("ledger", (run_ / kLedgerName).string() + ": has no end, but there is a " +
                                  (has_model ? "final/" : kReceiptName) +
                                  ": its run is still being signed, or it was cut off after " +
                                  counted_text(audit_.steps_done, "step"));
    }
    if (settings_.chain && *settings_.chain != audit_.sealed.chain) {
      return refuse("ledger", "its chain is " + hex_text(audit_.sealed.chain) + ", expected " +
                                  hex_text(*settings_.chain) + ": it is another run's, or was written anew");
    }
    accept("ledger", result);
    const std::int64_t recorded = audit_.steps_done - audit_.start.first_step - steps_in_blocks_;
    std::string weights = "follow from S_g and n_g of " + counted_text(recorded, "step") + ", bit for bit";
    if (steps_in_blocks_ > 0) {
      weights += "; of " + counted_text(steps_in_blocks_, "other") + " the ledger has digests, which --steps compares";
    }
    accept("weights", weights);
  }

  void check_job_file() {
    const fs::path file = run_ / "job.yaml";
    Sha256 sha256;
    if (!sha256.update_from(file)) return refuse("job.yaml", file.string() + ": is not there");
    if (sha256.finish() == audit_.attempts.back().attempt.job_file) return accept("job.yaml", "as recorded");
    refuse("job.yaml", file.string() + ": is not the job that was trained");
  }

  void check_metrics() {
    const std::string name(metrics_schema::kFileName);
    const fs::path file = run_ / name;
    if (!metrics_->fault().empty()) return refuse(name, (run_ / metrics_->fault()).string());
    if (!audit_.end && !manifests_.empty()) {
      const auto& [step, manifest] = *manifests_.rbegin();
      if (digest_of_first(file, manifest.metrics_bytes) != manifest.metrics_sha256) {
        return refuse(name, file.string() + ": its first " + std::to_string(manifest.metrics_bytes) +
                                " bytes are not those that the checkpoint of step " + std::to_string(step) + " knew");
      }
    }
    if (audit_.end) {
      const bool has_size = size_of(file) == audit_.end->metrics_bytes;
      if (!has_size || digest_of_first(file, audit_.end->metrics_bytes) != audit_.end->metrics_sha256) {
        return refuse(name, file.string() + ": was changed after the run: " + std::to_string(size_of(file)) +
                                " bytes with another SHA-256, expected " + std::to_string(audit_.end->metrics_bytes));
      }
    }
    std::string result = counted_text(metrics_->lines(), "line") + " as recorded";
    if (metrics_->lines_passed() > 0) {
      result += ", " + std::to_string(metrics_->lines_passed()) + " of steps without records of their own";
    }
    if (metrics_->lines_beyond() > 0) {
      result += ", " + std::to_string(metrics_->lines_beyond()) + " of steps that the ledger does not have yet";
    }
    accept(name, result);
  }

  // What is wrong with it; empty: nothing.
  std::string fault_of(const CheckpointManifest& manifest, const fs::path& folder) {
    const std::string file = (folder / kManifestName).string();
    const auto seal = seals_.find(manifest.ledger_bytes);
    // One that a new ledger has begun with knew the ledger before.
    const bool knows_ledger = manifest.ledger_bytes > 0 && manifest.step > audit_.start.first_step;
    if (knows_ledger && (seal == seals_.end() || seal->second != manifest.ledger_chain)) {
      return file + ": ledger: the ledger has no such seal at byte " + std::to_string(manifest.ledger_bytes) +
             ": it was written anew or cut off, or the checkpoint is of another run";
    }
    if (manifest.step >= audit_.start.first_step && !same_weights_.contains(manifest.step)) {
      return file + ": weights: not those that follow from the steps before";
    }
    const std::optional<Digest> recorded = recorded_manifest(manifest.step);
    if (recorded && *recorded != manifest_digest(manifest)) {
      return file + ": its SHA-256 is " + hex_text(manifest_digest(manifest)) + ", the ledger says " +
             hex_text(*recorded);
    }
    // Its record is written after its manifest, and before anything of the next one.
    const bool may_be_unrecorded = !audit_.end && manifest.step == manifests_.rbegin()->first;
    if (!recorded && knows_ledger && !may_be_unrecorded) {
      return file + ": is not on record in the ledger, which has what came after it";
    }
    is_unrecorded_ = is_unrecorded_ || !recorded;
    return fault_of_files(folder, manifest, settings_.on_bytes);
  }

  // As the newest record of such a checkpoint says.
  std::optional<Digest> recorded_manifest(std::int64_t step) const {
    std::optional<Digest> found;
    for (const AuditedAttempt& one : audit_.attempts) {
      if (one.attempt.origin && one.attempt.origin->step == step) found = one.attempt.origin->manifest;
    }
    for (const LedgerCheckpoint& checkpoint : audit_.checkpoints) {
      if (checkpoint.step == step) found = checkpoint.manifest;
    }
    return found;
  }

  void check_checkpoints() {
    for (const std::string& fault : unreadable_) refuse("checkpoints", fault);
    bool has_fault = !unreadable_.empty();
    for (const auto& [step, manifest] : manifests_) {
      const fs::path folder = checkpoint_folder(run_, step);
      const std::string fault = fault_of(manifest, folder);
      if (fault.empty()) {
        audit_.whole.push_back({.step = step, .folder = folder});
      } else if (entry_exists(folder)) {  // else its run has removed it meanwhile
        refuse("checkpoints", fault);
        has_fault = true;
      }
    }
    if (has_fault) return;
    if (audit_.whole.empty()) return accept("checkpoints", "none is there");
    std::string steps;
    for (const WholeCheckpoint& one : audit_.whole) steps += (steps.empty() ? "" : ", ") + std::to_string(one.step);
    accept("checkpoints", "as recorded: step " + steps + (is_unrecorded_ ? "; the newest is not on record yet" : ""));
  }

  void check_final() {
    if (!audit_.end) return accept("final/", "not there: the run has not ended");
    const fs::path folder = run_ / "final";
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored)) return refuse("final/", folder.string() + ": is not there");
    std::map<std::string, CheckpointFile> found;
    for (const CheckpointFile& file : measured_files(folder, settings_.on_bytes)) found.emplace(file.name, file);
    std::int64_t bytes = 0;
    for (const CheckpointFile& file : audit_.end->files) {
      const auto one = found.find(file.name);
      const std::string name = (folder / file.name).string();
      if (one == found.end()) return refuse("final/", name + ": is not there");
      if (one->second.sha256 != file.sha256) {
        return refuse("final/", name + ": its SHA-256 is " + hex_text(one->second.sha256) + ", the ledger says " +
                                    hex_text(file.sha256));
      }
      bytes += file.bytes;
      found.erase(one);
    }
    found.erase(kModelCardName);  // written for people, and by them
    if (!found.empty()) {
      return refuse("final/", (folder / found.begin()->first).string() + ": was added after the run");
    }
    accept("final/", counted_text(std::ssize(audit_.end->files), "file") + ", " + size_text(bytes) + ", as recorded");
    check_receipt();
  }

  void check_receipt() {
    const fs::path file = run_ / kReceiptName;
    if (!entry_exists(file)) return refuse(kReceiptName, file.string() + ": is not there");
    const std::string expected = receipt_text(audit_.start, audit_.attempts.back().attempt, *audit_.end, audit_.sealed);
    if (read_bounded_file(file, kLargestReceipt, "a receipt") == expected) return accept(kReceiptName, "as recorded");
    refuse(kReceiptName, file.string() + ": is not what the ledger ends with");
  }

  const fs::path run_;
  const AuditSettings& settings_;
  RunAudit audit_;
  std::map<std::int64_t, CheckpointManifest> manifests_;  // by step
  std::vector<std::string> unreadable_;
  std::set<std::int64_t> same_weights_;   // steps of manifests whose weights follow from the steps
  std::map<std::int64_t, Digest> seals_;  // by the bytes up to there
  std::optional<LedgerReplay> replay_;
  std::optional<MetricsCheck> metrics_;
  bool is_uniform_ = false;  // what metrics.jsonl shows in place of alpha
  std::vector<double> uniform_K_;
  std::int64_t records_ = 0, steps_in_blocks_ = 0;
  bool is_sealed_ = false, is_cut_ = false, is_unrecorded_ = false;
};

}  // namespace

std::size_t RunAudit::faults() const {
  return static_cast<std::size_t>(std::ranges::count_if(lines, [](const AuditLine& line) { return line.is_fault; }));
}

std::int64_t audited_bytes(const fs::path& run) {
  std::int64_t bytes = size_of(run / kLedgerName) + size_of(run / metrics_schema::kFileName);
  std::error_code ignored;
  for (const char* folder : {"final", "checkpoints"}) {
    for (const auto& entry : fs::recursive_directory_iterator(run / folder, ignored)) {
      if (entry.is_regular_file(ignored)) bytes += size_of(entry.path());
    }
  }
  return bytes;
}

RunAudit audit_run(const fs::path& run, const AuditSettings& settings) {
  std::error_code ignored;
  if (!fs::exists(run, ignored)) throw std::invalid_argument("RUN: " + run.string() + " does not exist");
  if (!fs::is_directory(run, ignored)) throw std::invalid_argument("RUN: " + run.string() + " is not a folder");
  if (!entry_exists(run / kLedgerName)) {
    throw std::invalid_argument("RUN: " + run.string() + " has no " + kLedgerName +
                                ": it is no run's folder, or an earlier program wrote it");
  }
  return RunAuditor(run, settings).audit();
}

}  // namespace equipoise
