#include "common/summary/model_card.h"

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include "common/config/job_file.h"
#include "common/summary/base_model.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

using testing::HasSubstr;
using testing::Not;

SummaryEvaluation example_evaluation(std::int64_t step, double loss) {
  return {.step = step,
          .loss = {.value = loss, .error = 0.01},
          .accuracy = {.value = 0.5, .error = 0.1},
          .groups = {{"India", {.loss = {loss, 0.02}, .accuracy = {0.25, 0.125}, .pairs = 8}},
                     {"x|y\n# <b>", {.loss = {0.125, {}}, .accuracy = {1.0, {}}, .pairs = 1}}}};
}

RunSummary example_summary(const std::string& job) {
  RunSummary summary;
  merge_job_text("job", job, summary.job);
  summary.has_ended = true;
  summary.steps = summary.max_steps = 150;
  summary.epoch = 1.5;
  summary.before = example_evaluation(0, 0.75);
  summary.after = example_evaluation(150, 0.5);
  summary.weights = {{"India", 0.75}, {"x|y\n# <b>", 0.25}};
  summary.training_pairs = {{"India", 40}, {"x|y\n# <b>", 2}};
  summary.dataset = Digest{};
  return summary;
}

constexpr const char* kRobustJob =
    "{name: robust, model: {path: /home/ann/sft}, data: {train: /home/ann/train.jsonl, validation: /home/ann/v.jsonl}, "
    "robust: {mode: group_robust, step_size: 0.1}, loss: {type: dpo, beta: 0.1}, output: /home/ann/runs/robust, "
    "launch: {workers: 2}, training: {resume_from_checkpoint: /home/ann/runs/robust/checkpoints/step-10}}";

YAML::Node metadata_of(const std::string& card) {
  EXPECT_TRUE(card.starts_with("---\n"));
  return YAML::Load(card.substr(4, card.find("\n---\n") - 3));
}

TEST(ModelCard, TellsOfEachGroupBeforeAndAfter) {
  const std::string card = model_card(example_summary(kRobustJob));
  EXPECT_THAT(card, HasSubstr("On v.jsonl, before the first step and after 150 steps"));
  EXPECT_THAT(card, HasSubstr("| **India** | **40** | **8** | **0.7500 ± 0.0200** | **0.5000 ± 0.0200** | **0.250 ± "
                              "0.125** | **0.250 ± 0.125** | **0.7500** |"));
  EXPECT_THAT(card, HasSubstr("| x\\|y \\# \\<b\\> | 2 | 1 | 0.1250 | 0.1250 | 1.000 | 1.000 | 0.2500 |"));
  EXPECT_THAT(card, HasSubstr("Worst off is **India**: loss 0.7500 ± 0.0200 before, 0.5000 ± 0.0200 after."));
  EXPECT_THAT(card, HasSubstr("| SHA-256 of the tokenised training pairs | `" + std::string(64, '0') + "` |"));
}

// The card of a log-linear policy explained errors and accuracies that it has not, as one that generates text.
TEST(ModelCard, SaysOfALogLinearPolicyWhatItHas) {
  RunSummary summary = example_summary(
      "{name: bandit, policy: {log_linear: {actions: 8}}, data: {train: t.jsonl, validation: v.jsonl}, "
      "robust: {mode: group_robust, step_size: 0.9}}");
  for (auto* const evaluation : {&*summary.before, &*summary.after}) {
    evaluation->accuracy = {};
    for (auto& [name, group] : evaluation->groups) group = {.loss = {group.loss.value, {}}, .accuracy = {}, .pairs = 8};
  }
  const std::string card = model_card(summary);
  EXPECT_THAT(card, HasSubstr("after 150 steps: mean over the group's pairs.\n"));
  EXPECT_THAT(card, Not(HasSubstr("standard error")));
  EXPECT_THAT(card, Not(HasSubstr("Accuracy is")));
  EXPECT_EQ(metadata_of(card)["model-index"][0]["results"][0]["task"]["type"].Scalar(), "other");
  EXPECT_THAT(model_card(example_summary(kRobustJob)), HasSubstr("pairs ± its standard error. Accuracy is the share"));
}

TEST(ModelCard, HasTheSettingOfTheSetOfWeights) {
  const auto card = [](const std::string& robust) {
    return model_card(
        example_summary("{name: r, model: {path: m}, data: {train: t}, robust: {mode: group_robust, " + robust + "}}"));
  };
  EXPECT_THAT(card("step_size: 0.1"), HasSubstr("| step size of α | 0.1 |"));
  const std::string cvar = card("ambiguity_set: cvar, kappa: 0.25");
  EXPECT_THAT(cvar, HasSubstr("| CVaR: weights are those of the worst share κ | 0.25 |"));
  EXPECT_THAT(cvar, Not(HasSubstr("step size of α")));
  EXPECT_THAT(card("ambiguity_set: chi_square, rho: 0.5"), HasSubstr("radius ρ of the shares | 0.5 |"));
  EXPECT_THAT(card("ambiguity_set: kl, tau: 2"), HasSubstr("temperature τ | 2 |"));
}

// Rows had the settings of the job, whatever people had changed since.
TEST(ModelCard, HasSettingsThatWereChangedWhileItTrained) {
  RunSummary summary = example_summary(kRobustJob);
  EXPECT_THAT(model_card(summary), Not(HasSubstr("trade-off")));
  summary.changes = {{.step = 1, .setting = "step_size", .from = 0.1, .to = 0.25, .requester = ""},
                     {.step = 20, .setting = "learning_rate", .from = 1e-6, .to = 5e-7, .requester = "ann"},
                     {.step = 30, .setting = "trade_off", .from = {}, .to = 0.5, .requester = ""},
                     {.step = 140, .setting = "step_size", .from = 0.25, .to = 0.05, .requester = ""}};
  const std::string card = model_card(summary);
  EXPECT_THAT(card, HasSubstr("| step size of α | 0.1; 0.25 after 1 step; 0.05 after 140 steps |"));
  EXPECT_THAT(card, HasSubstr("| learning rate | 0; 5e-07 after 20 steps |"));
  EXPECT_THAT(card, HasSubstr("| trade-off χ | 1; 0.5 after 30 steps |"));
  for (int step = 1; step <= 6; ++step) {
    summary.changes.push_back({.step = step, .setting = "trade_off", .from = {}, .to = 0.125 * step, .requester = ""});
  }
  EXPECT_THAT(model_card(summary), HasSubstr("| trade-off χ | 1; 3 other changes; 0.375 after 3 steps; "));
}

TEST(ModelCard, SaysHowManyStepsChangedNothing) {
  RunSummary summary = example_summary(kRobustJob);
  summary.step_lines = 60;
  EXPECT_THAT(model_card(summary), Not(HasSubstr("not finite")));
  summary.skipped_lines = 2;
  EXPECT_THAT(model_card(summary),
              HasSubstr("| steps without an update, as a number was not finite | 2 of 60 logged |"));
  EXPECT_THAT(model_card(summary), Not(HasSubstr("Most steps changed nothing")));
  summary.skipped_lines = 59;
  EXPECT_THAT(model_card(summary), HasSubstr("**Most steps changed nothing: in 59 of 60 logged steps a loss or the "
                                             "gradient was not finite.**"));
}

TEST(ModelCard, NamesTheJobAndTheStepThatAForkBeganWith) {
  RunSummary summary = example_summary(kRobustJob);
  EXPECT_THAT(model_card(summary), Not(HasSubstr("began with")));
  summary.parent = {.job_id = "whole-0a1b2c3d", .step = 40};
  EXPECT_THAT(model_card(summary), HasSubstr("| began with | the checkpoint of step 40 of job whole-0a1b2c3d |"));
}

TEST(ModelCard, HasMetadataOfTheHub) {
  const YAML::Node block = metadata_of(model_card(example_summary(kRobustJob)));
  EXPECT_EQ(block["library_name"].Scalar(), "transformers");
  EXPECT_EQ(block["model_name"].Scalar(), "robust");
  EXPECT_FALSE(block["base_model"]) << "a folder is no model of the hub";
  EXPECT_FALSE(block["license"]);
  EXPECT_EQ(block["tags"].as<std::vector<std::string>>(),
            (std::vector<std::string>{"equipoise", "dpo", "group-robust"}));
  const YAML::Node result = block["model-index"][0]["results"][0];
  EXPECT_EQ(result["metrics"][0]["type"].Scalar(), "worst_group_loss");
  EXPECT_EQ(result["metrics"][0]["value"].as<double>(), 0.5);
  EXPECT_EQ(result["metrics"][1]["value"].as<double>(), 0.25);
  EXPECT_EQ(result["dataset"]["name"].Scalar(), "v.jsonl");
}

TEST(ModelCard, NamesNoPathOfTheMachine) {
  const std::string card = model_card(example_summary(kRobustJob));
  EXPECT_THAT(card, Not(HasSubstr("/home")));
  EXPECT_THAT(card, Not(HasSubstr("ann")));
  EXPECT_THAT(card, HasSubstr("train.jsonl"));
  EXPECT_THAT(card, HasSubstr("from a model called sft by"));
}

TEST(ModelCard, SaysThatNothingWasEvaluated) {
  RunSummary summary = example_summary("{name: dpo, model: {path: sft}, data: {train: t.jsonl}, output: o}");
  summary.before.reset();
  summary.after.reset();
  const std::string card = model_card(summary);
  EXPECT_THAT(card, HasSubstr("No validation data were given"));
  EXPECT_THAT(card, Not(HasSubstr("Worst off")));
  EXPECT_FALSE(metadata_of(card)["model-index"]);
  EXPECT_THAT(card, Not(HasSubstr("α"))) << "mode none learns no weights";
}

TEST(ModelCard, IsBoundedWhateverTheNumberOfGroups) {
  RunSummary summary = example_summary(kRobustJob);
  for (int group = 0; group < 4096; ++group) {
    summary.after->groups["group " + std::to_string(group)] = {.loss = {0.25 + group * 1e-6, {}}};
  }
  const std::string card = model_card(summary);
  EXPECT_THAT(card, HasSubstr("4034 more groups, which lose less, are not shown."));
  EXPECT_LT(card.size(), std::size_t{16} << 10);
  EXPECT_THAT(card, HasSubstr("| group 4095 |"));
  EXPECT_THAT(card, Not(HasSubstr("| group 0 |")));
}

TEST(BaseModels, AreNamedByTheHubWhereTheFolderSaysIt) {
  const TempFolder folder;
  folder.write("models--google--gemma-2b/snapshots/0a1b/config.json", "{}");
  EXPECT_EQ(base_model_of(folder.path() / "models--google--gemma-2b/snapshots/0a1b").hub_name, "google/gemma-2b");
  folder.write("named/config.json", R"({"_name_or_path": "google/gemma-2b-it"})");
  EXPECT_EQ(base_model_of(folder.path() / "named/").name, "google/gemma-2b-it");
  folder.write("path/config.json", R"({"_name_or_path": "/home/ann/sft"})");
  EXPECT_EQ(base_model_of(folder.path() / "path").name, "path");
  folder.write("card/README.md", "---\nbase_model: google/gemma-2b\nlicense: gemma\nlicense_link: javascript:x\n---\n");
  const BaseModel card = base_model_of(folder.path() / "card/");
  EXPECT_EQ(card.hub_name, "google/gemma-2b");
  EXPECT_EQ(card.license, "gemma");
  EXPECT_EQ(card.license_link, std::nullopt);
  folder.write("bad/README.md", "---\nbase_model: [\nlicense: {a: b}\n---\n");
  EXPECT_EQ(base_model_of(folder.path() / "bad").hub_name, std::nullopt);
  EXPECT_EQ(base_model_of("/nowhere/at-all").name, "at-all");
  EXPECT_EQ(base_model_of("/runs/sft/final/").name, "sft/final");
}

TEST(BaseModels, HaveNamesAsTheHubTakesThem) {
  EXPECT_TRUE(is_hub_name("google/gemma-2b"));
  for (const char* other : {"gemma", "/gemma", "a/b/c", "../x", "a b/c", "a/", "-a/b", "a/b\n"}) {
    EXPECT_FALSE(is_hub_name(other)) << other;
  }
}

}  // namespace
}  // namespace equipoise
