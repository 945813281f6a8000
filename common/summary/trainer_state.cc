#include "common/summary/trainer_state.h"

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace equipoise {

std::string trainer_state(const RunSummary& summary) {
  using Json = nlohmann::ordered_json;
  const v1::JobSpec& job = summary.job;
  const auto steps_or = [](std::int64_t steps, std::int64_t otherwise) { return steps > 0 ? steps : otherwise; };
  const bool has_best = summary.best_metric.has_value();
  const double planned = job.training().has_epochs() ? job.training().epochs() : summary.epoch;
  const auto epochs = static_cast<std::int64_t>(std::ceil(planned));
  // In the order of transformers, which sorts the names.
  const Json before = {{"best_global_step", has_best ? Json(summary.best_step) : Json()},
                       {"best_metric", has_best ? Json(*summary.best_metric) : Json()},
                       {"best_model_checkpoint", nullptr},
                       {"epoch", summary.epoch},
                       {"eval_steps", steps_or(job.evaluation().every_steps(), summary.steps)},
                       {"global_step", summary.steps},
                       {"is_hyper_param_search", false},
                       {"is_local_process_zero", true},
                       {"is_world_process_zero", true}};
  const Json after = {{"logging_steps", steps_or(job.logging().every_steps(), 1)},
                      {"max_steps", steps_or(summary.max_steps, summary.steps)},
                      {"num_input_tokens_seen", summary.tokens},
                      {"num_train_epochs", epochs},
                      {"save_steps", steps_or(job.checkpoint().every_steps(), summary.steps)},
                      {"stateful_callbacks", Json::object()},
                      {"total_flos", 0.0},
                      {"train_batch_size", job.training().global_batch_size()},
                      {"trial_name", nullptr},
                      {"trial_params", nullptr}};
  std::string text = "{\n";
  const auto add_field = [&text](const auto& field) { text += " \"" + field.key() + "\": " + field.value().dump(); };
  for (const auto& field : before.items()) {
    add_field(field);
    text += ",\n";
  }
  text += " \"log_history\": [";
  bool is_first = true;
  for (const SummaryEntry& entry : summary.log_history) {
    text += is_first ? "\n  " : ",\n  ";
    text += entry.text;
    is_first = false;
  }
  text += "\n ]";
  for (const auto& field : after.items()) {
    text += ",\n";
    add_field(field);
  }
  return text + "\n}\n";
}

}  // namespace equipoise
