#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "equipoise/v1/job.pb.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace model_config_test {

using testing::ElementsAre;
using testing::HasSubstr;

v1::JobSpec job(const std::function<void(v1::ModelSpec&)>& change) {
  v1::JobSpec spec;
  spec.set_name("adapter");
  spec.mutable_model()->set_path("/models/gemma");
  spec.mutable_data()->set_train("/data/train.jsonl");
  spec.set_output("/out");
  change(*spec.mutable_model());
  return spec;
}

std::string refusal(const std::function<void(v1::ModelSpec&)>& change) {
  return refusal_of([&] { make_job_config(job(change)); });
}

TEST(LoraConfig, IsAbsentUnlessAsked) {
  const ModelConfig config = make_job_config(job([](auto&) {})).model;
  EXPECT_FALSE(config.lora);
  EXPECT_FALSE(config.adapter);
}

TEST(LoraConfig, DefaultsAreThoseOfPeftOnEveryProjection) {
  const auto spec = job([](auto& model) { model.mutable_lora(); });
  const LoraSettings settings = *make_job_config(spec).model.lora;
  EXPECT_EQ(settings.r, 8);
  EXPECT_EQ(settings.scaling(), 1);
  EXPECT_TRUE(settings.target_modules.empty());
  // The resolved file states them and means the same.
  const v1::LoraSpec resolved = resolved_job(spec).model().lora();
  EXPECT_EQ(resolved.r(), 8);
  EXPECT_EQ(resolved.alpha(), 8);
  EXPECT_EQ(resolved.init(), v1::LORA_INIT_KAIMING_UNIFORM);
  EXPECT_THAT(resolved.target_modules(), ElementsAre("all-linear"));
  EXPECT_TRUE(make_job_config(resolved_job(spec)).model.lora->target_modules.empty());
}

TEST(LoraConfig, ComesBackFromTheResolvedFile) {
  const TempFolder folder;
  const auto file = folder.write("job.yaml",
                                 "name: adapter\nmodel:\n  path: m\n  lora: {r: 4, target_modules: [v_proj, q_proj]}\n"
                                 "data: {train: t.jsonl}\noutput: out\n");
  const auto resolved = folder.write("resolved.yaml", job_spec_to_yaml(resolved_job(read_job_file(file, {}))));
  const LoraSettings settings = *make_job_config(read_job_file(resolved, {})).model.lora;
  EXPECT_EQ(settings.r, 4);
  EXPECT_THAT(settings.target_modules, ElementsAre("q_proj", "v_proj"));
  const auto adapter =
      folder.write("other.yaml", "name: a\nmodel: {path: m, adapter: a}\ndata: {train: t}\noutput: o\n");
  EXPECT_EQ(make_job_config(read_job_file(adapter, {})).model.adapter, folder.path() / "a");  // relative to the file
}

TEST(LoraConfig, ScalesByAlphaOverTheRankOrItsRoot) {
  const auto settings = [](bool stabilized) {
    return *make_job_config(job([&](auto& model) {
              model.mutable_lora()->set_r(16);
              model.mutable_lora()->set_alpha(8);
              model.mutable_lora()->set_rank_stabilized(stabilized);
            })).model.lora;
  };
  EXPECT_EQ(settings(false).scaling(), 0.5);
  EXPECT_EQ(settings(true).scaling(), 2);
}

TEST(LoraConfig, DropoutAndDoraAreOffUnlessAskedFor) {
  const auto settings = [](const std::function<void(v1::LoraSpec&)>& change) {
    return *make_job_config(job([&](auto& model) { change(*model.mutable_lora()); })).model.lora;
  };
  EXPECT_EQ(settings([](auto&) {}).dropout, 0);
  EXPECT_FALSE(settings([](auto&) {}).dora);
  EXPECT_EQ(settings([](auto& lora) { lora.set_dropout(0.05); }).dropout, 0.05);
  EXPECT_TRUE(settings([](auto& lora) { lora.set_use_dora(true); }).dora);
  const auto resolved = resolved_job(job([](auto& model) {
                          model.mutable_lora()->set_dropout(0.05);
                          model.mutable_lora()->set_use_dora(true);
                        }))
                            .model()
                            .lora();
  EXPECT_EQ(resolved.dropout(), 0.05);
  EXPECT_TRUE(resolved.use_dora());
}

TEST(LoraConfig, NextToAnAdapterSaysDropoutAndNothingElse) {
  const auto with_adapter = [](const std::function<void(v1::LoraSpec&)>& change) {
    return job([&](auto& model) {
      model.set_adapter("/adapter");
      change(*model.mutable_lora());
    });
  };
  const v1::JobSpec spec = with_adapter([](auto& lora) { lora.set_dropout(0.1); });
  for (const auto& given : {spec, resolved_job(spec)}) {
    EXPECT_FALSE(make_job_config(given).model.lora);
    EXPECT_EQ(make_job_config(given).model.adapter_dropout, 0.1);
  }
  EXPECT_EQ(make_job_config(job([](auto& model) { model.set_adapter("/adapter"); })).model.adapter_dropout, 0);
  EXPECT_THROW(make_job_config(with_adapter([](auto& lora) {
                 lora.set_dropout(0.1);
                 lora.set_r(8);
               })),
               std::invalid_argument);
}

TEST(LoraConfig, QuantisesWhatAnAdapterIsTrainedOn) {
  const auto quantized = [](const std::function<void(v1::ModelSpec&)>& change) {
    return job([&](auto& model) {
      model.set_quantization(v1::QUANTIZATION_NF4);
      change(model);
    });
  };
  for (const auto& spec : {quantized([](auto& model) { model.mutable_lora(); }),
                           quantized([](auto& model) { model.set_adapter("/adapter"); })}) {
    EXPECT_EQ(make_job_config(resolved_job(spec)).model.quantization, Quantization::kNf4);
  }
  EXPECT_EQ(make_job_config(job([](auto&) {})).model.quantization, Quantization::kNone);
  EXPECT_THROW(make_job_config(quantized([](auto&) {})), std::invalid_argument);
  EXPECT_THAT(refusal([](auto& model) { model.set_quantization(static_cast<v1::Quantization>(9)); }),
              HasSubstr("model.quantization"));
}

TEST(LoraConfig, NamesTheFieldThatIsNotRight) {
  EXPECT_THAT(refusal([](auto& model) { model.mutable_lora()->set_r(0); }), HasSubstr("model.lora.r is 0"));
  EXPECT_THAT(refusal([](auto& model) { model.mutable_lora()->set_alpha(0); }), HasSubstr("model.lora.alpha is 0"));
  for (const double share : {-0.1, 1.0, 1.5}) {
    EXPECT_THAT(refusal([&](auto& model) { model.mutable_lora()->set_dropout(share); }),
                HasSubstr("model.lora.dropout is "))
        << share;
  }
  EXPECT_THAT(refusal([](auto& model) {
                model.mutable_lora()->add_target_modules("q_proj");
                model.mutable_lora()->set_target_pattern(".*");
              }),
              HasSubstr("both target_modules and target_pattern"));
  EXPECT_THAT(refusal([](auto& model) {
                model.mutable_lora()->add_target_modules("q_proj");
                model.mutable_lora()->add_target_modules("all-linear");
              }),
              HasSubstr("all-linear alone"));
  EXPECT_THAT(refusal([](auto& model) { model.set_adapter(""); }), HasSubstr("model.adapter"));
  EXPECT_THAT(refusal([](auto& model) {
                model.mutable_lora();
                model.set_adapter("/adapter");
              }),
              HasSubstr("model has both lora and adapter"));
}

}  // namespace model_config_test
}  // namespace equipoise
