#include "common/checkpoint/checkpoint_manifest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/base/bounded_file.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFormat = 1;
constexpr std::uintmax_t kLargestManifest = std::uintmax_t{32} << 20;
constexpr std::size_t kMostFiles = 65536;
constexpr std::int64_t kLargestFile = std::int64_t{1} << 46;  // the sum of so many is an int64
constexpr std::int64_t kMostRanks = 1 << 20;
constexpr int kDeepest = 64;               // levels; to write a very deep one again would exhaust the stack
constexpr const char* kDigest = "sha256";  // of the file without this field

constexpr const char* kNaN = "NaN";
constexpr const char* kInfinity = "Infinity";
constexpr const char* kMinusInfinity = "-Infinity";

[[noreturn]] void refuse_at(const char* field, const std::string& wanted) {
  throw std::invalid_argument(std::string(field) + " is missing or of another type, expected " + wanted);
}

const CheckpointJson& value_at(const CheckpointJson& object, const char* field, const char* wanted) {
  if (!object.is_object() || !object.contains(field)) refuse_at(field, wanted);
  return object.at(field);
}

double double_of(const CheckpointJson& value, const char* field) {
  if (value.is_number()) return value.get<double>();
  if (value == kNaN) return std::numeric_limits<double>::quiet_NaN();
  if (value == kInfinity) return std::numeric_limits<double>::infinity();
  if (value == kMinusInfinity) return -std::numeric_limits<double>::infinity();
  refuse_at(field, "a number");
}

CheckpointJson json_of(const ShardPlan& plan) {
  return {{"seed", plan.seed},
          {"shuffle", plan.shuffle},
          {"num_pairs", plan.num_pairs},
          {"global_batch_size", plan.global_batch_size},
          {"world_size", plan.world_size},
          {"stratified", plan.stratified},
          {"mixed", plan.mixed},
          {"end_step", plan.end_step}};
}

std::uint64_t seed_at(const CheckpointJson& object) {
  const CheckpointJson& value = value_at(object, "seed", "an integer >= 0");
  if (!value.is_number_unsigned()) refuse_at("seed", "an integer >= 0");
  return value.get<std::uint64_t>();
}

ShardPlan plan_of(const CheckpointJson& object) {
  const std::int64_t world_size = integer_at(object, "world_size");
  if (world_size > kMostRanks) refuse_at("world_size", "an integer from 0 to " + std::to_string(kMostRanks));
  return {.seed = seed_at(object),
          .shuffle = flag_at(object, "shuffle"),
          .num_pairs = integer_at(object, "num_pairs"),
          .global_batch_size = integer_at(object, "global_batch_size"),
          .world_size = static_cast<int>(world_size),
          .stratified = flag_at(object, "stratified"),
          .mixed = flag_at(object, "mixed"),
          .first_step = 0,
          .end_step = integer_at(object, "end_step")};
}

CheckpointJson json_of(const GroupWeightsState& state) {
  return {{"log_alpha", equipoise::json_of(state.log_alpha_K)},
          {"group_loss", equipoise::json_of(state.group_loss_K)},
          {"step_size", equipoise::json_of(state.step_size)}};
}

CheckpointJson json_of(const CheckpointFile& file) {
  return {{"name", file.name}, {"bytes", file.bytes}, {"sha256", hex_text(file.sha256)}};
}

CheckpointFile file_of(const CheckpointJson& object) {
  CheckpointFile file{
      .name = text_at(object, "name"), .bytes = integer_at(object, "bytes"), .sha256 = digest_at(object, "sha256")};
  const fs::path path(file.name);
  const auto is_plain = [](const fs::path& part) { return !part.empty() && part.string().front() != '.'; };
  const bool is_below = !path.empty() && path.is_relative() && std::ranges::all_of(path, is_plain);
  if (!is_below || file.bytes > kLargestFile) refuse_at("files", "names of files below the checkpoint's folder");
  return file;
}

// Without the digest.
CheckpointJson content_of(const CheckpointManifest& manifest) {
  CheckpointJson files = CheckpointJson::array();
  for (const CheckpointFile& file : manifest.files) files.push_back(json_of(file));
  CheckpointJson content{
      {"format", kFormat},
      {"program", manifest.program},
      {"job_id", manifest.job_id},
      {"generation", manifest.generation},
      {"step", manifest.step},
      {"time", manifest.time},
      {"job", manifest.job},
      {"plan", json_of(manifest.plan)},
      {"dataset_sha256", hex_text(manifest.dataset)},
      {"weights", json_of(manifest.weights)},
      {"training", manifest.training},
      {"policy", manifest.policy},
      {"metrics", {{"bytes", manifest.metrics_bytes}, {"sha256", hex_text(manifest.metrics_sha256)}}}};
  if (manifest.ledger_bytes > 0) {
    content["ledger"] = {{"bytes", manifest.ledger_bytes}, {"chain", hex_text(manifest.ledger_chain)}};
  }
  content["files"] = std::move(files);
  return content;
}

std::string text_of(CheckpointJson content) {
  const std::string text = content.dump(1);
  content[kDigest] = hex_text(sha256_of(std::as_bytes(std::span(text))));
  return content.dump(1) + "\n";
}

CheckpointManifest manifest_of(const CheckpointJson& content) {
  CheckpointManifest manifest{.program = text_at(content, "program"),
                              .job_id = text_at(content, "job_id"),
                              .generation = integer_at(content, "generation"),
                              .step = integer_at(content, "step"),
                              .time = text_at(content, "time"),
                              .job = text_at(content, "job"),
                              .plan = plan_of(value_at(content, "plan", "an object")),
                              .dataset = digest_at(content, "dataset_sha256"),
                              .weights = {},
                              .training = value_at(content, "training", "an object"),
                              .policy = value_at(content, "policy", "an object"),
                              .metrics_bytes = 0,
                              .metrics_sha256 = {},
                              .files = {}};
  const CheckpointJson& weights = value_at(content, "weights", "an object");
  manifest.weights = {.log_alpha_K = doubles_at(weights, "log_alpha"),
                      .group_loss_K = doubles_at(weights, "group_loss"),
                      .step_size = schedule_at(weights, "step_size")};
  const CheckpointJson& metrics = value_at(content, "metrics", "an object");
  manifest.metrics_bytes = integer_at(metrics, "bytes");
  manifest.metrics_sha256 = digest_at(metrics, "sha256");
  if (content.contains("ledger")) {  // earlier programs wrote none
    const CheckpointJson& ledger = object_at(content, "ledger");
    manifest.ledger_bytes = integer_at(ledger, "bytes");
    manifest.ledger_chain = digest_at(ledger, "chain");
  }
  const CheckpointJson& files = value_at(content, "files", "a list");
  if (!files.is_array() || files.size() > kMostFiles) refuse_at("files", "a list of at most 65536 files");
  for (const CheckpointJson& file : files) manifest.files.push_back(file_of(file));
  return manifest;
}

}  // namespace

CheckpointManifest parse_manifest(const std::string& text) {
  bool is_deep = false;
  const auto keep = [&is_deep](int depth, CheckpointJson::parse_event_t /*event*/, CheckpointJson& /*value*/) {
    is_deep = is_deep || depth > kDeepest;
    return !is_deep;
  };
  CheckpointJson content = CheckpointJson::parse(text, keep, false);
  if (is_deep) throw std::invalid_argument("it is nested deeper than a manifest");
  if (!content.is_object()) throw std::invalid_argument("it is no JSON object, as a file is that was cut short");
  if (const std::int64_t format = integer_at(content, "format"); format != kFormat) {
    throw std::invalid_argument("its format is " + std::to_string(format) + ", expected " + std::to_string(kFormat) +
                                "; another version of equipoise wrote it");
  }
  content.erase(kDigest);
  if (text_of(content) != text) throw std::invalid_argument("it is not what was written: its digest is another one");
  return manifest_of(content);
}

std::int64_t CheckpointManifest::bytes() const {
  std::int64_t sum = 0;
  for (const CheckpointFile& file : files) sum += file.bytes;
  return sum;
}

CheckpointJson json_of(double value) {
  if (std::isfinite(value)) return value;
  if (std::isnan(value)) return kNaN;
  return value > 0 ? kInfinity : kMinusInfinity;
}

CheckpointJson json_of(const std::vector<double>& values) {
  CheckpointJson list = CheckpointJson::array();
  for (const double value : values) list.push_back(json_of(value));
  return list;
}

CheckpointJson json_of(const ScheduleState& state) {
  return {{"step_size", json_of(state.step_size)}, {"best", json_of(state.best)}, {"waited", state.waited}};
}

double double_at(const CheckpointJson& object, const char* field) {
  return double_of(value_at(object, field, "a number"), field);
}

std::int64_t integer_at(const CheckpointJson& object, const char* field) {
  const CheckpointJson& value = value_at(object, field, "an integer >= 0");
  const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  // Numbers that were not read from a text may be of the signed kind.
  const bool is_too_large = value.is_number_unsigned() && value.get<std::uint64_t>() > most;
  if (!value.is_number_integer() || is_too_large || value.get<std::int64_t>() < 0) refuse_at(field, "an integer >= 0");
  return value.get<std::int64_t>();
}

const CheckpointJson& object_at(const CheckpointJson& object, const char* field) {
  return value_at(object, field, "an object");
}

bool flag_at(const CheckpointJson& object, const char* field) {
  const CheckpointJson& value = value_at(object, field, "true or false");
  if (!value.is_boolean()) refuse_at(field, "true or false");
  return value.get<bool>();
}

std::string text_at(const CheckpointJson& object, const char* field) {
  const CheckpointJson& value = value_at(object, field, "a text");
  if (!value.is_string()) refuse_at(field, "a text");
  return value.get<std::string>();
}

std::vector<double> doubles_at(const CheckpointJson& object, const char* field) {
  const CheckpointJson& list = value_at(object, field, "a list of numbers");
  if (!list.is_array()) refuse_at(field, "a list of numbers");
  std::vector<double> values;
  for (const CheckpointJson& value : list) values.push_back(double_of(value, field));
  return values;
}

Digest digest_at(const CheckpointJson& object, const char* field) {
  const auto digest = digest_of_hex(text_at(object, field));
  if (!digest) refuse_at(field, "64 hexadecimal digits");
  return *digest;
}

ScheduleState schedule_at(const CheckpointJson& object, const char* field) {
  const CheckpointJson& state = value_at(object, field, "an object");
  return {.step_size = double_at(state, "step_size"),
          .best = double_at(state, "best"),
          .waited = integer_at(state, "waited")};
}

std::string manifest_text(const CheckpointManifest& manifest) { return text_of(content_of(manifest)); }

Digest manifest_digest(const CheckpointManifest& manifest) {
  const std::string text = manifest_text(manifest);
  return sha256_of(std::as_bytes(std::span(text)));
}

CheckpointManifest read_manifest(const fs::path& folder) {
  const fs::path file = folder / kManifestName;
  const std::string text = read_bounded_file(file, kLargestManifest, "the manifest of a checkpoint");
  try {
    return parse_manifest(text);
  } catch (const std::invalid_argument& fault) {
    throw std::invalid_argument(file.string() + ": " + fault.what());
  }
}

}  // namespace equipoise
