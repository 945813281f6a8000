#include "common/config/message_schema.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace message_schema_test {

TEST(NearestKey, PrefersTheSameNameInAnotherPlace) {
  const auto& job = *v1::JobSpec::descriptor();
  EXPECT_EQ(nearest_key(job, job, "warmup_steps"), "optimizer.schedule.warmup_steps");
  EXPECT_EQ(nearest_key(job, *v1::LossSpec::descriptor(), "betas"), "optimizer.betas");
  EXPECT_EQ(nearest_key(job, *v1::LossSpec::descriptor(), "bet"), "beta");
  EXPECT_EQ(nearest_key(job, job, "optimiser"), "optimizer");
  EXPECT_EQ(nearest_key(job, job, "use_logits_to_keep"), "");
  EXPECT_EQ(nearest_key(job, job, std::string(100000, 'x')), "");  // and takes no time for it
}

TEST(FindField, KnowsBothSpellings) {
  const auto& loss = *v1::LossSpec::descriptor();
  EXPECT_EQ(find_field(loss, "labelSmoothing"), find_field(loss, "label_smoothing"));
  EXPECT_EQ(find_field(loss, "LabelSmoothing"), nullptr);
}

void add_names(const google::protobuf::Descriptor& message, std::set<std::string>& names) {
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    names.insert(field.name());
    const bool is_section = field.message_type() != nullptr && !field.is_map() &&
                            field.message_type()->file() == v1::JobSpec::descriptor()->file();
    if (is_section) add_names(*field.message_type(), names);
  }
}

TEST(ConfigurationPage, NamesEverySettingOfAJob) {
  std::ifstream file("../docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  std::set<std::string> names;
  add_names(*v1::JobSpec::descriptor(), names);
  EXPECT_GT(names.size(), 80U);
  for (const std::string& name : names) {
    // As `keep`, `checkpoint.keep`, or by the settings of the section.
    const bool is_named = page.find("`" + name + "`") != page.npos || page.find("." + name + "`") != page.npos ||
                          page.find("### " + name) != page.npos || page.find("`" + name + ".") != page.npos;
    EXPECT_TRUE(is_named) << name;
  }
}

}  // namespace message_schema_test
}  // namespace equipoise
