#include "common/ledger/ledger_record.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <limits>
#include <span>
#include <stdexcept>

namespace equipoise {
namespace {

constexpr std::size_t kMostFinalFiles = 65536;
constexpr int kDeepestRecord = 16;  // levels

CheckpointJson json_of_weights(const GroupWeightsState& state) {
  return {{"log_alpha", json_of(state.log_alpha_K)},
          {"group_loss", json_of(state.group_loss_K)},
          {"step_size", json_of(state.step_size)}};
}

GroupWeightsState weights_of_json(const CheckpointJson& object) {
  return {.log_alpha_K = doubles_at(object, "log_alpha"),
          .group_loss_K = doubles_at(object, "group_loss"),
          .step_size = schedule_at(object, "step_size")};
}

CheckpointJson object_of(std::string_view text) {
  bool is_deep = false;
  const auto keep = [&is_deep](int depth, CheckpointJson::parse_event_t /*event*/, CheckpointJson& /*value*/) {
    is_deep = is_deep || depth > kDeepestRecord;
    return !is_deep;
  };
  CheckpointJson content = CheckpointJson::parse(text, keep, false);
  if (is_deep || !content.is_object())
    throw std::invalid_argument("content is not what a ledger has, expected an object");
  return content;
}

std::vector<std::string> texts_at(const CheckpointJson& object, const char* field) {
  const CheckpointJson& list = object_at(object, field);
  std::vector<std::string> texts;
  if (!list.is_array())
    throw std::invalid_argument(std::string(field) + " is of another type, expected a list of texts");
  for (const CheckpointJson& text : list) {
    if (!text.is_string()) throw std::invalid_argument(std::string(field) + " has a value that is no text");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::string text_of_record(const CheckpointJson& object) {
  return object.dump(-1, ' ', false, CheckpointJson::error_handler_t::replace);
}

}  // namespace

const char* kind_name(LedgerKind kind) {
  switch (kind) {
    case LedgerKind::kStart:
      return "start";
    case LedgerKind::kAttempt:
      return "attempt";
    case LedgerKind::kStep:
      return "step";
    case LedgerKind::kBlock:
      return "block";
    case LedgerKind::kSettings:
      return "settings";
    case LedgerKind::kCheckpoint:
      return "checkpoint";
    case LedgerKind::kEnd:
      return "end";
    case LedgerKind::kSeal:
      return "seal";
  }
  return "unknown";
}

bool is_ledger_kind(char letter) { return std::string_view("dasbcpe#").find(letter) != std::string_view::npos; }

std::int64_t block_end(std::int64_t steps_done) {
  constexpr std::uint64_t kFewest = 4096, kPerDoubling = 1024;
  const auto done = static_cast<std::uint64_t>(steps_done);
  const std::uint64_t steps = std::max(kFewest, std::bit_floor(done / kPerDoubling));
  return static_cast<std::int64_t>((done / steps + 1) * steps);
}

std::string record_text(const LedgerStart& start) {
  return text_of_record({{"dataset_sha256", hex_text(start.dataset)},
                         {"groups", start.group_names},
                         {"counted", json_of(start.counted_K)},
                         {"counted_pairs", json_of(start.counted_pairs)},
                         {"population", json_of(start.population_K)},
                         {"population_pairs", json_of(start.population_pairs)},
                         {"label_floor", json_of(start.label_floor_K)},
                         {"first_step", start.first_step},
                         {"weights", json_of_weights(start.weights)}});
}

LedgerStart start_of_record(std::string_view text) {
  const CheckpointJson object = object_of(text);
  return {.dataset = digest_at(object, "dataset_sha256"),
          .group_names = texts_at(object, "groups"),
          .counted_K = doubles_at(object, "counted"),
          .counted_pairs = double_at(object, "counted_pairs"),
          .population_K = doubles_at(object, "population"),
          .population_pairs = double_at(object, "population_pairs"),
          .label_floor_K = doubles_at(object, "label_floor"),
          .first_step = integer_at(object, "first_step"),
          .weights = weights_of_json(object_at(object, "weights"))};
}

std::string record_text(const LedgerAttempt& attempt) {
  const ShardPlan& plan = attempt.plan;
  CheckpointJson object = {{"program", attempt.program},
                           {"job_id", attempt.job_id},
                           {"generation", attempt.generation},
                           {"device", attempt.device},
                           {"threads", attempt.threads},
                           {"ranks", plan.world_size},
                           {"seed", std::to_string(plan.seed)},
                           {"shuffle", plan.shuffle},
                           {"num_pairs", plan.num_pairs},
                           {"global_batch_size", plan.global_batch_size},
                           {"stratified", plan.stratified},
                           {"mixed", plan.mixed},
                           {"first_step", plan.first_step},
                           {"end_step", plan.end_step},
                           {"job", attempt.job},
                           {"job_file_sha256", hex_text(attempt.job_file)}};
  if (attempt.origin) {
    object["origin"] = {{"job_id", attempt.origin->job_id},
                        {"step", attempt.origin->step},
                        {"manifest_sha256", hex_text(attempt.origin->manifest)},
                        {"parameters_sha256", hex_text(attempt.origin->parameters)}};
  }
  return text_of_record(object);
}

LedgerAttempt attempt_of_record(std::string_view text) {
  const CheckpointJson object = object_of(text);
  LedgerAttempt attempt{.program = text_at(object, "program"),
                        .job_id = text_at(object, "job_id"),
                        .generation = integer_at(object, "generation"),
                        .device = text_at(object, "device"),
                        .threads = static_cast<int>(integer_at(object, "threads")),
                        .plan = {},
                        .job = text_at(object, "job"),
                        .job_file = digest_at(object, "job_file_sha256"),
                        .origin = {}};
  std::uint64_t seed = 0;
  for (const char digit : text_at(object, "seed")) {
    if (digit < '0' || digit > '9') throw std::invalid_argument("seed is not a whole number");
    seed = seed * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  attempt.plan = {.seed = seed,
                  .shuffle = flag_at(object, "shuffle"),
                  .num_pairs = integer_at(object, "num_pairs"),
                  .global_batch_size = integer_at(object, "global_batch_size"),
                  .world_size = static_cast<int>(integer_at(object, "ranks")),
                  .stratified = flag_at(object, "stratified"),
                  .mixed = flag_at(object, "mixed"),
                  .first_step = integer_at(object, "first_step"),
                  .end_step = integer_at(object, "end_step")};
  if (object.contains("origin")) {
    const CheckpointJson& origin = object_at(object, "origin");
    attempt.origin = {.job_id = origin.contains("job_id") ? text_at(origin, "job_id") : "",
                      .step = integer_at(origin, "step"),
                      .manifest = digest_at(origin, "manifest_sha256"),
                      .parameters = digest_at(origin, "parameters_sha256")};
  }
  return attempt;
}

std::string record_text(const LedgerBlock& block) {
  return text_of_record({{"first_step", block.first_step},
                         {"steps", block.steps},
                         {"steps_sha256", hex_text(block.contents)},
                         {"answered_sha256", hex_text(block.answered)},
                         {"weights", json_of_weights(block.weights)}});
}

LedgerBlock block_of_record(std::string_view text) {
  const CheckpointJson object = object_of(text);
  LedgerBlock block{.first_step = integer_at(object, "first_step"),
                    .steps = integer_at(object, "steps"),
                    .contents = digest_at(object, "steps_sha256"),
                    .answered = digest_at(object, "answered_sha256"),
                    .weights = weights_of_json(object_at(object, "weights"))};
  if (block.first_step < 0 || block.steps < 1 ||
      block.steps > std::numeric_limits<std::int64_t>::max() - block.first_step) {
    throw std::invalid_argument("steps is " + std::to_string(block.steps) + " after " +
                                std::to_string(block.first_step) + ", expected at least 1");
  }
  return block;
}

std::string record_text(const LedgerSettings& settings) {
  return text_of_record({{"version", settings.version}, {"step", settings.step}, {"settings", settings.settings}});
}

LedgerSettings settings_of_record(std::string_view text) {
  const CheckpointJson object = object_of(text);
  LedgerSettings settings{.version = integer_at(object, "version"),
                          .step = integer_at(object, "step"),
                          .settings = object_at(object, "settings")};
  if (!settings.settings.is_object()) throw std::invalid_argument("settings is of another type, expected an object");
  return settings;
}

std::string record_text(const LedgerCheckpoint& checkpoint) {
  return text_of_record({{"generation", checkpoint.generation},
                         {"step", checkpoint.step},
                         {"manifest_sha256", hex_text(checkpoint.manifest)},
                         {"parameters_sha256", hex_text(checkpoint.parameters)}});
}

LedgerCheckpoint checkpoint_of_record(std::string_view text) {
  const CheckpointJson object = object_of(text);
  return {.generation = integer_at(object, "generation"),
          .step = integer_at(object, "step"),
          .manifest = digest_at(object, "manifest_sha256"),
          .parameters = digest_at(object, "parameters_sha256")};
}

std::string record_text(const LedgerEnd& end) {
  CheckpointJson files = CheckpointJson::array();
  for (const CheckpointFile& file : end.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", hex_text(file.sha256)}});
  }
  return text_of_record({{"final_step", end.final_step},
                         {"state_sha256", hex_text(end.state)},
                         {"alpha", json_of(end.alpha_K)},
                         {"final", std::move(files)},
                         {"metrics", {{"bytes", end.metrics_bytes}, {"sha256", hex_text(end.metrics_sha256)}}}});
}

LedgerEnd end_of_record(std::string_view text) {
  const CheckpointJson object = object_of(text);
  const CheckpointJson& metrics = object_at(object, "metrics");
  LedgerEnd end{.final_step = integer_at(object, "final_step"),
                .state = digest_at(object, "state_sha256"),
                .alpha_K = doubles_at(object, "alpha"),
                .files = {},
                .metrics_bytes = integer_at(metrics, "bytes"),
                .metrics_sha256 = digest_at(metrics, "sha256")};
  const CheckpointJson& files = object_at(object, "final");
  if (!files.is_array() || files.size() > kMostFinalFiles) {
    throw std::invalid_argument("final is of another type, expected a list of at most 65536 files");
  }
  for (const CheckpointJson& file : files) {
    end.files.push_back(
        {.name = text_at(file, "name"), .bytes = integer_at(file, "bytes"), .sha256 = digest_at(file, "sha256")});
  }
  return end;
}

Digest parameters_digest(const CheckpointManifest& manifest) {
  Sha256 sha256;
  for (const CheckpointFile& file : manifest.files) {
    if (!file.name.ends_with(".safetensors")) continue;
    sha256.add_text(file.name);
    sha256.update(std::as_bytes(std::span(file.sha256)));
  }
  return sha256.finish();
}

}  // namespace equipoise
