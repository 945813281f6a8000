#include <memory>
#include <nlohmann/json.hpp>

#include "client/command_line/result_output.h"
#include "client/command_line/verb.h"
#include "client/connection/interruptible_work.h"
#include "client/model/model_init.h"
#include "client/table/json_document.h"
#include "common/base/output_lock.h"

namespace equipoise {
namespace {

struct ModelInitFlags {
  ModelInitOptions options;
  ResultFlags result;
};

void init(const ModelInitFlags& flags, const Console& console) {
  const ModelInitOptions& options = flags.options;
  const OutputLock lock =
      OutputLock::beside({.field = "DIR", .path = options.folder}, {.program = "equipoise model init"});
  const ModelInitResult result = [&] {
    InterruptibleParts parts(flags.result.progress_console(console), "model init");
    return init_gemma(options, [&](const std::string& part, double share) { parts.show(part, share); });
  }();
  const std::string folder = options.folder.string();
  const auto text = [&] {
    return folder + ": Gemma with " + std::to_string(result.parameters) + " parameters, " +
           std::to_string(result.vocab_size) + " tokens, random weights\n";
  };
  const auto json = [&] {
    return json_document({{"folder", folder}, {"parameters", result.parameters}, {"vocab_size", result.vocab_size}});
  };
  flags.result.print({.text = text, .json = json}, console);
}

void add_shape_options(CLI::App& verb, ModelInitOptions& options) {
  const auto add = [&verb](const char* name, auto& value, const char* what) {
    verb.add_option(name, value, what)->type_name("N")->capture_default_str();
  };
  add("--seed", options.seed, "The same seed and texts give the same bytes");
  add("--vocab-size", options.vocab_size, "Tokens at most");
  add("--hidden-size", options.hidden_size, "Width");
  add("--intermediate-size", options.intermediate_size, "Width inside the MLP");
  add("--layers", options.layers, "Decoder layers");
  add("--heads", options.heads, "Attention heads");
  add("--kv-heads", options.kv_heads, "Key and value heads; divides --heads");
  add("--head-dim", options.head_dim, "Width of a head");
  add("--max-positions", options.max_positions, "Longest sequence");
  add("--initializer-range", options.initializer_range, "Standard deviation of the weights");
}

}  // namespace

void add_model_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("model", "Make a model to start from");
  verb->require_subcommand(1);
  auto flags = std::make_shared<ModelInitFlags>();
  CLI::App* init_verb = verb->add_subcommand("init", "Write a small Gemma with random weights, as Hugging Face does");
  init_verb->add_option("DIR", flags->options.folder, "Where; must not exist yet")->type_name("")->required();
  init_verb->add_option("--data", flags->options.texts, "Preference files its tokenizer learns from")
      ->type_name("FILE.jsonl")
      ->required();
  add_shape_options(*init_verb, flags->options);
  flags->result.add_to(*init_verb);
  init_verb->footer("  equipoise model init models/tiny --data data/train.jsonl");
  init_verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { init(*flags, console); }; });
}

}  // namespace equipoise
