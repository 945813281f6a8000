#include "client/evaluate/evaluation_request.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <string>
#include <system_error>

#include "client/command_line/job_inputs.h"
#include "client/command_line/shared_flags.h"
#include "common/base/durable_file.h"
#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "common/process/machine_ranks.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// Settings that mean nothing here, or have a flag of their own.
constexpr std::array<std::string_view, 9> kNotHere = {
    "data.train",   "data.train_files",  "data.validation",     "data.validation_files", "data.test",
    "data.shuffle", "data.group_counts", "loss.reference_free", "loss.sft_average"};

// All ranks of an evaluation run on this machine.
void check_workers(int workers) {
  const int most = most_ranks_of_this_machine();
  if (workers <= most) return;
  throw std::invalid_argument("--np is " + std::to_string(workers) + ", expected at most " + std::to_string(most) +
                              " on this machine");
}

// "dpo" of LOSS_TYPE_DPO: what YAML calls it.
std::vector<std::string> short_names(const google::protobuf::EnumDescriptor& descriptor) {
  const std::string unspecified = descriptor.FindValueByNumber(0)->name();
  const std::size_t prefix = unspecified.size() - std::string_view("UNSPECIFIED").size();
  std::vector<std::string> names;
  for (int i = 1; i < descriptor.value_count(); ++i) {
    std::string name = descriptor.value(i)->name().substr(prefix);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    names.push_back(name);
  }
  return names;
}

template <class Enum>
Enum enum_value(const google::protobuf::EnumDescriptor& descriptor, const std::string& name) {
  const std::vector<std::string> names = short_names(descriptor);
  const auto position = static_cast<int>(std::ranges::find(names, name) - names.begin());
  return static_cast<Enum>(descriptor.value(position + 1)->number());
}

std::string absolute_text(const std::string& path) {
  return path.empty() ? path : fs::absolute(path).lexically_normal().string();
}

void set_data(const EvaluationFlags& flags, v1::DataSpec& data) {
  if (flags.groups.group.empty()) {
    data.set_train(absolute_text(flags.data));
  } else {
    v1::DataFileSpec& file = *data.add_train_files();
    file.set_path(absolute_text(flags.data));
    file.set_group(flags.groups.group);
  }
  if (flags.groups.group_columns != GroupFlags().group_columns) {
    for (const std::string& column : flags.groups.columns()) data.add_group_columns(column);
  }
  if (!flags.groups.group_separator.empty()) data.set_group_separator(flags.groups.group_separator);
  if (flags.max_length) data.set_max_length(*flags.max_length);
}

const std::string& data_path(const v1::JobSpec& spec) {
  return spec.data().train_files().empty() ? spec.data().train() : spec.data().train_files(0).path();
}

v1::JobSpec spec_of_flags(const EvaluationFlags& flags) {
  v1::JobSpec spec;
  spec.set_name("evaluate");
  spec.set_output(absolute_text(flags.output));
  v1::ModelSpec& model = *spec.mutable_model();
  model.set_path(absolute_text(flags.model));
  if (!flags.adapter.empty()) model.set_adapter(absolute_text(flags.adapter));
  if (!flags.reference.empty()) model.set_reference(absolute_text(flags.reference));
  if (!flags.chat_template.empty()) model.set_chat_template(absolute_text(flags.chat_template));
  model.set_dtype(enum_value<v1::DType>(*v1::DType_descriptor(), flags.dtype));
  set_data(flags, *spec.mutable_data());
  v1::LossSpec& loss = *spec.mutable_loss();
  loss.set_type(enum_value<v1::LossType>(*v1::LossType_descriptor(), flags.loss));
  if (flags.beta) loss.set_beta(*flags.beta);
  if (flags.reference.empty() && loss.type() != v1::LOSS_TYPE_SFT) loss.set_reference_free(true);
  if (flags.micro_batch_tokens) spec.mutable_training()->set_micro_batch_tokens(*flags.micro_batch_tokens);
  return spec;
}

void check_setting(const std::string& setting) {
  const std::string key = setting.substr(0, setting.find('='));
  const bool in_section = key.starts_with("data.") || key.starts_with("loss.");
  if (in_section && std::ranges::find(kNotHere, key) == kNotHere.end()) return;
  throw std::invalid_argument("--set " + setting +
                              ": an evaluation has no such setting, expected one of the sections data and loss that "
                              "says how pairs are tokenised or what their loss is");
}

void check_output(const v1::JobSpec& spec) {
  const fs::path output = spec.output();
  std::error_code ignored;
  if (!fs::is_directory(output.parent_path(), ignored)) {
    throw std::invalid_argument("--output: " + output.parent_path().string() + " is not a folder");
  }
  for (const std::string& folder : {spec.model().path(), spec.model().adapter(), spec.model().reference()}) {
    if (folder.empty() || !fs::equivalent(output.parent_path(), folder, ignored)) continue;
    throw std::invalid_argument("--output: " + output.string() + " is a file of the model in " + folder);
  }
  // A folder of data is all of its files.
  if (fs::equivalent(output.parent_path(), spec.data().train(), ignored)) {
    throw std::invalid_argument("--output: " + output.string() + " is in the folder of --data");
  }
  if (!fs::exists(output, ignored)) return;
  if (!fs::is_regular_file(output, ignored))
    throw std::invalid_argument("--output: " + output.string() + " is not a file");
  if (fs::equivalent(output, data_path(spec), ignored)) {
    throw std::invalid_argument("--output: " + output.string() + " is the file of --data");
  }
}

}  // namespace

void EvaluationFlags::add_to(CLI::App& verb) {
  verb.add_option("--model", model, "Hugging Face folder of the model")->type_name("DIR")->required();
  verb.add_option("--adapter", adapter, "Of the model: a LoRA adapter in PEFT's format (default: none)")
      ->type_name("DIR");
  verb.add_option("--reference", reference, "Of the reference policy (default: the loss has none)")->type_name("DIR");
  verb.add_option("--data", data, "JSONL, one preference pair a line")->type_name("FILE")->required();
  add_group_flags(verb, groups);
  verb.get_option("--group")->excludes("--group-columns");
  verb.add_option("--output", output, "Receives a line per pair; replaced once all are there")
      ->type_name("FILE")
      ->required();
  verb.add_option("--np", workers, "Worker processes")
      ->type_name("N")
      ->check(CLI::Range(1, kMostWorkers))
      ->capture_default_str();
  verb.add_option("--loss", loss, "Of a pair")
      ->type_name("TYPE")
      ->check(CLI::IsMember(short_names(*v1::LossType_descriptor())))
      ->capture_default_str();
  verb.add_option("--beta", beta, "Of the loss (default: 0.1)")->type_name("BETA");
  verb.add_option("--dtype", dtype, "Of parameters and arithmetic")
      ->type_name("TYPE")
      ->check(CLI::IsMember(short_names(*v1::DType_descriptor())))
      ->capture_default_str();
  verb.add_option("--max-length", max_length, "Tokens of prompt and answer (default: 1024)")->type_name("N");
  verb.add_option("--micro-batch-tokens", micro_batch_tokens, "Tokens of one forward pass, at most (default: 4096)")
      ->type_name("N");
  verb.add_option("--chat-template", chat_template, "Instead of the model's own, for data of messages")
      ->type_name("FILE");
  verb.add_option("--set", settings,
                  "A setting of a job's sections data and loss, loss.label_smoothing=0.1; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  result.add_to(verb, {ResultFormat::kMarkdown, ResultFormat::kCsv, ResultFormat::kLatex});
  verb.add_flag("--quiet", quiet, "Say nothing unless something fails");
}

v1::JobSpec evaluation_request(const EvaluationFlags& flags, const fs::path& folder) {
  check_rank_environment();
  check_workers(flags.workers);
  for (const std::string& setting : flags.settings) check_setting(setting);
  const fs::path file = folder / "flags.yaml";
  write_durably(file, job_spec_to_yaml(spec_of_flags(flags)));
  const v1::JobSpec spec = read_job_file(file, flags.settings);
  make_job_config(spec);
  check_model_folder("--model", spec.model().path());
  if (spec.model().has_adapter()) check_adapter_folder("--adapter", spec.model().adapter());
  if (spec.model().has_reference()) check_model_folder("--reference", spec.model().reference());
  check_readable_data("--data", data_path(spec));
  check_output(spec);
  return spec;
}

}  // namespace equipoise
