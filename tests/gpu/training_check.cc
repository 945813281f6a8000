#include <chrono>
#include <cmath>
#include <map>

#include "common/base/sha256.h"
#include "tests/gpu/check.h"
#include "tests/worker/support/owned_pair.h"
#include "tests/worker/support/random_model.h"
#include "worker/language_model/device_advice.h"
#include "worker/language_model/step.h"

namespace equipoise::gpu_check {
namespace {

constexpr std::int64_t kGroups = 4;

// A model's shape, what is trained of it, and for how long.
struct TrainingShape {
  nlohmann::json config;
  JobConfig job;
  std::int64_t steps, pairs_per_step, prompt_tokens, answer_tokens;
};

nlohmann::json gemma_2b() {
  return {{"model_type", "gemma"},       {"vocab_size", 256000},      {"hidden_size", 2048},
          {"intermediate_size", 16384},  {"num_hidden_layers", 18},   {"num_attention_heads", 8},
          {"num_key_value_heads", 1},    {"head_dim", 256},           {"rms_norm_eps", 1e-6},
          {"tie_word_embeddings", true}, {"torch_dtype", "bfloat16"}, {"max_position_embeddings", 8192}};
}

nlohmann::json four_layers_of_llama_8b() {
  return {{"model_type", "llama"},        {"vocab_size", 128256},      {"hidden_size", 4096},
          {"intermediate_size", 14336},   {"num_hidden_layers", 4},    {"num_attention_heads", 32},
          {"num_key_value_heads", 8},     {"head_dim", 128},           {"rms_norm_eps", 1e-5},
          {"tie_word_embeddings", false}, {"torch_dtype", "bfloat16"}, {"max_position_embeddings", 8192},
          {"rope_theta", 500000.0}};
}

// What a CPU does in a second or two.
void shrink(TrainingShape& shape) {
  shape.config.update({{"vocab_size", 200},
                       {"hidden_size", 32},
                       {"intermediate_size", 64},
                       {"num_hidden_layers", 2},
                       {"num_attention_heads", 4},
                       {"head_dim", 8}});
  if (shape.config["num_key_value_heads"] != 1) shape.config["num_key_value_heads"] = 2;
  shape.steps = 3;
  shape.prompt_tokens = 10;
  shape.answer_tokens = 6;
}

EncodedPairs random_pairs(const TrainingShape& shape) {
  torch::manual_seed(5);
  const std::int64_t vocabulary = shape.config["vocab_size"];
  const auto ids = [&](std::int64_t about) {
    const std::int64_t count = about / 2 + torch::randint(about, {1}).item<std::int64_t>();
    const torch::Tensor drawn = torch::randint(3, vocabulary, {std::max<std::int64_t>(count, 1)}, torch::kInt32);
    return std::vector<std::int32_t>(drawn.data_ptr<std::int32_t>(), drawn.data_ptr<std::int32_t>() + drawn.numel());
  };
  std::vector<OwnedPair> pairs;
  for (std::int64_t i = 0; i < shape.steps * shape.pairs_per_step; ++i) {
    pairs.push_back({.prompt_ids = ids(shape.prompt_tokens),
                     .chosen_ids = ids(shape.answer_tokens),
                     .rejected_ids = ids(shape.answer_tokens),
                     .memberships = {{.group = static_cast<std::uint32_t>(i % kGroups), .weight = 1}}});
  }
  return encoded(pairs);
}

struct TrainingResult {
  std::vector<StepResult> steps;
  std::vector<double> seconds;
  std::int64_t tokens_per_step = 0;  // of prompts and answers, on average
  std::string digest;
  std::int64_t peak_bytes = 0;
};

TrainingResult train(const CheckDevice& device, const TrainingShape& shape, const std::filesystem::path& folder) {
  const JobConfig& job = shape.job;
  const EncodedPairs pairs = random_pairs(shape);
  device.reset_peak();
  Decoder policy = Decoder::load(folder, torch::kBFloat16, device.device(), job.model.quantization);
  if (job.model.lora) {
    policy.attach(new_adapter(policy.config(), *job.model.lora, 1, torch::kBFloat16, device.device()));
  }
  const AnswerLogProbs reference =
      compute_log_probs(policy, {.pairs = pairs,
                                 .token_budget = log_prob_token_budget(job.training.micro_batch_tokens),
                                 .ranks = device.host,
                                 .whose = "the reference"});
  if (job.training.gradient_checkpointing) policy.recompute_layers();
  GradientBuckets gradients(policy.trained(), device.collective(), std::size_t{25} << 20);
  Optimizer optimizer(job.optimizer, policy.trained(), shape.steps);
  ShardCursor cursor({.shuffle = false,
                      .num_pairs = static_cast<std::int64_t>(pairs.size()),
                      .global_batch_size = shape.pairs_per_step,
                      .world_size = 1,
                      .end_step = shape.steps});
  RobustSettings robust;
  robust.mode = RobustMode::kGroupRobust;
  robust.step_size = 0.1;
  const std::vector<double> pair_count_K(kGroups, static_cast<double>(pairs.size()) / kGroups);
  OwnStepWeights weights(GroupWeights(robust, pair_count_K, static_cast<double>(pairs.size())));
  StepParts parts{.inputs = {.decoder = policy, .loss = job.loss, .pairs = pairs, .reference = reference},
                  .robust = robust,
                  .group_pair_count_K = pair_count_K,
                  .micro_batch_tokens = job.training.micro_batch_tokens,
                  .cursor = cursor,
                  .host = device.host,
                  .gradients = gradients,
                  .optimizer = optimizer,
                  .weights = weights};
  TrainingResult result;
  for (const EncodedPair pair : pairs) {
    result.tokens_per_step += std::ssize(pair.prompt_ids) + std::ssize(pair.chosen_ids) + std::ssize(pair.rejected_ids);
  }
  result.tokens_per_step /= shape.steps;
  for (std::int64_t step = 0; step < shape.steps; ++step) {
    device.synchronize();
    const auto start = std::chrono::steady_clock::now();
    result.steps.push_back(train_step(parts, step));
    device.synchronize();
    result.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  result.peak_bytes = device.peak_bytes();
  result.digest = hex_text(parameter_digest(policy.trained()));
  return result;
}

// Median of the steps after the first two, which also plan and allocate.
double median(std::vector<double> values) {
  if (values.size() > 4) values.erase(values.begin(), values.begin() + 2);
  std::ranges::sort(values);
  return values[values.size() / 2];
}

nlohmann::json phases_of(const TrainingResult& result) {
  std::map<std::string, std::vector<double>> seconds;
  for (const StepResult& step : result.steps) {
    for (const auto& [phase, value] : step.phases) seconds[std::string(phase)].push_back(value);
  }
  nlohmann::json phases;
  for (const auto& [phase, values] : seconds) phases[phase] = median(values);
  return phases;
}

std::string gigabytes(std::int64_t bytes) { return short_number(static_cast<double>(bytes) / 1e9) + " GB"; }

// The first loss and that all numbers are finite.
void expect_training(const TrainingResult& result, Finding& finding) {
  // The policy is its own reference before the first step: every margin is 0 but for rounding.
  finding.expect(std::abs(result.steps.front().loss - std::log(2.0)) < 0.05,
                 "the loss of the first step is " + short_number(result.steps.front().loss) + ", expected ln 2");
  for (const StepResult& step : result.steps) {
    finding.expect(std::isfinite(step.loss) && !step.skipped, "a loss or a gradient is not finite");
    finding.expect(step.grad_norm > 0, "a gradient is 0");
  }
}

Finding check_training(const CheckDevice& device, TrainingShape shape) {
  Finding finding;
  if (!device.is_gpu()) shrink(shape);
  const TempFolder folder;
  folder.write("config.json", shape.config.dump());
  shape.job.model.path = folder.path();
  const std::int64_t estimated = estimate_memory(shape.job, 1).peak();
  const auto free = static_cast<std::int64_t>(free_memory(device.opened, device.host.info()));
  if (device.is_gpu() && free < estimated + estimated / 4) {
    finding.left_out = "wants about " + gigabytes(estimated) + ", and the GPU has " + gigabytes(free) + " free";
    return finding;
  }
  write_large_model(folder, shape.config);
  const TrainingResult result = train(device, shape, folder.path());
  expect_training(result, finding);
  // The activations' part of the estimate is a formula.
  finding.expect(
      !device.is_gpu() || (result.peak_bytes > estimated / 2 && result.peak_bytes < 2 * estimated),
      "memory of " + gigabytes(result.peak_bytes) + " was held, " + gigabytes(estimated) + " were estimated");
  const double seconds = median(result.seconds), tokens = static_cast<double>(result.tokens_per_step) / seconds;
  finding.numbers = {{"step_seconds", seconds},
                     {"first_step_seconds", result.seconds.front()},
                     {"tokens_per_second", tokens},
                     {"phase_seconds", phases_of(result)},
                     {"first_loss", result.steps.front().loss},
                     {"last_loss", result.steps.back().loss},
                     {"peak_bytes", result.peak_bytes},
                     {"estimated_bytes", estimated}};
  finding.summary = short_number(seconds) + " s a step, " + short_number(tokens) + " tokens a second, peak " +
                    gigabytes(result.peak_bytes) + ", estimated " + gigabytes(estimated);
  return finding;
}

TrainingShape gemma_shape() {
  TrainingShape shape{
      .config = gemma_2b(), .job = {}, .steps = 20, .pairs_per_step = 16, .prompt_tokens = 200, .answer_tokens = 120};
  shape.job.model.dtype = DType::kBFloat16;
  shape.job.training.global_batch_size = shape.pairs_per_step;
  shape.job.data.max_length = 480;  // no text is longer
  shape.job.optimizer.learning_rate = 1e-6;
  return shape;
}

}  // namespace

Finding check_gemma_full(const CheckDevice& device) { return check_training(device, gemma_shape()); }

Finding check_gemma_lora(const CheckDevice& device) {
  TrainingShape shape = gemma_shape();
  shape.job.model.lora = LoraSettings{.r = 16};
  return check_training(device, shape);
}

Finding check_llama_nf4(const CheckDevice& device) {
  TrainingShape shape = gemma_shape();
  shape.config = four_layers_of_llama_8b();
  shape.steps = 5;
  shape.job.model.lora = LoraSettings{.r = 16};
  shape.job.model.quantization = Quantization::kNf4;
  return check_training(device, shape);
}

Finding check_repeated_steps(const CheckDevice& device) {
  Finding finding;
  TrainingShape shape = gemma_shape();
  shrink(shape);
  shape.job.optimizer.learning_rate = 1e-3;
  const TempFolder folder;
  write_large_model(folder, shape.config);
  const TrainingResult first = train(device, shape, folder.path()), second = train(device, shape, folder.path());
  const bool is_same = first.digest == second.digest;
  finding.expect(device.is_gpu() || is_same, "the same steps gave other parameters the second time");
  double difference = 0;
  for (std::size_t i = 0; i < first.steps.size(); ++i) {
    difference = std::max(difference, std::abs(first.steps[i].loss - second.steps[i].loss));
  }
  // Rounding of bfloat16 parameters, which a sum in another order moves.
  finding.expect(difference < 1e-2, "losses of the same steps differ by " + short_number(difference));
  expect_training(first, finding);
  finding.numbers = {{"same_bits", is_same}, {"loss_difference", difference}};
  finding.summary = is_same ? "the same bits" : "other bits, losses off by " + short_number(difference);
  return finding;
}

}  // namespace equipoise::gpu_check
