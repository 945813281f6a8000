#include "client/verify/window.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "client/connection/private_service.h"
#include "common/base/message_text.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "common/ledger/ledger_reader.h"
#include "common/ledger/ledger_replay.h"
#include "common/ledger/step_bytes.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// The steps of a ledger from `first` (steps done before it) on, and its blocks.
class LedgerSteps {
 public:
  LedgerSteps(const fs::path& output, std::int64_t first) : reader_(output / kLedgerName), first_(first) {}

  // A step or a block; nothing at the end.
  std::optional<LedgerRecord> next() {
    LedgerRecord record;
    while (reader_.next(record)) {
      if (record.kind == LedgerKind::kBlock && block_of_record(record.content).first_step >= first_) return record;
      if (record.kind != LedgerKind::kStep) continue;
      std::string_view content = record.content;
      const auto step = take_varint(content);
      if (step && static_cast<std::int64_t>(*step) >= first_) return record;
    }
    return std::nullopt;
  }

 private:
  LedgerReader reader_;
  std::int64_t first_;
};

// Of the first number that differs.
std::string difference_of(const RunAudit& audit, std::string_view recorded, std::string_view computed) {
  const StoredStep before = step_of_bytes(recorded), now = step_of_bytes(computed);
  std::string text = "step " + std::to_string(before.step + 1) + ": ";
  const auto is_same = [](double one, double other) {
    return std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other);
  };
  if (before.step != now.step) return text + "was computed as step " + std::to_string(now.step + 1);
  if (before.sums.group != now.sums.group || before.skipped != now.skipped) {
    return text + "other groups than on record";
  }
  for (std::size_t i = 0; i < before.sums.group.size(); ++i) {
    for (const auto& [field, one, other] :
         {std::tuple("loss_sum", before.sums.loss_sum[i], now.sums.loss_sum[i]),
          std::tuple("pair_count", before.sums.pair_count[i], now.sums.pair_count[i])}) {
      if (is_same(one, other)) continue;
      return text + field + " of " + quoted_text(audit.start.group_names[before.sums.group[i]]) + " is " +
             number_text(one) + " on record, computed " + number_text(other);
    }
  }
  return text + "batch_pairs is " + number_text(before.sums.batch_pairs) + " on record, computed " +
         number_text(now.sums.batch_pairs);
}

// What the parts have left besides their steps.
struct ComputedEnds {
  bool has_same_data = true;
  std::map<std::int64_t, Digest> parameters;  // of checkpoints, by step
  std::optional<Digest> state;                // of the last part: the trained parameters
};

void read_ends(const RunAudit& audit, const WindowPart& part, ComputedEnds& ends) {
  LedgerReader reader(fs::path(part.request.spec().output()) / kLedgerName);
  LedgerRecord record;
  ends.state.reset();
  while (reader.next(record)) {
    if (record.kind == LedgerKind::kStart) {
      ends.has_same_data = ends.has_same_data && start_of_record(record.content).dataset == audit.start.dataset;
    }
    if (record.kind == LedgerKind::kEnd) ends.state = end_of_record(record.content).state;
    if (record.kind != LedgerKind::kCheckpoint) continue;
    const LedgerCheckpoint checkpoint = checkpoint_of_record(record.content);
    if (checkpoint.step > part.from && checkpoint.step <= part.last) {
      ends.parameters[checkpoint.step] = checkpoint.parameters;
    }
  }
}

// Of the checkpoints of these steps: parameters on record.
std::map<std::int64_t, Digest> recorded_parameters(const RunAudit& audit, std::int64_t after, std::int64_t last) {
  std::map<std::int64_t, Digest> recorded;
  const auto add = [&](std::int64_t step, const Digest& parameters) {
    if (step > after && step <= last) recorded[step] = parameters;
  };
  for (const AuditedAttempt& one : audit.attempts) {
    if (one.attempt.origin) add(one.attempt.origin->step, one.attempt.origin->parameters);
  }
  for (const LedgerCheckpoint& checkpoint : audit.checkpoints) add(checkpoint.step, checkpoint.parameters);
  return recorded;
}

// The weights of a part as they follow from the steps that were trained once more.
LedgerReplay replay_of(const RunAudit& audit, const WindowPart& part) {
  LedgerReplay replay(audit.start, make_job_config(part.request.spec()).robust);
  if (!part.checkpoint.empty()) replay.go_on_from(part.from, read_checkpoint_manifest(part.checkpoint).weights);
  for (const v1::SettingsChange& change : part.request.settings_changes()) {
    if (change.effective_step() >= part.from || !change.settings().has_trade_off()) continue;
    replay.change(
        {.version = change.version(), .step = part.from, .settings = {{"trade_off", change.settings().trade_off()}}});
  }
  return replay;
}

// Compares the steps of a part with those on record.
class PartComparison {
 public:
  PartComparison(const RunAudit& audit, const WindowPart& part)
      : audit_(audit), computed_(part.request.spec().output(), part.from), replay_(replay_of(audit, part)) {}

  // Goes on to `recorded`, a step or a block. What differs; empty: nothing does.
  std::string fault_with(const LedgerRecord& recorded) {
    if (recorded.kind == LedgerKind::kBlock) return fault_with(block_of_record(recorded.content));
    const std::int64_t step = step_of_bytes(recorded.content).step;
    while (steps_done() <= step) {
      if (!take_step()) return missing_text();
    }
    return content_ == recorded.content ? "" : difference_of(audit_, recorded.content, content_);
  }
  std::int64_t steps_done() const { return replay_.steps_done(); }

 private:
  std::string fault_with(const LedgerBlock& block) {
    while (steps_done() < block.first_step) {
      if (!take_step()) return missing_text();
    }
    Sha256 contents;
    replay_.take_weights_digest();
    while (steps_done() < block.first_step + block.steps) {
      if (!take_step()) return missing_text();
      contents.update(std::string_view(content_));
    }
    const std::string steps = window_text({.first = block.first_step + 1, .last = steps_done()});
    if (contents.finish() != block.contents) return steps + ": S_g or n_g of one of them are others than on record";
    if (replay_.take_weights_digest() != block.answered) return steps + ": weights are others than on record";
    return record_text(with_weights(block, replay_.state())) == record_text(block)
               ? ""
               : steps + ": the weights after them are others than on record";
  }

  static LedgerBlock with_weights(LedgerBlock block, GroupWeightsState weights) {
    block.weights = std::move(weights);
    return block;
  }

  bool take_step() {
    for (const LedgerSettings& change : audit_.settings) {
      if (change.step == steps_done()) replay_.change(change);
    }
    const auto record = computed_.next();
    if (!record) return false;
    content_ = record->content;
    replay_.step(step_of_bytes(content_));
    return true;
  }

  std::string missing_text() const { return "step " + std::to_string(steps_done() + 1) + " was not computed again"; }

  const RunAudit& audit_;
  LedgerSteps computed_;
  LedgerReplay replay_;
  std::string content_;  // of the newest step that was computed
};

// The first step that differs, and how; empty: none does.
std::string steps_fault(const RunAudit& audit, const fs::path& run, const WindowPlan& plan) {
  LedgerSteps recorded(run, plan.window.first - 1);
  for (const WindowPart& part : plan.parts) {
    if (part.last < plan.window.first) continue;  // trained for the checkpoint that the next one begins with
    PartComparison comparison(audit, part);
    while (comparison.steps_done() < part.last) {
      const auto record = recorded.next();
      if (!record) {
        return "step " + std::to_string(comparison.steps_done() + 1) + " was not found in the ledger";
      }
      const std::string fault = comparison.fault_with(*record);
      if (!fault.empty()) return fault;
    }
  }
  return "";
}

// "on 2 ranks from the start, on 3 ranks from step 51 on".
std::string parts_text(const WindowPlan& plan) {
  std::string text;
  for (const WindowPart& part : plan.parts) {
    const bool is_first = text.empty();
    text += (is_first ? "on " : ", on ") + counted(part.ranks, "rank") + " from ";
    if (!is_first) {
      text += "step " + std::to_string(part.from + 1) + " on";
    } else {
      text += part.checkpoint.empty() ? "the start" : "the checkpoint of step " + std::to_string(part.from);
    }
  }
  if (plan.changes > 0) {
    text += ", with " + std::to_string(plan.changes) + " change" + (plan.changes == 1 ? "" : "s") + " of settings";
  }
  return text;
}

// A checkpoint of another run as one that the part's job made itself: a fork may have other settings.
fs::path adopted_checkpoint(const WindowPart& part) {
  const fs::path target = checkpoint_folder(part.request.spec().output() + "-start", part.from);
  CheckpointManifest manifest = read_checkpoint_manifest(part.checkpoint);
  manifest.job = job_spec_to_yaml(part.request.spec());
  for (const CheckpointFile& file : manifest.files) {
    fs::create_directories((target / file.name).parent_path());
    fs::create_symlink(fs::absolute(part.checkpoint / file.name), target / file.name);
  }
  std::ofstream written(target / kManifestName, std::ios::binary);
  written << manifest_text(manifest);
  written.close();
  if (!written) throw std::runtime_error((target / kManifestName).string() + " cannot be written");
  return target;
}

// Coordinators of our own, whose ranks have so many threads: both reach them through the environment of this process.
class WindowService {
 public:
  PrivateService& with_threads(int threads) {
    if (service_ && threads == threads_) return *service_;
    service_.reset();
    threads_ = threads;
    ::setenv("EQUIPOISE_DEVICE", "cpu", 1);
    ::setenv("OMP_NUM_THREADS", std::to_string(std::max(threads, 1)).c_str(), 1);
    return service_.emplace("");
  }

 private:
  std::optional<PrivateService> service_;
  int threads_ = 0;
};

void train_part(const WindowPart& part, PrivateService& service, ProgressDisplay& display) {
  v1::CreateTrainingJobRequest request = part.request;
  if (part.is_borrowed) {
    request.mutable_spec()->mutable_training()->set_resume_from_checkpoint(adopted_checkpoint(part).string());
  }
  if (part.runs_to_end) {
    service.run(request, display);
    return;
  }
  const std::int64_t last = part.last;
  service.run_until(request, display, [last](const v1::TrainingJob& job) { return job.step() >= last; });
}

}  // namespace

void train_window(const WindowPlan& plan, ProgressDisplay& display) {
  WindowService service;
  for (const WindowPart& part : plan.parts) train_part(part, service.with_threads(part.threads), display);
}

AuditLine compare_window(const RunAudit& audit, const fs::path& run, const WindowPlan& plan) {
  AuditLine line{.what = window_text(plan.window), .result = {}, .is_fault = true};
  ComputedEnds ends;
  for (const WindowPart& part : plan.parts) read_ends(audit, part, ends);
  if (!ends.has_same_data) {
    line.result = "the training data or the tokenizer are not those on record";
    return line;
  }
  line.result = steps_fault(audit, run, plan);
  if (!line.result.empty()) return line;
  std::int64_t compared = 0, missing = 0;
  for (const auto& [step, parameters] : recorded_parameters(audit, plan.parts.front().from, plan.window.last)) {
    const auto found = ends.parameters.find(step);
    if (found == ends.parameters.end()) {
      ++missing;
      continue;
    }
    ++compared;
    if (found->second == parameters) continue;
    line.result = "the parameters of the checkpoint of step " + std::to_string(step) + " are others than on record";
    return line;
  }
  if (plan.is_to_end && ends.state != audit.end->state) {
    line.result = "the trained parameters are others than on record";
    return line;
  }
  line.is_fault = false;
  line.result = "trained again " + parts_text(plan) + ": S_g, n_g and weights have the same bits";
  if (compared > 0) {
    line.result += ", and so have the parameters of " + std::to_string(compared) +
                   (compared == 1 ? " checkpoint" : " checkpoints");
  }
  if (missing > 0) {
    line.result += " (" + std::to_string(missing) + (missing == 1 ? " was" : " were") + " not made again)";
  }
  if (plan.is_to_end) line.result += ", and the trained parameters";
  return line;
}

}  // namespace equipoise
