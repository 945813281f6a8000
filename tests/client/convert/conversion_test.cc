#include "client/convert/conversion.h"

#include <gmock/gmock.h>

#include <map>
#include <stdexcept>

#include "common/config/job_file.h"
#include "tests/support/temp_folder.h"

namespace equipoise::conversion_test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr const char* kPair = R"({"prompt": "p", "chosen": "c", "rejected": "r"})"
                              "\n";

class ConversionOf : public testing::Test {
 protected:
  // Ten pairs in train.jsonl; `text` is what follows about them.
  Conversion of(Trainer trainer, const std::string& text, std::vector<std::string> flags = {}, int workers = 1) {
    std::string pairs;
    for (int i = 0; i < 10; ++i) pairs += kPair;
    train_ = folder_.write("train.jsonl", pairs).string();
    const auto file = text.empty() ? std::filesystem::path() : folder_.write("given.yaml", text);
    return convert_settings({.trainer = trainer,
                             .file = file,
                             .flags = std::move(flags),
                             .model = "model",
                             .train = train_,
                             .validation = "",
                             .workers = workers,
                             .job_folder = ""});
  }
  Conversion trl(const std::string& text) { return of(Trainer::kTrl, text); }

  TempFolder folder_;
  std::string train_;
};

TEST_F(ConversionOf, TrlTakesItsDefaults) {
  const Conversion result = trl("beta: 0.2\n");
  EXPECT_THAT(result.faults, IsEmpty());
  const v1::JobSpec& spec = result.spec;
  EXPECT_EQ(spec.loss().type(), v1::LOSS_TYPE_DPO);
  EXPECT_EQ(spec.loss().beta(), 0.2);
  EXPECT_EQ(spec.optimizer().learning_rate(), 1e-6);
  EXPECT_EQ(spec.optimizer().schedule().type(), v1::SCHEDULE_TYPE_LINEAR);
  EXPECT_EQ(spec.training().epochs(), 3);
  EXPECT_EQ(spec.training().global_batch_size(), 8);
  EXPECT_EQ(spec.training().seed(), 42U);
  EXPECT_TRUE(spec.training().gradient_checkpointing());
  EXPECT_EQ(spec.model().dtype(), v1::D_TYPE_BFLOAT16);
  EXPECT_EQ(spec.logging().every_steps(), 10);
  EXPECT_EQ(spec.checkpoint().every_steps(), 500);
  EXPECT_EQ(spec.data().max_length(), 1024);
  EXPECT_EQ(spec.output(), "trainer_output");
  EXPECT_FALSE(spec.model().has_lora());
  EXPECT_THAT(result.notes, Contains(HasSubstr("bf16: parameters are bfloat16 here")));
}

TEST_F(ConversionOf, TrlMayUseTheOlderNameOfASetting) {
  EXPECT_THAT(trl("evaluation_strategy: 'no'\n").faults, IsEmpty());
  EXPECT_THAT(trl("eval_strategy: false\n").faults, IsEmpty());
  EXPECT_THAT(trl("evaluation_strategy: steps\neval_steps: 5\n").faults, Contains(HasSubstr("--validation FILE")));
  EXPECT_EQ(trl("torch_dtype: bfloat16\nbf16: false\n").spec.model().dtype(), v1::D_TYPE_BFLOAT16);
  EXPECT_EQ(trl("bf16: false\n").spec.model().dtype(), v1::D_TYPE_FLOAT32);
  EXPECT_THAT(trl("torch_dtype: float16\n").faults, Contains(HasSubstr("torch_dtype")));
}

TEST_F(ConversionOf, TrlMultipliesTheBatch) {
  const Conversion result =
      of(Trainer::kTrl, "per_device_train_batch_size: 4\ngradient_accumulation_steps: 2\n", {}, 3);
  EXPECT_EQ(result.spec.training().global_batch_size(), 24);
  EXPECT_EQ(result.spec.launch().workers(), 3);
}

// Ten pairs, batches of four: three steps an epoch, six in all.
TEST_F(ConversionOf, TrlTurnsSharesOfStepsIntoSteps) {
  const Conversion result =
      trl("per_device_train_batch_size: 4\nnum_train_epochs: 2\nwarmup_ratio: 0.4\nsave_strategy: epoch\n"
          "logging_steps: 0.5\n");
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_EQ(result.spec.optimizer().schedule().warmup_steps(), 3);
  EXPECT_EQ(result.spec.checkpoint().every_steps(), 3);
  EXPECT_EQ(result.spec.logging().every_steps(), 3);
}

TEST_F(ConversionOf, TrlKeepsItsLosses) {
  const v1::JobSpec ipo = trl("loss_type: ipo\n").spec;
  EXPECT_EQ(ipo.loss().type(), v1::LOSS_TYPE_IPO);
  EXPECT_TRUE(ipo.loss().length_normalized());
  const Conversion smoothed = trl("label_smoothing: 0.1\n");
  EXPECT_FALSE(smoothed.spec.loss().has_label_smoothing());
  EXPECT_THAT(smoothed.notes, Contains(HasSubstr("given.yaml:1: label_smoothing: has no effect")));
  EXPECT_EQ(trl("loss_type: [robust]\nlabel_smoothing: 0.1\n").spec.loss().label_smoothing(), 0.1);
  EXPECT_EQ(trl("loss_type: [sigmoid, sft]\nloss_weights: [1.0, 0.5]\n").spec.loss().sft_weight(), 0.5);
  EXPECT_THAT(trl("loss_type: exo_pair\n").faults, ElementsAre(HasSubstr("given.yaml:1: loss_type: is \"exo_pair\"")));
  EXPECT_THAT(trl("loss_type: [sigmoid, bco_pair, sft]\n").faults, ElementsAre(HasSubstr("is a sum of losses")));
}

TEST_F(ConversionOf, TrlWritesAnAdapterOnlyWithUsePeft) {
  EXPECT_FALSE(trl("lora_r: 4\n").spec.model().has_lora());
  const Conversion result = trl("use_peft: yes\nlora_r: 4\nlora_dropout: 0.1\nlora_target_modules: [q_proj, k_proj]\n");
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_EQ(result.spec.model().lora().r(), 4);
  EXPECT_EQ(result.spec.model().lora().alpha(), 32);
  EXPECT_FALSE(result.spec.model().lora().has_dropout());  // disable_dropout
  EXPECT_THAT(result.spec.model().lora().target_modules(), ElementsAre("q_proj", "k_proj"));
  EXPECT_EQ(trl("use_peft: true\ndisable_dropout: false\n").spec.model().lora().dropout(), 0.05);
}

TEST_F(ConversionOf, TrlRefusesByNameWhatAJobCannotDo) {
  const Conversion result =
      trl("neftune_noise_alpha: 5\npush_to_hub: true\nuse_weighting: false\nf_divergence_type: reverse_kl\n"
          "lr_scheduler_type: polynomial\nmax_length: null\nbetta: 0.1\n");
  EXPECT_THAT(result.faults, testing::UnorderedElementsAre(
                                 HasSubstr("given.yaml:1: neftune_noise_alpha: refused: it is not implemented"),
                                 HasSubstr("given.yaml:2: push_to_hub: refused"),
                                 HasSubstr("given.yaml:5: lr_scheduler_type: is \"polynomial\""),
                                 HasSubstr("given.yaml:6: max_length: expected a number"),
                                 HasSubstr("given.yaml:7: \"betta\" is no setting of TRL 1.16, the nearest is beta")));
}

TEST_F(ConversionOf, TrlSaysWhatHasNoEffect) {
  const Conversion result = trl("report_to: wandb\ndeepspeed: ds.json\n");
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_THAT(result.notes, Contains(HasSubstr("given.yaml:1: report_to: has no effect: metrics.jsonl")));
  EXPECT_THAT(result.notes, Contains(HasSubstr("given.yaml:2: deepspeed: has no effect: every rank holds")));
}

// A setting that another one leaves without meaning was dropped in silence.
TEST_F(ConversionOf, TrlNamesASettingThatOthersLeaveWithoutMeaning) {
  const Conversion result =
      trl("lora_r: 4\nmax_steps: 7\nnum_train_epochs: 2\neval_steps: 5\nseed: 1\ndata_seed: 2\n"
          "disable_dropout: false\nsave_strategy: epoch\nsave_steps: 5\ndataset_name: some/set\n");
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_THAT(result.notes,
              testing::IsSupersetOf({HasSubstr("given.yaml:1: lora_r: has no effect beside the other settings: with "
                                               "use_peft: true only"),
                                     HasSubstr("given.yaml:3: num_train_epochs: has no effect"),
                                     HasSubstr("given.yaml:4: eval_steps: has no effect"),
                                     HasSubstr("given.yaml:5: seed: has no effect"),
                                     HasSubstr("given.yaml:7: disable_dropout: has no effect"),
                                     HasSubstr("given.yaml:9: save_steps: has no effect"),
                                     HasSubstr("given.yaml:10: dataset_name: --train is taken instead")}));
}

// Whatever a setting is, it is read, said to have no effect, or refused: a value that none of them takes shows it.
TEST_F(ConversionOf, NoSettingIsPassedOverInSilence) {
  const std::map<Trainer, std::string> methods = {
      {Trainer::kTrl, "# none"}, {Trainer::kAxolotl, "rl: dpo"}, {Trainer::kLlamaFactory, "stage: dpo"}};
  int names = 0;
  for (const TrainerTable& table : trainer_tables()) {
    const std::string& method = methods.at(table.trainer);
    for (const auto& part : table.settings) {
      for (const TrainerSetting& setting : part) {
        for (const std::string_view word : words_of(setting.names)) {
          const std::string name(word);
          if (method.starts_with(name + ":")) continue;
          const Conversion result = of(table.trainer, method + "\n" + name + ": {no: value}\n");
          std::vector<std::string> said = result.faults;
          said.insert(said.end(), result.notes.begin(), result.notes.end());
          EXPECT_THAT(said, Contains(HasSubstr("given.yaml:2: " + name + ": "))) << table.name;
          ++names;
        }
      }
    }
  }
  EXPECT_GT(names, 900);
}

TEST_F(ConversionOf, TrlRefusesWeightsThatAJobHasNot) {
  EXPECT_THAT(trl("loss_weights: [2.0]\n").faults, ElementsAre(HasSubstr("given.yaml:1: loss_weights: expected 1")));
  EXPECT_THAT(trl("loss_type: [sigmoid, sft]\nloss_weights: [1]\n").faults,
              ElementsAre(HasSubstr("given.yaml:2: loss_weights: has 1 weights for 2 losses")));
  EXPECT_THAT(trl("loss_type: [sigmoid, sft]\nloss_weights: [1.00, 0.5]\n").faults, IsEmpty());
  EXPECT_THAT(trl("save_strategy: sometimes\nlogging_strategy: often\n").faults,
              ElementsAre(HasSubstr("logging_strategy: is \"often\""), HasSubstr("save_strategy: is \"sometimes\"")));
}

TEST_F(ConversionOf, TrlTakesTheProcessesOfItsLauncher) {
  const Conversion result = trl("num_processes: 4\naccelerate_config: multi_gpu\n");
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_EQ(result.spec.launch().workers(), 4);
  EXPECT_EQ(result.spec.training().global_batch_size(), 32);
  EXPECT_EQ(of(Trainer::kTrl, "num_processes: 4\n", {}, 2).spec.launch().workers(), 2);
}

TEST_F(ConversionOf, TrlFindsItsFileInEverySpellingOfTheFlag) {
  const std::string file = folder_.write("flagged.yaml", "beta: 0.25\n").string();
  EXPECT_EQ(of(Trainer::kTrl, "", {"trl", "dpo", "--config", file}).spec.loss().beta(), 0.25);
  EXPECT_EQ(of(Trainer::kTrl, "", {"--config=" + file, "--max_steps", "3"}).spec.loss().beta(), 0.25);
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{{"--config"}, {"--config="}, {"--config", file, "--config=" + file}}) {
    EXPECT_THROW(of(Trainer::kTrl, "", flags), std::invalid_argument);
  }
}

// A shell's word was read as YAML, so that this name was a mapping and the folder nothing.
TEST_F(ConversionOf, TrlReadsWordsOfTheCommandLineAsTheyAre) {
  const Conversion result = of(Trainer::kTrl, "",
                               {"--run_name", "run: 1", "--output_dir", "#out", "--loss_type", "[\"sigmoid\", \"sft\"]",
                                "--model_init_kwargs", "{}", "--save_total_limit", "null"});
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_EQ(result.spec.name(), "run--1");
  EXPECT_EQ(result.spec.output(), "#out");
  EXPECT_EQ(result.spec.loss().sft_weight(), 1);
  EXPECT_FALSE(result.spec.checkpoint().has_keep());
}

TEST_F(ConversionOf, TrlNamesTheLineOfAValueThatIsNone) {
  EXPECT_THAT(trl("\nlearning_rate: fast\n").faults,
              ElementsAre(HasSubstr("given.yaml:2: learning_rate: optimizer.learning_rate is \"fast\"")));
  EXPECT_THAT(trl("bf16: perhaps\n").faults, ElementsAre(HasSubstr("expected true or false")));
  EXPECT_THAT(trl("num_train_epochs: [1, 2]\n").faults, Contains(HasSubstr("expected one value")));
}

TEST_F(ConversionOf, TrlReadsFlagsOverTheFile) {
  const Conversion result = of(Trainer::kTrl, "beta: 0.2\nlearning_rate: 1e-5\n",
                               {"trl", "dpo", "--beta", "0.3", "--no_gradient_checkpointing", "--loss-type", "sigmoid",
                                "sft", "--max_steps=7", "--bf16", "false", "--max_prompt_length", "128"});
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_EQ(result.spec.loss().beta(), 0.3);
  EXPECT_EQ(result.spec.optimizer().learning_rate(), 1e-5);
  EXPECT_FALSE(result.spec.training().gradient_checkpointing());
  EXPECT_EQ(result.spec.loss().sft_weight(), 1);
  EXPECT_EQ(result.spec.training().max_steps(), 7);
  EXPECT_EQ(result.spec.model().dtype(), v1::D_TYPE_FLOAT32);
  EXPECT_EQ(result.spec.data().max_prompt_length(), 128);
  EXPECT_THROW(of(Trainer::kTrl, "", {"beta", "0.1"}), std::invalid_argument);
}

TEST_F(ConversionOf, TrlFindsSplitsAndMixtures) {
  folder_.write("set/train.jsonl", kPair);
  folder_.write("set/data/test.parquet", "");
  const auto convert = [&](const std::string& text) {
    return convert_settings({.trainer = Trainer::kTrl, .file = folder_.write("d.yaml", text), .model = "model"});
  };
  const std::string set = (folder_ / "set").string();
  const Conversion named = convert("dataset_name: " + set + "\neval_strategy: steps\neval_steps: 5\n");
  EXPECT_THAT(named.faults, IsEmpty());
  EXPECT_EQ(named.spec.data().train(), set + "/train.jsonl");
  EXPECT_EQ(named.spec.data().validation(), set + "/data/test.parquet");
  EXPECT_EQ(named.spec.evaluation().every_steps(), 5);
  const Conversion mixed =
      convert("datasets:\n  - {path: json, data_files: a.jsonl}\n  - {path: " + set + ", split: train}\n");
  EXPECT_THAT(mixed.faults, IsEmpty());
  ASSERT_EQ(mixed.spec.data().train_files_size(), 2);
  EXPECT_EQ(mixed.spec.data().train_files(0).path(), "a.jsonl");
  EXPECT_EQ(mixed.spec.data().train_files(1).path(), set + "/train.jsonl");
  EXPECT_THAT(convert("datasets: [{path: json, data_files: a.jsonl, fraction: 0.5}]\n").faults,
              ElementsAre(HasSubstr("has \"fraction\"")));
  EXPECT_THAT(convert("dataset_name: trl-lib/none\n").faults, ElementsAre(HasSubstr("--train FILE")));
  EXPECT_EQ(convert("datasets: []\ndataset_name: " + set + "\n").spec.data().train(), set + "/train.jsonl");
}

// The whole file was trained on, whichever part of it was asked for.
TEST_F(ConversionOf, APartOfADataSetIsRefusedOrFound) {
  folder_.write("hub/data/train-00000-of-00001.parquet", "");
  folder_.write("hub/data/test-00000-of-00002.parquet", "");
  folder_.write("hub/data/test-00001-of-00002.parquet", "");
  const std::string hub = (folder_ / "hub").string();
  const auto convert = [&](const std::string& entry) {
    return convert_settings(
        {.trainer = Trainer::kTrl, .file = folder_.write("d.yaml", "datasets: [" + entry + "]\n"), .model = "model"});
  };
  EXPECT_EQ(convert("{path: " + hub + "}").spec.data().train(), hub + "/data/train-00000-of-00001.parquet");
  EXPECT_EQ(convert("{path: json, data_files: {train: a.jsonl, test: b.jsonl}, split: test}").spec.data().train(),
            "b.jsonl");
  EXPECT_EQ(convert("{path: json, data_files: [a.jsonl], split: train}").spec.data().train(), "a.jsonl");
  for (const std::string& entry : {std::string("{path: json, data_files: a.jsonl, split: 'train[:10%]'}"),
                                   "{path: " + hub + ", split: 'train[:10]'}", "{path: " + hub + ", split: test}",
                                   std::string("{path: json, data_files: a.jsonl, split: validation}")}) {
    EXPECT_THAT(convert(entry).faults, Contains(HasSubstr("has the split"))) << entry;
  }
  for (const char* const files : {"'*.jsonl'", "'https://example.org/a.jsonl'", "[a.jsonl, b.jsonl]"}) {
    EXPECT_THAT(convert(std::string("{path: json, data_files: ") + files + "}").faults,
                Contains(HasSubstr("expected one file")))
        << files;
  }
}

TEST_F(ConversionOf, AxolotlBecomesTheSameJob) {
  const Conversion result = of(Trainer::kAxolotl, R"(
base_model: some/model
rl: ipo
rl_beta: 0.3
sequence_len: 2048
micro_batch_size: 2
gradient_accumulation_steps: 3
num_epochs: 2
optimizer: adamw_bnb_8bit
lr_scheduler: constant
learning_rate: 0.0002
weight_decay: 0.1
bf16: auto
adapter: qlora
load_in_4bit: true
lora_r: 4
lora_alpha: 8
lora_target_linear: true
saves_per_epoch: 2
wandb_project: mine
flash_attention: true
gradient_checkpointing: offload
)");
  EXPECT_THAT(result.faults, IsEmpty());
  const v1::JobSpec& spec = result.spec;
  EXPECT_EQ(spec.model().path(), "model");
  EXPECT_EQ(spec.loss().type(), v1::LOSS_TYPE_IPO);
  EXPECT_EQ(spec.loss().beta(), 0.3);
  EXPECT_EQ(spec.data().max_length(), 2048);
  EXPECT_EQ(spec.data().truncation(), v1::TRUNCATION_DROP);
  EXPECT_EQ(spec.training().global_batch_size(), 6);
  EXPECT_EQ(spec.training().epochs(), 2);
  EXPECT_EQ(spec.optimizer().learning_rate(), 0.0002);
  EXPECT_EQ(spec.optimizer().weight_decay(), 0.1);
  EXPECT_EQ(spec.optimizer().decay_exclude_size(), 2);
  EXPECT_EQ(spec.model().quantization(), v1::QUANTIZATION_NF4);
  EXPECT_EQ(spec.model().dtype(), v1::D_TYPE_BFLOAT16);
  EXPECT_THAT(spec.model().lora().target_modules(), ElementsAre("all-linear"));
  EXPECT_EQ(spec.checkpoint().every_steps(), 1);
  EXPECT_EQ(spec.checkpoint().keep(), 4);
  EXPECT_TRUE(spec.training().gradient_checkpointing());
  EXPECT_THAT(result.notes, Contains(HasSubstr("wandb_project: has no effect")));
}

TEST_F(ConversionOf, AJobIsOneAlready) {
  EXPECT_THAT([&] { trl("model: {path: m}\ndata: {train: t.jsonl}\nloss: {type: dpo}\n"); },
              testing::ThrowsMessage<std::invalid_argument>(
                  HasSubstr("given.yaml: is a job of Equipoise already: equipoise train ")));
}

// Nearly every example of axolotl has these two, and none was converted.
TEST_F(ConversionOf, AxolotlsClassOfTheModelAndPadTokenChangeNothing) {
  const std::string job =
      "rl: dpo\nbase_model: model\nmodel_type: AutoModelForCausalLM\ntokenizer_type: AutoTokenizer\n";
  const Conversion result = of(Trainer::kAxolotl, job + "special_tokens:\n  pad_token: <|end_of_text|>\n");
  EXPECT_THAT(result.faults, Not(Contains(HasSubstr("model_type"))));
  EXPECT_THAT(result.faults, Not(Contains(HasSubstr("special_tokens"))));
  EXPECT_THAT(result.notes, Contains(HasSubstr("model_type: has no effect")));
  EXPECT_THAT(result.notes, Contains(HasSubstr("special_tokens: has no effect: the tokenizer is taken as")));
  EXPECT_THAT(of(Trainer::kAxolotl, job + "special_tokens: {}\n").faults, Not(Contains(HasSubstr("special_tokens"))));
  for (const char* tokens : {"{pad_token: a, eos_token: b}", "{eos_token: b}", "[pad_token]", "pad_token"}) {
    EXPECT_THAT(of(Trainer::kAxolotl, job + "special_tokens: " + tokens + "\n").faults,
                Contains(HasSubstr("special_tokens: refused: the tokenizer is taken as the model's folder has it")))
        << tokens;
  }
  EXPECT_THAT(of(Trainer::kAxolotl, job + "model_kwargs: {attn: x}\n").faults,
              Contains(HasSubstr("model_kwargs: refused: it is not implemented")));
}

// Its default is "auto", which was taken for float32.
TEST_F(ConversionOf, AxolotlTrainsInBfloat16UnlessItIsToldNotTo) {
  const Conversion result = of(Trainer::kAxolotl, "rl: dpo\n");
  EXPECT_EQ(result.spec.model().dtype(), v1::D_TYPE_BFLOAT16);
  EXPECT_THAT(result.notes, Contains(HasSubstr("axolotl 0.19's default: bf16: parameters are bfloat16 here")));
  EXPECT_EQ(of(Trainer::kAxolotl, "rl: dpo\nbf16: false\n").spec.model().dtype(), v1::D_TYPE_FLOAT32);
}

TEST_F(ConversionOf, AxolotlRefusesOtherMethods) {
  EXPECT_THAT(of(Trainer::kAxolotl, "rl: kto\n").faults, Contains(HasSubstr("given.yaml:1: rl: is \"kto\"")));
  EXPECT_THAT(of(Trainer::kAxolotl, "micro_batch_size: 1\n").faults, Contains(HasSubstr("rl: is not given")));
  EXPECT_THAT(of(Trainer::kAxolotl, "rl: dpo\nval_set_size: 0.1\n").faults,
              ElementsAre(HasSubstr("val_set_size: refused: split the file first")));
  EXPECT_THAT(of(Trainer::kAxolotl, "rl: dpo\nspecial_tokens: {eos_token: x}\n").faults,
              ElementsAre(HasSubstr("special_tokens: refused")));
  EXPECT_THAT(of(Trainer::kAxolotl, "rl: dpo\ntrl: {beta: 0.5}\n").spec.loss().beta(), 0.5);
  EXPECT_THAT(of(Trainer::kAxolotl, "rl: dpo\ntrl: {beta: , max_completion_length: }\n").faults, IsEmpty());
  EXPECT_THAT(of(Trainer::kAxolotl, "rl: dpo\nwarmup_steps: 10\nwarmup_ratio: 0.5\n").faults,
              ElementsAre(HasSubstr("given.yaml:3: warmup_ratio: is given beside warmup_steps")));
  const Conversion unevaluated = of(Trainer::kAxolotl, "rl: dpo\nevals_per_epoch: 2\n");
  EXPECT_THAT(unevaluated.faults, IsEmpty());
  EXPECT_FALSE(unevaluated.spec.evaluation().has_every_steps());
  EXPECT_THAT(unevaluated.notes,
              Contains(HasSubstr("given.yaml:2: evals_per_epoch: has no effect: there are no valid")));
  EXPECT_THAT(of(Trainer::kAxolotl, "rl: dpo\nrl_beta: 0.2\ndpo_beta: 0.2\ndpo_loss_type: [hinge]\n").faults,
              IsEmpty());
}

TEST_F(ConversionOf, LlamaFactoryBecomesTheSameJob) {
  const Conversion result = of(Trainer::kLlamaFactory, R"(
model_name_or_path: some/model
stage: dpo
do_train: true
finetuning_type: lora
lora_rank: 4
lora_target: q_proj,v_proj
pref_beta: 0.2
pref_loss: sigmoid
pref_ftx: 0.1
dpo_label_smoothing: 0.05
dataset: dpo_en
template: llama3
cutoff_len: 512
per_device_train_batch_size: 2
gradient_accumulation_steps: 4
learning_rate: 5.0e-6
lr_scheduler_type: cosine
max_steps: 50
warmup_ratio: 0.1
bf16: true
)");
  EXPECT_THAT(result.faults, IsEmpty());
  const v1::JobSpec& spec = result.spec;
  EXPECT_EQ(spec.loss().type(), v1::LOSS_TYPE_DPO);
  EXPECT_EQ(spec.loss().beta(), 0.2);
  EXPECT_EQ(spec.loss().sft_weight(), 0.1);
  EXPECT_EQ(spec.loss().label_smoothing(), 0.05);
  EXPECT_EQ(spec.model().lora().r(), 4);
  EXPECT_EQ(spec.model().lora().alpha(), 8);
  EXPECT_THAT(spec.model().lora().target_modules(), ElementsAre("q_proj", "v_proj"));
  EXPECT_EQ(spec.data().max_length(), 512);
  EXPECT_EQ(spec.training().global_batch_size(), 8);
  EXPECT_EQ(spec.optimizer().learning_rate(), 5e-6);
  EXPECT_EQ(spec.optimizer().schedule().type(), v1::SCHEDULE_TYPE_COSINE);
  EXPECT_EQ(spec.optimizer().schedule().warmup_steps(), 5);
  EXPECT_EQ(spec.model().dtype(), v1::D_TYPE_BFLOAT16);
  EXPECT_FALSE(of(Trainer::kLlamaFactory, "stage: dpo\nfinetuning_type: full\n").spec.model().has_lora());
  EXPECT_THAT(of(Trainer::kLlamaFactory, "stage: sft\n").faults, Contains(HasSubstr("stage: is \"sft\"")));
  EXPECT_THAT(of(Trainer::kLlamaFactory, "stage: dpo\nuse_galore: true\n").faults,
              ElementsAre(HasSubstr("use_galore: refused")));
}

// They named TRL's keys, which are not in these files.
TEST_F(ConversionOf, FaultsNameTheKeysOfTheFile) {
  const std::string train = folder_
                                .write("t.jsonl", R"({"prompt": "p", "chosen": "c", "rejected": "r", "group": "g"})"
                                                  "\n")
                                .string();
  const auto faults = [&](Trainer trainer, const std::string& text) {
    return convert_settings({.trainer = trainer, .file = folder_.write("given.yaml", text), .train = train}).faults;
  };
  EXPECT_THAT(faults(Trainer::kAxolotl,
                     "rl: dpo\nnum_epochs: many\nmicro_batch_size: [1]\nrl_beta: big\n"
                     "sequence_len: long\nlr_scheduler: rex\nload_in_4bit: true\n"),
              testing::UnorderedElementsAre(StartsWith("base_model: expected a folder"),
                                            HasSubstr("given.yaml:2: num_epochs: is \"many\""),
                                            HasSubstr("given.yaml:3: micro_batch_size: expected one value"),
                                            HasSubstr("given.yaml:4: rl_beta: loss.beta is \"big\""),
                                            HasSubstr("given.yaml:5: sequence_len: data.max_length is \"long\""),
                                            HasSubstr("given.yaml:6: lr_scheduler: is \"rex\""),
                                            HasSubstr("given.yaml:7: load_in_4bit: needs an adapter: adapter")));
  EXPECT_THAT(faults(Trainer::kLlamaFactory, "stage: dpo\nlora_rank: many\ncutoff_len: long\npref_beta: big\n"),
              testing::UnorderedElementsAre(StartsWith("model_name_or_path: expected a folder"),
                                            HasSubstr("given.yaml:2: lora_rank: is \"many\""),
                                            HasSubstr("given.yaml:3: cutoff_len: data.max_length is \"long\""),
                                            HasSubstr("given.yaml:4: pref_beta: loss.beta is \"big\"")));
  EXPECT_THAT(faults(Trainer::kAxolotl, "base_model: m\nrl: dpo\ntrl: {beta: big}\n"),
              ElementsAre(HasSubstr("given.yaml:3: trl.beta: loss.beta is \"big\"")));
}

// No other key of TRL's is named for a file that has none of them, whichever of its own settings is wrong.
TEST_F(ConversionOf, EveryRenamedSettingIsNamedAsInTheFile) {
  int named = 0;
  for (const Trainer trainer : {Trainer::kAxolotl, Trainer::kLlamaFactory}) {
    const std::string method = trainer == Trainer::kAxolotl ? "rl" : "stage";
    for (const TrainerSetting& setting : trainer_table(trainer).settings.front()) {
      if (setting.rule != SettingRule::kRenamed) continue;
      for (const std::string_view word : words_of(setting.names)) {
        const std::string name(word);
        if (name == method) continue;
        const std::string text = method + ": dpo\n" + name + ": {no: value}\n";
        const Conversion result = of(trainer, text);
        for (const std::string& fault : result.faults) {
          if (fault.find("given.yaml:2: ") == std::string::npos) continue;
          EXPECT_THAT(fault, HasSubstr("given.yaml:2: " + name + ": "));
          ++named;
        }
      }
    }
  }
  EXPECT_GT(named, 40);
}

TEST_F(ConversionOf, RefusesAFileThatIsNoConfiguration) {
  EXPECT_THROW(trl("- a\n- b\n"), std::invalid_argument);
  EXPECT_THROW(trl("beta: 1\nbeta: 2\n"), std::invalid_argument);
  EXPECT_THROW(trl("beta: [1\n"), std::invalid_argument);
  EXPECT_THROW(trl(std::string(1 << 21, 'x')), std::invalid_argument);
  EXPECT_THROW(convert_settings({.trainer = Trainer::kTrl}), std::invalid_argument);
}

TEST(GuessedTrainer, GoesByKeysThatOnlyOneHas) {
  const auto guess = [](const char* key) {
    return guessed_trainer({{key, {YAML::Node("x"), "f:1"}}, {"learning_rate", {YAML::Node("1"), "f:2"}}});
  };
  EXPECT_EQ(guess("base_model"), Trainer::kAxolotl);
  EXPECT_EQ(guess("stage"), Trainer::kLlamaFactory);
  EXPECT_EQ(guess("dataset_name"), Trainer::kTrl);
}

}  // namespace
}  // namespace equipoise::conversion_test
