#include "worker/training/run_ledger.h"

#include <stdexcept>
#include <utility>

#include "common/base/durable_file.h"
#include "common/ledger/receipt.h"
#include "common/protocol/live_settings.h"
#include "worker/training/weight_sync.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

Digest digest_of_file(const fs::path& file) {
  Sha256 sha256;
  if (!sha256.update_from(file)) throw std::runtime_error(file.string() + " cannot be read again");
  return sha256.finish();
}

LedgerStart ledger_start(const LedgerOpening& opening) {
  const GroupedData& data = opening.data;
  const auto list = [](std::span<const double> values) { return std::vector<double>(values.begin(), values.end()); };
  return {.dataset = data.digest,
          .group_names = {data.group_names.begin(), data.group_names.end()},
          .counted_K = list(data.counted.pair_count_K),
          .counted_pairs = data.counted.num_pairs,
          .population_K = list(data.population.pair_count_K),
          .population_pairs = data.population.num_pairs,
          .label_floor_K = list(data.label_floor_K),
          .first_step = opening.started.plan.first_step,
          .weights = started_weights(opening.robust, data, opening.started).state()};
}

LedgerAttempt ledger_attempt(const fs::path& output, const LedgerOpening& opening) {
  const LedgerAuthor& author = opening.author;
  LedgerAttempt attempt{.program = author.program,
                        .job_id = author.attempt.job_id,
                        .generation = author.attempt.generation,
                        .device = author.device,
                        .threads = author.threads,
                        .plan = opening.started.plan,
                        .job = author.job,
                        .job_file = digest_of_file(output / "job.yaml"),
                        .origin = {}};
  if (opening.checkpoint != nullptr) {
    const CheckpointManifest& manifest = opening.checkpoint->manifest;
    attempt.origin = {.job_id = manifest.job_id,
                      .step = manifest.step,
                      .manifest = manifest_digest(manifest),
                      .parameters = parameters_digest(manifest)};
  }
  return attempt;
}

}  // namespace

LedgerSettings ledger_settings(std::int64_t version, std::int64_t steps_done, const v1::TrainingJobSettings& changed) {
  CheckpointJson settings = CheckpointJson::object();
  if (changed.has_trade_off()) settings["trade_off"] = changed.trade_off();
  if (changed.has_step_size()) settings["step_size"] = changed.step_size();
  if (changed.has_learning_rate()) settings["learning_rate"] = changed.learning_rate();
  if (changed.has_max_steps()) settings["max_steps"] = changed.max_steps();
  return {.version = version, .step = steps_done, .settings = std::move(settings)};
}

void LedgerWatch::look(const LedgerWriter& ledger, std::int64_t steps_done) {
  constexpr int kMibBits = 20;
  if (has_told_) return;
  const std::int64_t bytes = ledger.bytes(), most = settings_.steps_bytes;
  if (bytes >= most) {
    has_told_ = true;
    log_.warn("{} has {} MiB (ledger.steps_mib): from about step {} on one record stands for thousands of steps",
              kLedgerName, bytes >> kMibBits, steps_done);
  } else if (!has_warned_ && bytes >= most / 10 * 8) {
    has_warned_ = true;
    log_.warn("{} has {} of {} MiB (ledger.steps_mib): beyond, one record stands for thousands of steps", kLedgerName,
              bytes >> kMibBits, most >> kMibBits);
  }
}

std::unique_ptr<LedgerWriter> open_ledger(const fs::path& output, const LedgerOpening& opening) {
  LedgerPosition kept;
  if (opening.is_kept) {
    kept = {.bytes = opening.checkpoint->manifest.ledger_bytes, .chain = opening.checkpoint->manifest.ledger_chain};
  }
  auto ledger = std::make_unique<LedgerWriter>(output / kLedgerName, kept, opening.settings.steps_bytes);
  if (!opening.is_kept) ledger->start(ledger_start(opening));
  ledger->attempt(ledger_attempt(output, opening));
  if (opening.is_kept) return ledger;
  // A ledger that begins in the middle of a run has the other changes in the weights and the checkpoint it begins with.
  const std::int64_t first_step = opening.started.plan.first_step;
  const v1::TrainingJobSettings changed = settings_in_force(opening.started.settings_changes, first_step - 1);
  if (!changed.has_trade_off()) return ledger;
  v1::TrainingJobSettings trade_off;
  trade_off.set_trade_off(changed.trade_off());
  ledger->settings(ledger_settings(0, first_step, trade_off));
  return ledger;
}

Digest finish_ledger(LedgerWriter& ledger, const fs::path& output, const LedgerOpening& opening, LedgerEnd end,
                     const DiskPatience& patience, const std::function<void(std::int64_t)>& on_bytes) {
  end.files = measured_files(output / "final", on_bytes);
  const LedgerPosition position = ledger.end(end);
  const std::string receipt = receipt_text(ledger_start(opening), ledger_attempt(output, opening), end, position);
  patience([&] { write_durably(output / kReceiptName, receipt); });
  return position.chain;
}

}  // namespace equipoise
