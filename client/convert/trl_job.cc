#include "client/convert/trl_job.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/base/message_text.h"
#include "common/config/job_config.h"
#include "common/config/yaml_message.h"
#include "common/dataset/preference_reader.h"

namespace equipoise {

namespace {

bool is_yes(std::string_view text) { return translated("true=1 yes=1 on=1 y=1 t=1 1=1", text).has_value(); }
bool is_no(std::string_view text) { return translated("false=1 no=1 off=1 n=1 f=1 0=1", text).has_value(); }

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  return read.ec == std::errc() && read.ptr == end && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

bool is_one(std::string_view text) { return number_in(text) == 1.0; }

}  // namespace

TrlJob::TrlJob(const ConversionRequest& request, const GivenSettings& given, Conversion& result)
    : request_(request), given_(given), result_(result) {}

const GivenSetting* TrlJob::find(std::string_view name) const {
  const auto found = given_.find(std::string(name));
  return found == given_.end() ? nullptr : &found->second;
}

bool TrlJob::is_given(std::string_view name) const {
  const GivenSetting* const setting = find(name);
  return setting != nullptr && !setting->place.empty();
}

std::string_view TrlJob::shown_name(std::string_view name) const {
  if (is_given(name)) return find(name)->name.empty() ? name : std::string_view(find(name)->name);
  return own_name(trainer_table(request_.trainer), name);
}

std::string TrlJob::place_text(std::string_view name) const {
  std::string text = std::string(trainer_table(request_.trainer).title) + "'s default";
  if (is_given(name)) text = find(name)->place;
  if (text.starts_with("--")) return text + ": ";
  return text + ": " + std::string(shown_name(name)) + ": ";
}

void TrlJob::note(std::string_view name, const std::string& text) { result_.notes.push_back(place_text(name) + text); }

void TrlJob::fault(std::string_view name, const std::string& text) {
  const bool is_absent = find(name) == nullptr;
  result_.faults.push_back((is_absent ? std::string(shown_name(name)) + ": " : place_text(name)) + text);
}

void TrlJob::set(std::string_view name, std::string_view key, const YAML::Node& value) {
  std::string place = place_text(name);
  place.resize(place.size() - 2);  // YamlSource adds it
  const bool is_path = (key == "model.reference" || key == "model.adapter") && value.IsScalar();
  try {
    set_yaml_field(YamlSource::text(place), key, is_path ? YAML::Node(job_path(value.Scalar())) : value, result_.spec);
  } catch (const std::invalid_argument& problem) {
    result_.faults.emplace_back(problem.what());
  }
}

void TrlJob::set_number(std::string_view name, std::string_view key, double value) {
  set(name, key, YAML::Node(number_text(value)));
}

void TrlJob::set_text(std::string_view name, std::string_view key, const std::string& value) {
  set(name, key, YAML::Node(value));
}

std::optional<std::string> TrlJob::text(std::string_view name) {
  read_.emplace(name);
  const GivenSetting* const setting = find(name);
  if (setting == nullptr) return std::nullopt;
  if (setting->value.IsScalar()) return setting->value.Scalar();
  fault(name, "expected one value");
  return std::nullopt;
}

std::optional<double> TrlJob::number(std::string_view name) {
  const std::optional<std::string> found = text(name);
  if (!found) return std::nullopt;
  if (const auto value = number_in(*found)) return value;
  fault(name, "is " + quoted_text(*found) + ", expected a number");
  return std::nullopt;
}

bool TrlJob::truth(std::string_view name) {
  const std::optional<std::string> found = text(name);
  if (!found) return false;
  if (!is_yes(*found) && !is_no(*found)) fault(name, "is " + quoted_text(*found) + ", expected true or false");
  return is_yes(*found);
}

std::vector<std::string> TrlJob::texts(std::string_view name) {
  read_.emplace(name);
  const GivenSetting* const setting = find(name);
  std::vector<std::string> found;
  if (setting == nullptr) return found;
  if (setting->value.IsScalar()) return {setting->value.Scalar()};
  // Items of a mapping are pairs, which are no nodes.
  for (std::size_t i = 0; setting->value.IsSequence() && i < setting->value.size(); ++i) {
    const YAML::Node item = setting->value[i];
    if (item.IsScalar()) found.push_back(item.Scalar());
  }
  if (!setting->value.IsSequence() || found.size() != setting->value.size()) fault(name, "expected a list of values");
  return found;
}

void TrlJob::names() {
  set_text("output_dir", "output", job_path(text("output_dir").value_or("trainer_output")));
  const std::optional<std::string> given = text("run_name");
  if (!given) return;
  std::string name;
  for (const char c : *given) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_lower = c >= 'a' && c <= 'z';
    if (name.empty() && !is_upper && !is_lower) continue;
    const bool is_kept = is_lower || (c >= '0' && c <= '9');
    name += is_upper ? static_cast<char>(c - 'A' + 'a') : is_kept ? c : '-';
  }
  name.resize(std::min(name.size(), kLongestJobName));
  while (name.ends_with('-')) name.pop_back();
  if (!name.empty()) set_text("run_name", "name", name);
}

// The type, the folder, and what is kept at four bits.
void TrlJob::model() {
  const std::string path = request_.model.empty() ? text("model_name_or_path").value_or("") : request_.model;
  if (path.empty()) {
    fault("model_name_or_path", "expected a folder: --model FOLDER");
  } else {
    set_text("model_name_or_path", "model.path", job_path(path));
    if (!std::filesystem::is_directory(path)) {
      note("model_name_or_path", "no folder " + quoted_text(path) + " is here: hf download " + path + " --local-dir " +
                                     path + " brings a model of the Hub");
    }
  }
  const std::string_view type_key = is_given("torch_dtype") && !is_given("dtype") ? "torch_dtype" : "dtype";
  const std::string type = text(type_key).value_or("float32");
  const bool mixed = find("bf16") != nullptr ? truth("bf16") : !truth("fp16");
  if (type != "float32" && type != "bfloat16") {
    fault(type_key, "is " + quoted_text(type) + ", expected float32 or bfloat16");
  }
  set_text(type_key, "model.dtype", mixed || type == "bfloat16" ? "bfloat16" : "float32");
  if (mixed && type == "float32") {
    note("bf16", "parameters are bfloat16 here, beside float32 copies in the optimiser; " + std::string("`") +
                     std::string(shown_name("bf16")) + ": false` trains in float32");
  }
  if (truth("load_in_4bit")) {
    set_text("load_in_4bit", "model.quantization", "nf4");
    if (!truth("use_peft")) fault("load_in_4bit", "needs an adapter: " + std::string(shown_name("use_peft")));
  }
  const GivenSetting* const checkpointing =
      is_given("activation_checkpointing") ? find("activation_checkpointing") : find("gradient_checkpointing");
  if (checkpointing != nullptr) {
    set_text("gradient_checkpointing", "training.gradient_checkpointing",
             truth(is_given("activation_checkpointing") ? "activation_checkpointing" : "gradient_checkpointing")
                 ? "true"
                 : "false");
  }
}

void TrlJob::adapter() {
  const bool goes_on = result_.spec.model().has_adapter();
  const bool keeps_dropout = find("disable_dropout") != nullptr && !truth("disable_dropout");
  if (!truth("use_peft")) {
    if (keeps_dropout) note("disable_dropout", "has no effect: the model itself never drops, and it has no adapter");
    return;
  }
  if (const auto dropout = number("lora_dropout"); dropout && *dropout > 0) {
    if (keeps_dropout) {
      set_number("lora_dropout", "model.lora.dropout", *dropout);
    } else if (is_given("lora_dropout")) {
      note("lora_dropout", "is off here, as disable_dropout has it in TRL");
    }
  }
  if (goes_on) return;
  const auto rank = number("lora_r");
  if (rank) set_number("lora_r", "model.lora.r", *rank);
  const auto alpha = number("lora_alpha");
  set_number("lora_alpha", "model.lora.alpha", alpha ? *alpha : 2 * rank.value_or(8));
  if (truth("use_rslora")) set_text("use_rslora", "model.lora.rank_stabilized", "true");
  if (truth("use_dora")) set_text("use_dora", "model.lora.use_dora", "true");
  YAML::Node targets(YAML::NodeType::Sequence);
  for (const std::string& given : texts("lora_target_modules")) {
    std::string rest = given == "all" ? "all-linear" : given;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) targets.push_back(rest.substr(0, comma));
      rest.erase(0, comma + 1);
    }
  }
  if (targets.size() == 0) {
    targets.push_back("q_proj");
    targets.push_back("v_proj");
    note("lora_target_modules", "q_proj and v_proj, which is PEFT's choice for most families: check it");
  }
  set("lora_target_modules", "model.lora.target_modules", targets);
}

namespace {

constexpr std::array kMappedLosses = {std::pair{"sigmoid", "dpo"},   std::pair{"sigmoid_norm", "dpo"},
                                      std::pair{"ipo", "ipo"},       std::pair{"hinge", "hinge"},
                                      std::pair{"robust", "robust"}, std::pair{"sft", "sft"}};

}  // namespace

void TrlJob::loss() {
  const std::vector<std::string> types = texts("loss_type");
  if (types.empty()) return;
  const auto* const known =
      std::ranges::find(kMappedLosses, types.front(), [](const auto& pair) { return std::string(pair.first); });
  if (known == kMappedLosses.end()) {
    return fault("loss_type", "is " + quoted_text(types.front()) +
                                  ", expected sigmoid, sigmoid_norm, ipo, hinge, robust or sft: it is not implemented");
  }
  set_text("loss_type", "loss.type", known->second);
  if (types.front() == "ipo" || types.front() == "sigmoid_norm") {
    set_text("loss_type", "loss.length_normalized", "true");
  }
  const std::vector<std::string> weights = texts("loss_weights");
  if (!weights.empty() && weights.size() != types.size()) {
    fault("loss_weights", "has " + std::to_string(weights.size()) + " weights for " + std::to_string(types.size()) +
                              (types.size() == 1 ? " loss" : " losses"));
  } else if (!weights.empty() && !is_one(weights.front())) {
    fault("loss_weights", "expected 1 for the first loss: another weight is another learning rate");
  }
  const bool adds_sft = types.size() == 2 && types[1] == "sft" && types.front() != "sft";
  if (types.size() > 1 && !adds_sft) {
    fault("loss_type", "is a sum of losses, expected one loss, or one and sft");
  } else if (types.size() > 1) {
    set_text(weights.size() == 2 ? "loss_weights" : "loss_type", "loss.sft_weight",
             weights.size() == 2 ? weights[1] : "1");
    note("loss_type", "sft is averaged over the tokens of each answer here, of the whole batch in TRL");
  }
  if (types.front() == "sft" && result_.spec.has_loss()) result_.spec.mutable_loss()->clear_beta();
  const auto smoothing = number("label_smoothing");
  if (!smoothing || *smoothing == 0) return;
  if (types.front() == "robust") {
    set_number("label_smoothing", "loss.label_smoothing", *smoothing);
  } else {
    note("label_smoothing", "has no effect: TRL reads it with robust only, and here it would change the loss");
  }
}

void TrlJob::batch() {
  double workers = request_.workers;
  if (workers == 1) workers = number("num_processes").value_or(1);  // of TRL's own launcher
  const double batch =
      number("per_device_train_batch_size").value_or(8) * number("gradient_accumulation_steps").value_or(1) * workers;
  set_number("per_device_train_batch_size", "training.global_batch_size", batch);
  set_number(is_given("num_processes") ? "num_processes" : "workers", "launch.workers", workers);
  if (workers == 1) {
    note("per_device_train_batch_size", "is taken for one device; --workers N is for N devices");
  }
  const auto steps = number("max_steps");
  if (steps && *steps > 0) {
    set_number("max_steps", "training.max_steps", *steps);
  } else {
    set_number("num_train_epochs", "training.epochs", number("num_train_epochs").value_or(3));
  }
  const std::string_view seed = is_given("data_seed") ? "data_seed" : "seed";
  if (const auto value = text(seed)) set_text(seed, "training.seed", *value);
  if (const auto order = text("train_sampling_strategy")) {
    if (*order != "random" && *order != "sequential") {
      fault("train_sampling_strategy", "is " + quoted_text(*order) + ", expected random or sequential");
    }
    if (*order == "sequential") set_text("train_sampling_strategy", "data.shuffle", "false");
  }
}

std::optional<double> TrlJob::epoch_steps(std::string_view name) {
  if (!pairs_) {
    std::vector<std::string> files;
    if (result_.spec.data().train_files().empty()) files.push_back(result_.spec.data().train());
    for (const auto& file : result_.spec.data().train_files()) files.push_back(file.path());
    try {
      double count = 0;
      for (const std::string& file : files) {
        if (file.empty()) return std::nullopt;  // said before
        const std::filesystem::path path = request_.job_folder / file;
        PreferenceReader reader(path, {.rejected = Rejected::kOptional});
        for (PreferencePair pair; reader.next(pair);) ++count;
      }
      pairs_ = count;
    } catch (const std::invalid_argument& problem) {
      fault(name, "depends on the number of pairs, which cannot be counted: " + std::string(problem.what()));
      return std::nullopt;
    }
  }
  const auto batch = static_cast<double>(std::max<std::int64_t>(result_.spec.training().global_batch_size(), 1));
  return std::max(1.0, std::ceil(*pairs_ / batch));
}

std::optional<double> TrlJob::total_steps(std::string_view name) {
  if (result_.spec.training().has_max_steps()) return static_cast<double>(result_.spec.training().max_steps());
  const auto steps = epoch_steps(name);
  if (!steps) return std::nullopt;
  return std::ceil(result_.spec.training().epochs() * *steps);
}

std::optional<double> TrlJob::steps_of(std::string_view name, double value) {
  if (value >= 1 || value <= 0) return value;
  const auto total = total_steps(name);
  if (!total) return std::nullopt;
  const double steps = std::ceil(*total * value);
  note(name, number_text(value) + " of " + number_text(*total) + " steps is " + number_text(steps));
  return steps;
}

void TrlJob::schedule() {
  const std::string type = text("lr_scheduler_type").value_or("linear");
  constexpr std::string_view kTypes = "constant=constant constant_with_warmup=constant linear=linear cosine=cosine";
  const auto ours = translated(kTypes, type);
  if (!ours) {
    return fault("lr_scheduler_type", "is " + quoted_text(type) +
                                          ", expected constant, constant_with_warmup, linear or cosine; "
                                          "optimizer.schedule has plateau too");
  }
  set_text("lr_scheduler_type", "optimizer.schedule.type", std::string(*ours));
  std::string_view name = "warmup_steps";
  std::optional<double> warmup = number(name);
  if (const auto ratio = number("warmup_ratio"); ratio && (!warmup || *warmup == 0)) {
    name = "warmup_ratio";
    warmup = ratio;
  }
  if (!warmup || *warmup <= 0) return;
  if (type == "constant") return is_given(name) ? note(name, "has no effect with constant, in TRL as here") : void();
  std::optional<double> steps = steps_of(name, *warmup);
  if (!steps) return;
  const bool of_axolotl = request_.trainer == Trainer::kAxolotl && !is_given(name);
  if (of_axolotl) steps = std::min(*steps, 100.0);
  set_number(name, "optimizer.schedule.warmup_steps", std::floor(*steps));
}

void TrlJob::optimizer() {
  if (const auto decay = number("weight_decay"); decay && *decay != 0) {
    set_number("weight_decay", "optimizer.weight_decay", *decay);
    set("weight_decay", "optimizer.decay_exclude", YAML::Load("[norm, bias]"));
  }
  const auto beta1 = number("adam_beta1"), beta2 = number("adam_beta2");
  if (!beta1 && !beta2) return;
  YAML::Node betas(YAML::NodeType::Sequence);
  betas.push_back(number_text(beta1.value_or(0.9)));
  betas.push_back(number_text(beta2.value_or(0.999)));
  set(beta1 ? "adam_beta1" : "adam_beta2", "optimizer.betas", betas);
}

void TrlJob::logging() {
  const std::string strategy = text("logging_strategy").value_or("steps");
  std::optional<double> every;
  if (strategy == "epoch") {
    every = epoch_steps("logging_strategy");
  } else if (is_no(strategy)) {
    return note("logging_strategy", "every step is written to metrics.jsonl; logging.every_steps thins it");
  } else if (strategy != "steps") {
    return fault("logging_strategy", "is " + quoted_text(strategy) + ", expected no, steps or epoch");
  } else if (const auto given = number("logging_steps")) {
    every = steps_of("logging_steps", *given);
  }
  if (every) set_number("logging_steps", "logging.every_steps", *every);
}

void TrlJob::evaluation() {
  const std::string_view name = is_given("evaluation_strategy") ? "evaluation_strategy" : "eval_strategy";
  std::string strategy = text(name).value_or("no");
  const bool is_on = strategy == "steps" || strategy == "epoch";
  if (!is_on && !is_no(strategy)) {
    return fault(name, "is " + quoted_text(strategy) + ", expected no, steps or epoch");
  }
  const bool has_axolotls =
      request_.trainer == Trainer::kAxolotl && (is_given("eval_steps") || is_given("evals_per_epoch"));
  if (!is_on && !has_axolotls) return;
  const v1::DataSpec& data = result_.spec.data();
  if (!is_on && data.validation().empty() && data.validation_files().empty()) {  // axolotl evaluates nothing then
    for (const char* const setting : {"eval_steps", "evals_per_epoch"}) {
      read_.emplace(setting);
      if (is_given(setting)) note(setting, "has no effect: there are no validation pairs");
    }
    return;
  }
  std::optional<double> every;
  if (const auto per_epoch = number("evals_per_epoch"); per_epoch && *per_epoch > 0) {
    if (const auto steps = epoch_steps("evals_per_epoch")) every = std::max(1.0, std::floor(*steps / *per_epoch));
  } else if (strategy == "epoch") {
    every = epoch_steps(name);
  } else if (const auto given = number("eval_steps")) {
    every = steps_of("eval_steps", *given);
  } else {
    every = static_cast<double>(result_.spec.logging().every_steps());
  }
  if (every) set_number("eval_steps", "evaluation.every_steps", *every);
}

void TrlJob::checkpoints() {
  const std::string strategy = text("save_strategy").value_or("steps");
  std::optional<double> every;
  if (const auto per_epoch = number("saves_per_epoch"); per_epoch && *per_epoch > 0) {
    if (const auto steps = epoch_steps("saves_per_epoch")) every = std::max(1.0, std::floor(*steps / *per_epoch));
  } else if (strategy == "epoch" && !(request_.trainer == Trainer::kAxolotl && is_given("save_steps"))) {
    every = epoch_steps("save_strategy");
  } else if (is_no(strategy)) {
    set_text("save_strategy", "checkpoint.every_steps", "0");
    return set_text("save_strategy", "checkpoint.every_seconds", "0");
  } else if (strategy == "best") {
    return fault("save_strategy", "write training.early_stopping with metric, mode and keep_best: true instead");
  } else if (strategy != "steps" && strategy != "epoch") {
    return fault("save_strategy", "is " + quoted_text(strategy) + ", expected no, steps or epoch");
  } else if (const auto given = number("save_steps")) {
    every = steps_of("save_steps", *given);
  }
  if (every) set_number("save_steps", "checkpoint.every_steps", *every);
  if (find("save_total_limit") == nullptr) {
    note("save_total_limit", "all checkpoints are kept there, the newest two here: checkpoint.keep");
  }
}

void TrlJob::compute() {
  names();
  model();
  adapter();
  data();
  loss();
  batch();
  logging();
  schedule();
  optimizer();
  evaluation();
  checkpoints();
  name_unread();
}

std::string TrlJob::why_unread(std::string_view name, const TrainerSetting& setting) const {
  constexpr std::string_view kOfTraining = " datasets dataset_name dataset_train_split dataset ";
  constexpr std::string_view kOfValidation = " test_datasets dataset_test_split eval_dataset ";
  const auto is_of = [&](std::string_view names) {
    return names.find(" " + std::string(name) + " ") != std::string_view::npos;
  };
  if (name == "model_name_or_path" && !request_.model.empty()) return "--model is taken instead";
  if (is_of(kOfTraining) && !request_.train.empty()) return "--train is taken instead";
  if (is_of(kOfValidation) && !request_.validation.empty()) return "--validation is taken instead";
  std::string why = "has no effect beside the other settings";
  if (!setting.note.empty()) why.append(": ").append(setting.note);
  return why;
}

void TrlJob::name_unread() {
  for (const auto& [name, setting] : given_) {
    if (setting.place.empty() || read_.contains(name) || name == "trl") continue;
    for (const TrainerTable* const table : {&trainer_table(request_.trainer), &trainer_table(Trainer::kTrl)}) {
      const TrainerSetting* const known = table->find(name);
      if (known == nullptr || known->rule != SettingRule::kComputed) continue;
      note(name, why_unread(name, *known));
      break;
    }
  }
}

}  // namespace equipoise
